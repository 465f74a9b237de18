"""Where faults are injected: each system call of an operation that changes a disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.faults.aftermath import OLD, settle
from tests.faults.pki import Folder
from tests.faults.tracing import MUTATING, Server, optional

__all__ = ["AT_LENGTH", "OPERATIONS", "Point", "copied", "count"]

_FILES = {"pwrite64", "fdatasync", "mkdir", "write", "fsync", "rename"}
OPERATIONS = {
    "bootstrap": _FILES,
    "issue": _FILES,
    "rotate": _FILES,
    "overwrite": _FILES | {"unlinkat"},
    "supersede": _FILES | {"unlinkat"},
    "revoke": {"pwrite64", "fdatasync"},
    "crl": _FILES - {"mkdir"},
}
"""Each operation, and the calls that it can't do without: a trace that misses one saw nothing."""


AT_LENGTH = dict.fromkeys(("renew", "request", "requests", "intermediate"), _FILES)
"""The others that sign: what they do after the signature is what `issue` does."""
_CALLS = OPERATIONS | AT_LENGTH


class Point(NamedTuple):
    """The nth call of a kind, which is how strace counts."""

    call: str
    n: int

    def __str__(self) -> str:
        return f"{self.call}:when={self.n}"


@contextmanager
def copied(prepared: Folder, tmp_path: Path, operation: str) -> Iterator[Folder]:
    """Give a copy of the prepared CA to do *operation* on; a root is made where there is none."""
    path = tmp_path / operation
    if operation == "bootstrap":
        path.mkdir()
    else:
        prepared.copy(path)
    yield Folder(path)
    shutil.rmtree(path)


def count(server: Server, prepared: Folder, tmp_path: Path, operation: str) -> list[Point]:
    """Let *operation* succeed, and give every call that it did."""
    with copied(prepared, tmp_path, operation) as folder:
        run = server.run(
            folder.path, operation, "-e", f"trace={optional(MUTATING)}", old=prepared.serial_of(OLD)
        )
        assert run.reply.keys() <= {"serial", "serials", "number", "is_revoked"}, run.reply
        settle(prepared, folder, operation, run.reply)
    counts = run.counts()
    needed = {name.removesuffix("at") for name in _CALLS[operation]}
    assert needed <= {name.removesuffix("at") for name in counts}, counts
    return [Point(call, n) for call in counts for n in range(1, counts[call] + 1)]
