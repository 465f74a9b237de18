"""What others may fetch."""

from typing import Protocol, runtime_checkable

__all__ = ["PublishedFiles"]


@runtime_checkable
class PublishedFiles(Protocol):
    """A storage that gives back the CRLs that were swapped in."""

    def read_crl(self, file_name: str) -> bytes | memoryview | None:
        """Give the CRL of this name, DER; `None`: none was swapped in.  Raises `StorageError`."""
        ...
