"""Archives: one file of many members."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

__all__ = ["ArchiveReader", "ArchiveWriter", "Archives"]


class ArchiveWriter(Protocol):
    """An archive that is being written."""

    def add(self, name: str, data: bytes) -> None:
        """Append a member.  Raises `StorageError`."""
        ...

    def members(self, prefix: str) -> Iterator[bytes]:
        """Give back the members of which *prefix* is a folder, as far as they are written."""
        ...


class ArchiveReader(Protocol):
    """An archive that is being read: the same file, however often and whoever replaces it."""

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Give names and contents from the first member on, one in memory at a time.

        Raises `BackupError` for what is no archive, or is cut off, and for a member that is
        not a regular file or larger than any that is written; `StorageError`.
        """
        ...


@runtime_checkable
class Archives(Protocol):
    """Makes and opens archives."""

    def create(
        self, path: Path, *, is_overwrite: bool = False
    ) -> AbstractContextManager[ArchiveWriter]:
        """Write an archive for the owner only, durable and at *path* when the block has ended.

        An exception in the block leaves *path* as it was.  Raises `FileAlreadyExists` unless
        *is_overwrite*, `StorageError`.
        """
        ...

    def open(self, path: Path) -> AbstractContextManager[ArchiveReader]:
        """Open an archive.  Raises `StorageError` if there is none."""
        ...
