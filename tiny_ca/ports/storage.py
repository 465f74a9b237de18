"""Files."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.records import Location
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["Artefacts", "KeyRequest", "Leftover", "StagedCRL", "StagedFile", "Storage"]


@dataclass(frozen=True, slots=True)
class Artefacts:
    """What one issuance leaves behind."""

    certificate: x509.Certificate
    private_key: PrivateKey | None = None
    csr: x509.CertificateSigningRequest | None = None
    paths: Mapping[str, Path] = field(default_factory=dict, compare=False)
    """Where they are, by extension, if they were loaded."""

    def values(self) -> Mapping[str, Any]:
        """Give what there is to write, by extension."""
        values = {".pem": self.certificate, ".key": self.private_key, ".csr": self.csr}
        return {extension: value for extension, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A key that waits for a certificate, and the request for it."""

    private_key: PrivateKey
    csr: x509.CertificateSigningRequest

    def values(self) -> Mapping[str, Any]:
        """Give what there is to write, by extension."""
        return {".key": self.private_key, ".csr": self.csr}


@dataclass(frozen=True, slots=True)
class Leftover:
    """A staged folder that is not published (yet)."""

    uuid: str
    staged_at: datetime
    serial_number: int | None
    """Of the certificate in it; `None` if there is none, whole."""


class StagedFile(Protocol):
    """A file that is written durably, and not visible under its name yet."""

    def swap(self) -> Path:
        """Give it its name, in place of what had it, atomically and durably.

        Raises `StorageError`; the former file is then still there.
        """
        ...

    def discard(self) -> None:
        """Remove it, unless it was swapped in.  Raises `StorageError`."""
        ...


class StagedCRL(StagedFile, Protocol):
    """A CRL that can be read again before it is swapped in."""

    def read(self) -> bytes | memoryview:
        """Give what was written, DER, from where it lies now.  Raises `StorageError`.

        The `obj` of a memoryview of a mapped file can have a method `forget(start, stop)`, which
        is called with what was read and may leave the memory.
        """
        ...


@runtime_checkable
class Storage(Protocol):
    """Keeps certificates, keys, requests and CRLs.

    Every method raises `StorageError` when the medium fails.  A folder is staged whole and
    published by one atomic step, so that nobody sees half of it.
    """

    def check_vacant(self, location: Location) -> None:
        """Raise `FileAlreadyExists` if something lies at *location*.

        Raises `StorageError` if nothing ever can: what can't be published is found before it
        is issued.
        """
        ...

    def stage(
        self, location: Location, artefacts: Artefacts | KeyRequest, *, replaces: bool = False
    ) -> None:
        """Write *artefacts* durably where nobody looks yet; private keys for the owner only.

        Raises `FileAlreadyExists` if a folder of this uuid is staged already or, unless it
        *replaces* it, published at *location*; of two that try at once, one succeeds.
        """
        ...

    def publish(self, location: Location) -> dict[str, Path]:
        """Move the staged folder to *location*, in place of a folder that is there.

        Gives the files' paths by extension (`".pem"`, `".key"`, `".csr"`).  Publishing what
        is published already changes nothing.
        """
        ...

    def discard(self, uuid: str) -> None:
        """Remove a staged folder; none is no error."""
        ...

    def leftovers(self) -> Iterator[Leftover]:
        """Give every staged folder."""
        ...

    def delete(self, location: Location) -> None:
        """Remove a published folder; none is no error."""
        ...

    def find_folder(self, uuid: str) -> str | None:
        """Give the folder, relative to the base, that holds *uuid*; `None`: the base, or none."""
        ...

    def load(self, location: Location) -> Artefacts:
        """Give what is published at *location*, private keys opened by the storage's passphrase.

        Raises `StorageError` if the certificate is not there or something can't be read; a
        key or request that is not there is `None`.
        """
        ...

    def load_request(self, location: Location) -> KeyRequest:
        """Give the key and request at *location*.

        Raises `StorageError` if one of them is not there or can't be read.
        """
        ...

    def stage_crl(self, write: Callable[[BinaryIO], object], file_name: str) -> StagedCRL:
        """Have a CRL, DER, written into a file that can be read and sought, and make it durable.

        Swapped in, it is `<file_name>.der` in the base folder, and `<file_name>.pem` as well.
        Nothing is left of it if *write* raises, which is raised.
        """
        ...

    def read_crl(self, file_name: str) -> bytes | memoryview | None:
        """Give the CRL that is published as *file_name*, DER; `None` if there is none.

        A later one in its place does not change what was given.
        """
        ...
