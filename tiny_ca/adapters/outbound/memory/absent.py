"""Null objects: a manager without a registry, or without files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NoReturn

from cryptography import x509

from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.crl import COMPLETE, CRLPart, CRLScope, Shard
from tiny_ca.domain.errors import DBNotInitedError, StorageError
from tiny_ca.domain.records import (
    CertificateRecord,
    CRLEntry,
    CRLStamp,
    Location,
    PublishingLease,
    Reservation,
)
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.history import PastCertificate
from tiny_ca.ports.storage import Artefacts, KeyRequest, Leftover

__all__ = ["NoRegistry", "NoStorage"]


class NoRegistry:
    """Records nothing: what is issued can't be looked up, revoked or put on a CRL.

    Reserving and committing do nothing; all else raises `DBNotInitedError`.
    """

    def reserve(self, reservations: Sequence[Reservation]) -> None:
        """Do nothing: the random bits alone keep serial numbers apart."""

    def commit(
        self,
        signed: Sequence[tuple[Reservation, x509.Certificate]],
        at: datetime,
        within: object = None,
    ) -> None:
        """Do nothing."""

    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        """Do nothing, successfully."""
        return True

    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        """Give nothing: nothing was reserved."""
        return iter(())

    def issuer_certificates(self, issuer_id: str) -> list[CertificateRecord]:
        """Give nothing: no CA is on record."""
        return []

    def get_many(self, issuer_id: str, serials: Sequence[int]) -> Iterator[CertificateRecord]:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def deleted_serials(self, issuer_id: str, serials: Sequence[int]) -> set[int]:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def crl_files_owner(self) -> str | None:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def own_crl_files(self, issuer_id: str) -> None:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def get_by_idempotency_key(self, key: str) -> CertificateRecord | None:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def get_by_serial(self, serial: int, issuer_id: str | None = None) -> CertificateRecord | None:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def get_by_name(self, common_name: str) -> CertificateRecord | None:
        """Give `None`: no name is claimed."""
        return None

    def register(
        self,
        certificate: x509.Certificate,
        uuid: str | None,
        cert_type: CertType,
        at: datetime,
        *,
        location: Location | None = None,
        claims_name: bool = True,
    ) -> None:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def record_past(
        self,
        past: Sequence[PastCertificate],
        at: datetime,
        crl_numbers: Mapping[str, int] | None = None,
    ) -> int:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        invalidity_date: datetime | None = None,
        issuer_id: str | None = None,
    ) -> bool:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def release(self, serial_number: int, at: datetime, issuer_id: str | None = None) -> bool:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def authorities(self) -> Iterator[CertificateRecord]:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def revoked(self, issuer_id: str) -> Iterator[CRLEntry]:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def begin_publishing(self, lease: PublishingLease, at: datetime) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def end_publishing(self, lease: PublishingLease) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def next_crl_number(self, issuer_id: str) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def last_crl(self, issuer_id: str, scope: CRLScope = COMPLETE) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def page(
        self,
        wanted: CertificateFilter,
        at: datetime,
        limit: int,
        before: int | None = None,
        offset: int = 0,
    ) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def expiring(
        self,
        at: datetime,
        until: datetime,
        limit: int,
        after: tuple[datetime, int] | None = None,
    ) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def expire(self, at: datetime, limit: int) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def revoke_many(
        self,
        wanted: CertificateFilter,
        reason: CRLReason,
        at: datetime,
        limit: int,
        after: int = 0,
        *,
        dry_run: bool = False,
    ) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def delete(
        self, serial_number: int, at: datetime, location: Location | None = None
    ) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def deleted(self) -> Iterator[Location]:
        """Give nothing: nothing was deleted."""
        return iter(())

    def forget(self, location: Location) -> None:
        """Do nothing."""


class NoStorage:
    """Writes no files: what is issued lives in the registry and in the caller's hands."""

    def check_vacant(self, location: Location) -> None:
        """Do nothing: there is always room."""

    def stage(
        self, location: Location, artefacts: Artefacts | KeyRequest, *, replaces: bool = False
    ) -> None:
        """Do nothing."""

    def publish(self, location: Location) -> dict[str, Path]:
        """Give the paths that the files would have."""
        file = "/".join(filter(None, (location.folder, location.uuid, location.file_name)))
        return {extension: Path(file + extension) for extension in (".pem", ".key", ".csr")}

    def discard(self, uuid: str) -> None:
        """Do nothing."""

    def leftovers(self) -> Iterator[Leftover]:
        """Give nothing."""
        return iter(())

    def delete(self, location: Location) -> None:
        """Do nothing."""

    def find_folder(self, uuid: str) -> str | None:
        """Give `None`."""
        return None

    def load(self, location: Location) -> Artefacts:
        """Raise `StorageError`."""
        raise StorageError("There are no files: the manager was made with NoStorage.")

    def stage_crl(self, write: Callable[[BinaryIO], object], file_name: str) -> "_UnwrittenFile":
        """Keep what is written until it is let go."""
        file = BytesIO()
        write(file)
        return _UnwrittenFile(Path(f"{file_name}.pem"), file.getvalue())

    def read_crl(self, file_name: str) -> None:
        """Give `None`."""

    def load_request(self, location: Location) -> KeyRequest:
        """Raise `StorageError`."""
        raise StorageError("There are no files: the manager was made with NoStorage.")

    def export_folder(self, location: Location, serial_number: int) -> dict[str, bytes]:
        """Give no files, though none is missing."""
        return {}

    def export_crls(self) -> Iterator[tuple[str, bytes]]:
        """Give nothing."""
        return iter(())

    def check_empty(self) -> None:
        """Do nothing: there is never anything."""

    @contextmanager
    def restoration(self, name: str) -> Iterator["_NoRestoration"]:
        """Take no files."""
        yield _NoRestoration()


class _NoRestoration:
    is_ready = False

    def add(self, path: str, data: bytes) -> None:
        """Raise `StorageError`: a certificate's files must not get lost."""
        raise StorageError(f"The backup holds {path}, and the manager was made with NoStorage.")

    def make_ready(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""

    def publish(self) -> None:
        """Do nothing."""


class _UnwrittenFile:
    def __init__(self, name: Path, data: bytes) -> None:
        self._name = name
        self._data = data

    def read(self) -> bytes:
        """Give what was written."""
        return self._data

    def swap(self) -> Path:
        """Give the name that a file would have."""
        return self._name

    def discard(self) -> None:
        """Do nothing."""
