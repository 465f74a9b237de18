"""Reads a strace: what would a power loss, at this moment, take away?"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = ["TRACED", "Disk", "Moment"]

TRACED = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2",
    "mkdir", "mkdirat", "writev",
)  # fmt: skip

_ON_DESCRIPTOR = re.compile(r"\d+ +(\w+)\(\d+<([^>]*)>.* = \d+$")
_ON_PATHS = re.compile(r"\d+ +(\w+)\((.*)\) = \d+")
_OF_NO_INTEREST = re.compile(r"registry\.db|/witness/")
_QUOTED = re.compile(r'"([^"]*)"')


class Moment(NamedTuple):
    """What a power loss would find."""

    dirty: frozenset[Path]
    synced: frozenset[Path]
    commits: int
    """How often SQLite's log was written and then synced."""

    def below(self, folder: Path) -> set[Path]:
        """Give what is dirty of a folder and of all in it."""
        return {path for path in self.dirty if folder in (path, *path.parents)}

    @property
    def log(self) -> set[Path]:
        """Give SQLite's log, if it is dirty: what was committed is not durable."""
        return {path for path in self.dirty if path.name.endswith("-wal")}


@dataclass
class Disk:
    """What has been written and not been synced, as a trace goes by.

    `rename`, `mkdir` and new files are lines of their folder, which has to be synced for them.
    SQLite makes its files' entries durable itself, and its `-shm` need not be.
    """

    dirty: set[Path] = field(default_factory=set)
    synced: set[Path] = field(default_factory=set)
    commits: int = 0
    moments: dict[str, Moment] = field(default_factory=dict)
    """`signed`, `commit` (as its writing begins), `rename to <name>`, `returned`: the last each.

    Only of `signed` the first: no signature may be there before its record.
    """
    renames: list[tuple[Path, Path]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def replay(self, lines: list[str]) -> "Disk":
        for line in lines:
            if match := _ON_DESCRIPTOR.match(line):
                self._descriptor(match[1], Path(match[2]))
            elif match := _ON_PATHS.match(line):
                self._paths(match[1], [Path(path) for path in _QUOTED.findall(match[2])], line)
        return self

    def _descriptor(self, call: str, path: Path) -> None:
        self.seen[call] += 1
        if call == "writev":
            # What the victim says last, and where it keeps what was signed.
            self._moment("signed" if path.parent.name == "witness" else "returned")
        elif call in {"write", "pwrite64"}:
            if path.name.endswith("-wal") and path not in self.dirty:
                self._moment("commit")
            self.dirty.add(path)
            self.synced.discard(path)
        elif call in {"fsync", "fdatasync"}:
            if path.name.endswith("-wal") and path in self.dirty:
                self.commits += 1
            self.dirty.discard(path)
            self.synced.add(path)

    def _paths(self, call: str, paths: list[Path], line: str) -> None:
        self.seen[call] += 1
        if call.startswith("rename"):
            source, destination = paths[0], paths[-1]
            self._moment(f"rename to {destination.name}")
            self.renames.append((source, destination))
            self.dirty |= {source.parent, destination.parent}
        elif call.startswith("mkdir") or ("O_CREAT" in line and not _OF_NO_INTEREST.search(line)):
            self.dirty.add(paths[-1].parent)

    def _moment(self, name: str) -> None:
        # A checkpoint writes to the database itself: the log still has it all.
        dirty = {path for path in self.dirty if not path.name.endswith(("-shm", ".db"))}
        moment = Moment(frozenset(dirty), frozenset(self.synced), self.commits)
        if name != "signed" or name not in self.moments:
            self.moments[name] = moment
