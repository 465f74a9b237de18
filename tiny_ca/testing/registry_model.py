"""A registry in its simplest form: what the adapters' answers are compared with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from cryptography import x509

from tiny_ca.domain.catalogue import CertificateFilter, RevokedBatch, check_deletable
from tiny_ca.domain.crl import COMPLETE, CRLPart, CRLScope, Shard, encode_crl_entry
from tiny_ca.domain.errors import (
    AmbiguousSerialNumber,
    IdempotencyKeyTaken,
    NotOnHold,
    NotUniqueCertOwner,
    ReservationLost,
    SerialNumberCollision,
    StillNeeded,
    TinyCAError,
    ValidationCertError,
)
from tiny_ca.domain.records import (
    CertificateRecord,
    CertificateStatus,
    CRLEntry,
    CRLStamp,
    Reservation,
)
from tiny_ca.domain.revocation import CRLReason, Revocation, owed_by_crl
from tiny_ca.domain.revocation import revoke as revoke_rule
from tiny_ca.domain.serial import CertType
from tiny_ca.testing.samples import issuer_id_of_name, record_of

__all__ = ["Refused", "RegistryModel"]

PENDING, VALID = CertificateStatus.PENDING, CertificateStatus.VALID


class Refused(Exception):
    """The call has to raise one of *errors*, and to change nothing."""

    def __init__(self, *errors: type[TinyCAError]) -> None:
        super().__init__(errors)
        self.errors = errors


class RegistryModel:
    """`ports.registry.Registry` as a list of rows that is always searched from end to end.

    Raises `Refused` where a registry raises: when two errors are due, either may come.
    """

    def __init__(self) -> None:
        self._rows: list[CertificateRecord] = []
        self._claimants: set[int] = set()
        """Indices of the rows that claim their names."""
        self._retry_keys: dict[str, int] = {}
        self._published: dict[tuple[str, CRLScope], CRLStamp] = {}
        self._said: dict[int, tuple[int, CRLEntry]] = {}
        """By index of the row: what CRLs say of it, and the CRL that was drawn last by then."""
        self.drawn: dict[str, int] = {}
        """Of each issuer, the last CRL number."""

    def _find(self, serial: int, issuer_id: str | None = None) -> int | None:
        found = [
            i
            for i, row in enumerate(self._rows)
            if row.serial_number == serial and issuer_id in (None, row.issuer_id)
        ]
        if len(found) > 1:
            raise Refused(AmbiguousSerialNumber)
        return found[0] if found else None

    def _holder(self, name: str, now: datetime) -> int | None:
        """Give who claims *name*, if it is not over."""
        holder = next((i for i in self._claimants if self._rows[i].common_name == name), None)
        if holder is None or self._rows[holder].status_at(now) is CertificateStatus.EXPIRED:
            return None
        return holder

    def _expire(self, name: str, now: datetime) -> None:
        for i in list(self._claimants):
            row = self._rows[i]
            if row.common_name == name and row.status_at(now) is CertificateStatus.EXPIRED:
                self._claimants.remove(i)
                self._rows[i] = replace(row, status=CertificateStatus.EXPIRED)

    def get_by_serial(self, serial: int, issuer_id: str | None = None) -> CertificateRecord | None:
        """Give the only row with this serial number."""
        found = self._find(serial, issuer_id)
        return None if found is None else self._rows[found]

    def get_by_name(self, common_name: str) -> CertificateRecord | None:
        """Give the valid row that claims the name."""
        rows = [self._rows[i] for i in self._claimants]
        found = [row for row in rows if row.common_name == common_name and row.status is VALID]
        return found[0] if found else None

    def get_by_idempotency_key(self, key: str) -> CertificateRecord | None:
        """Give the row that was reserved under the key, if it is not abandoned."""
        found = self._retry_keys.get(key)
        return None if found is None else self._rows[found]

    def reserve(self, reservations: Sequence[Reservation]) -> None:
        """Add a pending row; the machine reserves one at a time."""
        [reservation] = reservations
        row, now = record_of(reservation, PENDING), reservation.created_at
        claims_name = reservation.claims_name
        predecessor, errors = self._predecessor(reservation) if claims_name else (None, [])
        inherits = predecessor is not None and predecessor == self._holder(row.common_name, now)
        key = None if reservation.retry_key is None else reservation.retry_key.key
        if key is not None and self.get_by_idempotency_key(key) is not None:
            errors.append(IdempotencyKeyTaken)
        self._add(row, now, *errors, claims=claims_name and not inherits)
        if key is not None:
            self._retry_keys[key] = len(self._rows) - 1

    def _predecessor(self, reservation: Reservation) -> tuple[int | None, list[type[TinyCAError]]]:
        if reservation.predecessor is None:
            return None, []
        try:
            return self._find(reservation.predecessor, reservation.predecessor_issuer_id), []
        except Refused as refused:
            return None, [*refused.errors]

    def _add(
        self, row: CertificateRecord, now: datetime, *due: type[TinyCAError], claims: bool
    ) -> None:
        errors = [*due]
        key = row.issuer_id, row.serial_number
        if any((other.issuer_id, other.serial_number) == key for other in self._rows):
            errors.append(SerialNumberCollision)
        if claims and self._holder(row.common_name, now) is not None:
            errors.append(NotUniqueCertOwner)
        if errors:
            raise Refused(*errors)
        if claims:
            self._expire(row.common_name, now)
            self._claimants.add(len(self._rows))
        self._rows.append(row)

    def _pending(self, issuer_id: str, serial_number: int) -> int | None:
        for i, row in enumerate(self._rows):
            if (row.issuer_id, row.serial_number, row.status) == (
                issuer_id,
                serial_number,
                PENDING,
            ):
                return i
        return None

    def commit(self, signed: Sequence[tuple[Reservation, x509.Certificate]], at: datetime) -> None:
        """Make the row valid, and its predecessor superseded."""
        [(reservation, certificate)] = signed
        mine = self._pending(reservation.issuer_id, reservation.serial_number)
        old, errors = self._predecessor(reservation)
        if mine is None:
            errors.append(ReservationLost)
        if reservation.predecessor is not None and (
            old is None or self._rows[old].status is not VALID
        ):
            errors.append(ValidationCertError)
        if errors or mine is None:
            raise Refused(*errors)
        self._rows[mine] = record_of(reservation, VALID, certificate)
        if old is not None:
            is_of_name = self._rows[old].common_name == reservation.common_name
            if old in self._claimants and is_of_name and reservation.claims_name:
                self._claimants.add(mine)
            self._claimants.discard(old)
            if reservation.supersedes:
                self._revoke(old, CRLReason.SUPERSEDED, at)

    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        """Close a pending row."""
        mine = self._pending(issuer_id, serial_number)
        if mine is None:
            return False
        self._close(mine)
        self._claimants.discard(mine)
        return True

    def _close(self, i: int) -> None:
        self._write(i, CertificateStatus.ABANDONED, None)
        self._retry_keys = {key: of for key, of in self._retry_keys.items() if of != i}

    def register(
        self, certificate: x509.Certificate, reservation: Reservation, at: datetime
    ) -> None:
        """Add a valid row, of a certificate that says what *reservation* does."""
        row = record_of(reservation, VALID, certificate)
        self._add(replace(row, cert_path=None, file_name=None), at, claims=True)

    def _revoke(self, i: int, reason: CRLReason, at: datetime) -> None:
        row = self._rows[i]
        revocation = revoke_rule(row.revocation, reason, at)
        if revocation != row.revocation:
            date, why = revocation.revocation_date, revocation.reason
            self._say(i, CRLEntry(row.serial_number, date, why))
        self._write(i, CertificateStatus.REVOKED, revocation)
        self._claimants.discard(i)

    def _say(self, i: int, entry: CRLEntry) -> None:
        # A CRL has whole seconds.
        entry = replace(entry, revocation_date=entry.revocation_date.replace(microsecond=0))
        self._said[i] = self.drawn.get(self._rows[i].issuer_id, 0), entry

    def _write(self, i: int, status: CertificateStatus, revocation: Revocation | None) -> None:
        self._rows[i] = replace(
            self._rows[i],
            status=status,
            revocation_date=None if revocation is None else revocation.revocation_date,
            revocation_reason=None if revocation is None else revocation.reason,
        )

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        issuer_id: str | None = None,
    ) -> bool:
        """Revoke."""
        found = self._find(serial_number, issuer_id)
        if found is not None:
            self._revoke(found, reason, at)
        return found is not None

    def release(self, serial_number: int, at: datetime, issuer_id: str | None = None) -> bool:
        """Lift a hold."""
        found = self._find(serial_number, issuer_id)
        if found is None:
            return False
        row = self._rows[found]
        if row.revocation is None or not row.revocation.is_hold:
            raise Refused(NotOnHold)
        self._say(found, CRLEntry(serial_number, at, CRLReason.REMOVE_FROM_CRL))
        self._expire(row.common_name, at)
        is_signed = row.certificate_pem is not None
        if not is_signed:
            self._close(found)
            return True
        self._write(found, VALID, None)
        if row.claims_name and self._holder(row.common_name, at) is None:
            self._claimants.add(found)
        return True

    def expire(self, at: datetime) -> None:
        """Mark what is over."""
        for i, row in enumerate(self._rows):
            if row.status_at(at) is CertificateStatus.EXPIRED:
                self._rows[i] = replace(row, status=CertificateStatus.EXPIRED)
                self._claimants.discard(i)

    def revoke_many(
        self, wanted: CertificateFilter, reason: CRLReason, at: datetime
    ) -> RevokedBatch:
        """Revoke what matches."""
        if wanted.issuer_id is None:
            for serial_number in wanted.serial_numbers or ():
                self._find(serial_number)
        revoked: list[int] = []
        already: list[int] = []
        for i, row in enumerate(self._rows):
            if wanted.matches(row, at):
                self._revoke(i, reason, at)
                is_changed = self._rows[i].revocation != row.revocation
                (revoked if is_changed else already).append(row.serial_number)
        return RevokedBatch(tuple(revoked), tuple(already), None)

    def delete(self, serial_number: int, at: datetime) -> bool:
        """Put what matches no question in the row's place."""
        found = self._find(serial_number)
        if found is None:
            return False
        row = self._rows[found]
        complete = [
            stamp.this_update
            for (issuer_id, scope), stamp in self._published.items()
            if issuer_id == row.issuer_id and not scope.is_delta
        ]
        try:
            check_deletable(row, min(complete, default=None), at)
        except StillNeeded:
            raise Refused(StillNeeded) from None
        self._close(found)
        self._claimants.discard(found)
        self._said.pop(found, None)
        self._rows[found] = replace(
            self._rows[found], serial_number=-found, issuer_id="", certificate_pem=None
        )
        return True

    def page(self, wanted: CertificateFilter, at: datetime) -> list[CertificateRecord]:
        """Give what matches, newest first."""
        return [row for row in reversed(self._rows) if wanted.matches(row, at)]

    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        """Give pending rows."""
        return (r for r in self._rows if r.status is PENDING and r.created_at < created_before)

    def authorities(self) -> Iterator[CertificateRecord]:
        """Give valid rows of CAs."""
        return (r for r in self._rows if r.status is VALID and r.cert_type is CertType.CA)

    def issuer_certificates(self, issuer_id: str) -> list[CertificateRecord]:
        """Give the certificates of a CA."""
        return [
            row
            for row in self._rows
            if row.cert_type is CertType.CA
            and row.certificate_pem is not None
            and issuer_id_of_name(row.common_name) == issuer_id
        ]

    def revoked(self, issuer_id: str) -> Iterator[CRLEntry]:
        """Give what is owed."""
        last = self._last(issuer_id, COMPLETE)
        for row in self._rows:
            held = row.revocation
            if row.issuer_id == issuer_id and held and owed_by_crl(held, row.not_after, last):
                yield CRLEntry(row.serial_number, held.revocation_date, held.reason)

    def _last(self, issuer_id: str, scope: CRLScope) -> datetime | None:
        stamp = self.last_crl(issuer_id, scope)
        return None if stamp is None else stamp.this_update

    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        """Give what is owed, or what was said since a CRL."""
        last = self._last(issuer_id, CRLScope(shard))
        for i, (number, entry) in self._said.items():
            row = self._rows[i]
            if since is not None:
                is_wanted = number >= since
            else:
                held = row.revocation
                is_wanted = held is not None and owed_by_crl(held, row.not_after, last)
            is_in = shard is None or Shard.of(row.serial_number, shard.count) == shard
            if row.issuer_id == issuer_id and is_wanted and is_in:
                yield CRLPart(1, encode_crl_entry(entry))

    def last_crl(self, issuer_id: str, scope: CRLScope = COMPLETE) -> CRLStamp | None:
        """Give the last stamp."""
        return self._published.get((issuer_id, scope))

    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> bool:
        """Record the stamp, unless one with its number or a higher one is recorded."""
        published = self._published.get((issuer_id, scope))
        if published is not None and published.number >= stamp.number:
            return False
        swap()
        self._published[issuer_id, scope] = stamp
        return True
