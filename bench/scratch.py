"""A folder for a run, which no end of the run leaves behind."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a new folder in the system's temporary one, or in `TMPDIR`; then remove it.

    SIGTERM, too, ends the work in it, and the processes that do it, and removes it first.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with tempfile.TemporaryDirectory(prefix="tiny-ca-bench-") as folder:
            yield Path(folder).resolve()
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(_number: int, _frame: object) -> None:
    for child in active_children():
        child.kill()
    raise SystemExit(128 + signal.SIGTERM)
