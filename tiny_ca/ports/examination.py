"""What an examination needs of a storage, beyond its port."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.records import Location

__all__ = ["ExaminableStorage"]


@runtime_checkable
class ExaminableStorage(Protocol):
    """A storage whose files can be gone through.  Every method raises `StorageError`."""

    def stored_certificates(self) -> Iterator[tuple[Path, x509.Certificate]]:
        """Give the first certificate of each published file that has one."""
        ...

    def exposed_keys(self) -> Iterator[Path]:
        """Give the files of private keys that others than their owner may read or write."""
        ...

    def make_private(self, key: Path) -> None:
        """Take all rights from others than the owner of one of those."""
        ...

    def certificate_path(self, location: Location) -> Path | None:
        """Give where the certificate's file of *location* is, readable or not; `None`: nowhere."""
        ...

    def add_certificate(self, location: Location, certificate: x509.Certificate) -> Path:
        """Write a certificate to *location*, beside what is there already.

        Raises `FileAlreadyExists` if there is one.
        """
        ...

    def read_crl_copy(self, file_name: str) -> bytes | None:
        """Give the copy that lies beside what `Storage.read_crl` gives, as DER; `None`: none.

        What can't be decoded is given as it is.
        """
        ...
