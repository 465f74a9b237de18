"""The part of `ports.registry.Registry` that works on many rows, or takes one away."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from tiny_ca.adapters.outbound.db import bulk, selection
from tiny_ca.domain.catalogue import (
    AT_ONCE,
    CertificateFilter,
    RevokedBatch,
    cert_type_of,
    status_of,
)
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

__all__ = ["SQLCatalogue"]

T = TypeVar("T")


class SQLCatalogue(ABC):
    """Its methods, each one transaction; `SQLRegistry` has the rest."""

    @abstractmethod
    def _read(self, work: Callable[[Connection], T]) -> T: ...

    @abstractmethod
    def _write(self, work: Callable[[Connection], T], within: object = None) -> T: ...

    @abstractmethod
    def _pages(
        self, page: Callable[[Connection, int], tuple[list[T], int | None]]
    ) -> Iterator[T]: ...

    def page(
        self,
        wanted: CertificateFilter,
        at: datetime,
        limit: int,
        before: int | None = None,
        offset: int = 0,
    ) -> list[CertificateRecord]:
        """Give the newest certificates that match, newest first."""
        work = partial(
            selection.page, wanted=wanted, at=at, limit=limit, before=before, offset=offset
        )
        return self._read(work)

    def expiring(
        self,
        at: datetime,
        until: datetime,
        limit: int,
        after: tuple[datetime, int] | None = None,
    ) -> list[CertificateRecord]:
        """Give valid certificates that end from *at* to *until*, soonest first."""
        return self._read(partial(selection.expiring, at=at, until=until, limit=limit, after=after))

    def expire(self, at: datetime, limit: int) -> int:
        """Mark valid certificates that are over as expired; count them."""
        return self._write(partial(bulk.expire, at=at, limit=limit))

    def revoke_many(
        self,
        wanted: CertificateFilter,
        reason: CRLReason,
        at: datetime,
        limit: int,
        after: int = 0,
        *,
        dry_run: bool = False,
    ) -> RevokedBatch:
        """Revoke the oldest *limit* rows that match, all or none."""
        work = partial(
            bulk.revoke_many,
            wanted=wanted,
            reason=reason,
            at=at,
            limit=limit,
            after=after,
            dry_run=dry_run,
        )
        return self._read(work) if dry_run else self._write(work)

    def delete(self, serial_number: int, at: datetime, location: Location | None = None) -> bool:
        """Remove a row; false if there is no such certificate.  Raises `StillNeeded`."""
        return self._write(
            partial(bulk.delete_row, serial_number=serial_number, at=at, location=location)
        )

    def deleted(self) -> Iterator[Location]:
        """Give where the files of deleted rows may still lie, in pages."""
        return self._pages(bulk.deleted_page)

    def forget(self, location: Location) -> None:
        """Take back what `deleted` gives of *location*."""
        self._write(partial(bulk.forget, location=location))

    def list_all(
        self,
        status: CertificateStatus | str | None = None,
        key_type: CertType | str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[CertificateRecord]:
        """Give the newest certificates, as tiny_ca 0.2 does."""
        wanted = CertificateFilter(
            status=None if status is None else status_of(status),
            cert_types=None if key_type is None else frozenset({cert_type_of(key_type)}),
        )
        return self.page(wanted, datetime.now(UTC), limit, offset=offset)

    def get_expiring(self, within_days: int = 30) -> list[CertificateRecord]:
        """Give every valid certificate that ends within so many days, soonest first."""
        now, found = datetime.now(UTC), list[CertificateRecord]()
        until, after = now + timedelta(days=within_days), None
        while records := self.expiring(now, until, AT_ONCE, after):
            found += records
            after = records[-1].not_after, records[-1].position or 0
        return found

    def delete_by_uuid(self, uuid: str) -> bool:
        """Remove the rows whose folder has this name; true if there was one.

        The folder is the caller's to delete.  Raises `StillNeeded`; see `delete`.
        """
        now, wanted = datetime.now(UTC), CertificateFilter(uuid=uuid)
        records = self.page(wanted, now, AT_ONCE)
        return sum(self.delete(record.serial_number, now) for record in records) > 0

    def update_status_expired(self) -> int:
        """Mark every valid certificate that is over as expired; count them."""
        now, total = datetime.now(UTC), 0
        while count := self.expire(now, AT_ONCE):
            total += count
        return total
