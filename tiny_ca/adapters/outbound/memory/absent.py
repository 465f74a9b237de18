"""Null objects: a manager without a registry, or without files."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from cryptography import x509

from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import DBNotInitedError, StorageError
from tiny_ca.domain.records import CertificateRecord, CRLEntry, CRLStamp, Location, Reservation
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
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

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
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

    def next_crl_number(self, issuer_id: str) -> NoReturn:
        """Raise `DBNotInitedError`."""
        raise DBNotInitedError

    def publish_crl(self, issuer_id: str, stamp: CRLStamp, swap: Callable[[], object]) -> NoReturn:
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
        folder = Path(location.folder or "") / location.uuid
        return {
            extension: folder / f"{location.file_name}{extension}"
            for extension in (".pem", ".key", ".csr")
        }

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

    def load_request(self, location: Location) -> KeyRequest:
        """Raise `StorageError`."""
        raise StorageError("There are no files: the manager was made with NoStorage.")

    def stage_crl(self, crl: x509.CertificateRevocationList, file_name: str) -> "_UnwrittenFile":
        """Keep nothing."""
        return _UnwrittenFile(Path(f"{file_name}.pem"))


class _UnwrittenFile:
    def __init__(self, name: Path) -> None:
        self._name = name

    def swap(self) -> Path:
        """Give the name that a file would have."""
        return self._name

    def discard(self) -> None:
        """Do nothing."""
