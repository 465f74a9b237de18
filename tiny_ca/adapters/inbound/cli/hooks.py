"""Programs that are run after a renewal, and a note of those that have not been yet."""

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tiny_ca.domain.errors import InvalidRequest

__all__ = ["Notes", "check_hook", "run_hook"]

_TAKES_AT_MOST = 300


def check_hook(hook: str) -> None:
    """Check that a hook can be taken apart.  Raises `InvalidRequest`."""
    try:
        words = shlex.split(hook)
    except ValueError as error:
        raise InvalidRequest(f"The hook {hook!r} can't be taken apart: {error}.") from error
    if not words:
        raise InvalidRequest("A hook is a program and its arguments.")


def run_hook(hook: str, environment: Mapping[str, str]) -> None:
    """Run a hook to its end.  Raises `OSError` if it fails, `SubprocessError` after 300 seconds."""
    done = subprocess.run(  # noqa: S603 - no shell; whoever starts us says what to run
        shlex.split(hook),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TAKES_AT_MOST,
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        said = " ".join(done.stdout.split())[-500:]
        raise OSError(0, f"exit code {done.returncode}: {said}", hook)


class Notes:
    """Which names are being renewed, or were, without all hooks having succeeded yet.

    A file each, `<folder>/.undeployed/<hash>.json`, so that whoever comes after this process
    runs them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".undeployed"

    def add(self, common_name: str, serial_number: int) -> None:
        """Note that a name is about to be renewed, and its certificate so far."""
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        path = self._path(common_name)
        growing = path.with_suffix(f".{os.getpid()}")
        note = {"common_name": common_name, "before": f"{serial_number:x}"}
        growing.write_text(json.dumps(note))
        growing.replace(path)

    def remove(self, common_name: str) -> None:
        """Forget a name."""
        self._path(common_name).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Give names, and the serial numbers that they had before."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                note = json.loads(path.read_text())
                yield str(note["common_name"]), int(note["before"], 16)
            except (FileNotFoundError, KeyError, TypeError, ValueError):
                # Another process was done with it, or it is somebody else's.
                continue

    def _path(self, common_name: str) -> Path:
        digest = hashlib.sha256(common_name.encode()).hexdigest()
        return self._folder / f"{digest[:32]}.json"
