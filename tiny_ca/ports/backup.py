"""What backup and restore need of a registry and a storage, beyond their ports."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from tiny_ca.domain.backup import Row
from tiny_ca.domain.records import Location

__all__ = ["BackupRegistry", "BackupStorage", "Restoration"]


@runtime_checkable
class BackupRegistry(Protocol):
    """A registry whose rows can be copied.  Every method raises `RegistryError`."""

    @property
    def revision(self) -> str | None:
        """The schema's revision; `None`: any will do."""
        ...

    def export_rows(self, write: Callable[[str, Sequence[Row]], object]) -> None:
        """Call *write* with table and rows, page by page, all of one moment.

        A table comes after those that it refers to.  Writers are not kept waiting.  *write*
        must not use the registry; what it raises is raised.
        """
        ...

    def check_empty(self) -> None:
        """Raise `NotEmpty` if any table has a row."""
        ...

    def import_rows(self, pages: Iterable[tuple[str, Sequence[Row]]]) -> None:
        """Write all rows into an empty registry, in one transaction.

        A row may lack the table's own number.  *pages* must not use the registry; what it
        raises is raised.  Raises `NotEmpty`, `BackupError` for tables and columns that the
        registry does not have; nothing is written then.
        """
        ...


class Restoration(Protocol):
    """Files on their way into an empty storage."""

    @property
    def is_ready(self) -> bool:
        """Whether all files are there, durably, and wait to be published."""
        ...

    def add(self, path: str, data: bytes) -> None:
        """Write a file where nobody looks yet; CRLs for everybody, all else for the owner.

        *path* is relative, with `/`.  Raises `UnsafePath`, `StorageError`.
        """
        ...

    def make_ready(self) -> None:
        """Make what was added durable."""
        ...

    def discard(self) -> None:
        """Remove what was added."""
        ...

    def publish(self) -> None:
        """Move every file to where it belongs; going on after a crash ends the same."""
        ...


@runtime_checkable
class BackupStorage(Protocol):
    """A storage whose files can be copied.  Every method raises `StorageError`."""

    def export_folder(self, location: Location, serial_number: int) -> Mapping[str, bytes] | None:
        """Give the files of a certificate by name, as stored, published or still staged.

        `None` if the folder is gone or another certificate's; empty if no files are kept.
        """
        ...

    def export_crls(self) -> Iterator[tuple[str, bytes]]:
        """Give the published CRLs: file name and bytes."""
        ...

    def check_empty(self) -> None:
        """Raise `NotEmpty` if there is any folder; CRLs may be there."""
        ...

    def restoration(self, name: str) -> AbstractContextManager[Restoration]:
        """Begin or go on with the restoration *name*; one at a time, others wait.

        One that was not ready begins anew; one of another name, never published, is removed
        when this one adds its first file.
        """
        ...
