"""`tiny-ca`, in process or as a process of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import App

from tiny_ca.adapters.inbound.cli import main
from tiny_ca.adapters.inbound.cli.main import app

__all__ = ["Ran", "command_paths", "process", "tiny_ca"]


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def tiny_ca(*arguments: str | Path) -> Ran:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(each) for each in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def process(*arguments: str | Path, **options: Any) -> Ran:
    """Run the command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tiny_ca", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
        **options,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def environment(**more: str) -> dict[str, str]:
    """Give this process's environment, for one that runs this very tree."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **more}


def command_paths(of: App | None = None, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the words that call each command, `ca import` as two."""
    of = app() if of is None else of
    for name in of:
        if name.startswith("-"):
            continue
        below = of[name]
        inner = list(command_paths(below, (*above, name)))
        yield from inner or [(*above, name)]
