"""Driving `victim.py`: attach strace, let it run, and learn how it ended."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support import program, unavailable

PROJECT = Path(__file__).parents[2]
PATIENCE = 60
"""Seconds after which something hangs: six times what SQLite waits for a lock."""

MUTATING = (
    "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "link", "linkat", "mkdir", "mkdirat", "rmdir", "ftruncate",
)  # fmt: skip
"""What changes a disk.  A file that `openat` makes changes nothing until one of these follows."""


def optional(names: tuple[str, ...]) -> str:
    """Some architectures have no `rename`, only `renameat`."""
    return ",".join(f"?{name}" for name in names)


@dataclass
class Run:
    """What a victim said, and what strace saw."""

    replies: list[dict[str, Any]] = field(default_factory=list)
    is_killed: bool = False
    calls: list[str] = field(default_factory=list)

    @property
    def reply(self) -> dict[str, Any]:
        """What the call returned; empty if it never did."""
        return self.replies[0] if self.replies else {}

    def counts(self) -> Counter[str]:
        return Counter(
            match[1] for line in self.calls if (match := re.match(r"\d+ +(\w+)\(", line))
        )


class Server:
    """A running `victim.py`."""

    def __init__(self) -> None:
        self._is_busy = False
        self._begin()

    def _begin(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._rest = b""
        assert self.receive() == {"ready": True}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        # A victim that is left ends by itself: nobody reads what it has to say.
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(PATIENCE)

    def send(self, message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def receive(self, seconds: float = PATIENCE) -> dict[str, Any]:
        line = self.poll(seconds)
        assert line is not None, "the victim hangs"
        return line

    def poll(self, seconds: float) -> dict[str, Any] | None:
        """Give the next line, or `None` if there is none in time."""
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            if not select.select([self._process.stdout], [], [], seconds)[0]:
                return None
            data = self._process.stdout.read(65536)
            assert data, "the victims' server died"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        self._is_busy = self._is_busy and "killed" not in reply
        return reply

    def start(self, folder: Path, operation: str, **request: Any) -> int:
        """Fork a victim that is ready to begin; give its pid."""
        if self._is_busy:
            # A test failed, and left its victim behind: that is no reason for others to fail.
            self.__exit__()
            self._begin()
        self._is_busy = True
        self.send({"folder": str(folder), "operation": operation, **request})
        ready = self.receive()
        assert "pid" in ready, ready
        pid: int = ready["pid"]
        return pid

    def run(self, folder: Path, operation: str, *options: str, **request: Any) -> Run:
        """Let a victim do *operation* once under strace with *options*."""
        pid, run = self.start(folder, operation, **request), Run()
        with attached(pid, folder.parent / f"{folder.name}.strace", options) as tracer:
            self._attempt(run)
            if not run.is_killed:
                self.send(None)
                self._end(run)
            tracer.wait(PATIENCE)
        run.calls = (folder.parent / f"{folder.name}.strace").read_text().splitlines()
        return run

    def run_again(
        self,
        folder: Path,
        operation: str,
        *options: str,
        between: Callable[[Run], object],
        **request: Any,
    ) -> Run:
        """Let a victim do *operation* under strace, by itself after a recovery, and an issue."""
        pid, run = self.start(folder, operation, **request), Run()
        with attached(pid, Path(os.devnull), options) as tracer:
            self._attempt(run)
            # strace detaches: what it was told to break works again.
            tracer.send_signal(signal.SIGINT)
            tracer.wait(PATIENCE)
        between(run)
        self._attempt(run, recover=True)
        self._attempt(run, operation="issue", name="after.internal")
        self.send(None)
        self._end(run)
        return run

    def _attempt(self, run: Run, **request: Any) -> None:
        self.send(request)
        reply = self.receive()
        if "killed" in reply:
            run.is_killed = reply["killed"]
            assert run.is_killed, "the victim ended by itself"
        else:
            run.replies.append(reply)

    def _end(self, run: Run) -> None:
        reply = self.receive()
        assert "killed" in reply, reply
        run.is_killed = reply["killed"]


@contextmanager
def attached(pid: int, output: Path, options: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """Trace a process that waits, from before to after what happens in the `with`."""
    strace = program("strace")
    assert strace is not None
    with subprocess.Popen(
        [strace, "-f", "-o", output, "-p", str(pid), *options],
        stderr=subprocess.PIPE,
        text=True,
    ) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            tracer.wait(PATIENCE)
            os.kill(pid, signal.SIGKILL)
            unavailable(f"strace can't attach: {line.strip()}")
        try:
            yield tracer
        finally:
            tracer.kill()
