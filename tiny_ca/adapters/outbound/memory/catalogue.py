"""The part of `MemoryRegistry` that works on many rows, or takes one away."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from cryptography import x509

from tiny_ca.adapters.outbound.memory.crls import MemoryCRLs
from tiny_ca.domain.catalogue import CertificateFilter, RevokedBatch, check_deletable
from tiny_ca.domain.errors import AmbiguousSerialNumber, StillNeeded
from tiny_ca.domain.events import revoked
from tiny_ca.domain.ocsp import KeptResponse
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.revocation import revoke as revoke_rule
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import own_issuer_id

__all__ = ["MemoryCatalogue"]


def _position(row: CertificateRecord) -> int:
    return row.position or 0


class MemoryCatalogue(MemoryCRLs, ABC):
    """Its methods, over rows that the registry has."""

    _retry_keys: dict[str, tuple[str, int]]
    _issuer_rows: dict[str, list[tuple[str, int]]]
    _deleted: list[Location]
    _responses: dict[tuple[str, int], dict[str, KeptResponse]]

    @abstractmethod
    def get_by_serial(self, serial: int) -> CertificateRecord | None:
        """Give the certificate with this serial number."""

    @abstractmethod
    def _write_revocation(
        self, row: CertificateRecord, reason: CRLReason, at: datetime
    ) -> Revocation: ...

    @abstractmethod
    def _give_up_claim(self, row: CertificateRecord) -> None: ...

    def _matching(self, wanted: CertificateFilter, at: datetime) -> list[CertificateRecord]:
        """Give the rows that match, oldest first."""
        with self._lock:
            rows = [row for row in self._rows.values() if wanted.matches(row, at)]
        return sorted(rows, key=_position)

    def page(
        self,
        wanted: CertificateFilter,
        at: datetime,
        limit: int,
        before: int | None = None,
        offset: int = 0,
    ) -> list[CertificateRecord]:
        """Give the newest certificates that match, newest first."""
        rows = [
            row for row in self._matching(wanted, at) if before is None or _position(row) < before
        ]
        return rows[::-1][offset : offset + limit]

    def expiring(
        self,
        at: datetime,
        until: datetime,
        limit: int,
        after: tuple[datetime, int] | None = None,
    ) -> list[CertificateRecord]:
        """Give valid certificates that end from *at* to *until*, soonest first."""
        valid = self._matching(CertificateFilter(status=CertificateStatus.VALID), at)
        ending = sorted((row.not_after, _position(row), row) for row in valid)
        return [
            row
            for not_after, position, row in ending
            if not_after <= until and (after is None or (not_after, position) > after)
        ][:limit]

    def expire(self, at: datetime, limit: int) -> int:
        """Mark valid certificates that are over as expired; count them."""
        with self._lock:
            over = [
                (key, row)
                for key, row in self._rows.items()
                if row.status is CertificateStatus.VALID
                and row.status_at(at) is CertificateStatus.EXPIRED
            ][:limit]
            for key, row in over:
                self._rows[key] = replace(row, status=CertificateStatus.EXPIRED)
                self._give_up_claim(row)
            return len(over)

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
        with self._lock:
            self._check_unambiguous(wanted)
            rows = [row for row in self._matching(wanted, at) if _position(row) > after][:limit]
            changed: list[CertificateRecord] = []
            already: list[CertificateRecord] = []
            for row in rows:
                is_changed = revoke_rule(row.revocation, reason, at) != row.revocation
                (changed if is_changed else already).append(row)
            if not dry_run:
                for row in changed:
                    revocation = self._write_revocation(row, reason, at)
                    place = row.issuer_id, row.serial_number, row.common_name
                    self._tell([revoked(place, revocation, at)])
        return RevokedBatch(
            tuple(row.serial_number for row in changed),
            tuple(row.serial_number for row in already),
            _position(rows[-1]) if len(rows) == limit else None,
        )

    def _check_unambiguous(self, wanted: CertificateFilter) -> None:
        if wanted.issuer_id is not None or wanted.serial_numbers is None:
            return
        times = Counter(row.serial_number for row in self._rows.values())
        for serial_number in wanted.serial_numbers:
            if times[serial_number] > 1:
                raise AmbiguousSerialNumber(serial_number)

    def delete(self, serial_number: int, at: datetime, location: Location | None = None) -> bool:
        """Remove a row; false if there is no such certificate.  Raises `StillNeeded`."""
        with self._lock:
            row = self.get_by_serial(serial_number)
            if row is None:
                return False
            check_deletable(row, self._last_this_update(row.issuer_id), at)
            if self._has_issued(row):
                raise StillNeeded(serial_number, "is a CA's, and certificates of its are on record")
            key = row.issuer_id, serial_number
            self._give_up_claim(row)
            self._retry_keys = {name: of for name, of in self._retry_keys.items() if of != key}
            for keys in self._issuer_rows.values():
                if key in keys:
                    keys.remove(key)
            del self._rows[key]
            self._forget_revocation(row)
            self._responses.pop(key, None)
            if location is not None:
                self._deleted.append(location)
            return True

    def _has_issued(self, row: CertificateRecord) -> bool:
        if row.cert_type is not CertType.CA or row.certificate_pem is None:
            return False
        certificate = x509.load_pem_x509_certificate(row.certificate_pem.encode())
        issuer_id = own_issuer_id(certificate)
        others = [other for other in self._rows.values() if other is not row]
        return any(other.issuer_id == issuer_id for other in others)

    def deleted(self) -> Iterator[Location]:
        """Give where the files of deleted rows may still lie, unless another row's lie there."""
        with self._lock:
            taken = {(row.uuid, row.cert_path) for row in self._rows.values()}
            anywhere = {row.uuid for row in self._rows.values() if row.file_name is None}
            free = [
                one
                for one in self._deleted
                if (one.uuid, one.folder) not in taken and one.uuid not in anywhere
            ]
        yield from free

    def forget(self, location: Location) -> None:
        """Take back what `deleted` gives of *location*."""
        place = location.uuid, location.folder
        with self._lock:
            self._deleted = [one for one in self._deleted if (one.uuid, one.folder) != place]
