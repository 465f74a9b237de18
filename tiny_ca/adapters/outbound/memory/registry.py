"""`MemoryRegistry`: rows in a dictionary."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tiny_ca.adapters.outbound.memory.backup import MemoryRows
from tiny_ca.adapters.outbound.memory.catalogue import MemoryCatalogue
from tiny_ca.adapters.outbound.memory.ocsp import MemoryResponses
from tiny_ca.adapters.outbound.memory.past import MemoryPast
from tiny_ca.domain import events
from tiny_ca.domain.errors import (
    AmbiguousSerialNumber,
    IdempotencyKeyTaken,
    InvalidRequest,
    NotUniqueCertOwner,
    ReservationLost,
    SerialNumberCollision,
    ValidationCertError,
    revoked_meanwhile,
)
from tiny_ca.domain.ocsp import KeptResponse
from tiny_ca.domain.records import (
    CertificateRecord,
    CertificateStatus,
    Location,
    Reservation,
)
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.revocation import release as check_release
from tiny_ca.domain.revocation import revoke as revoke_rule
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import is_ca, issuer_id_of, own_issuer_id

__all__ = ["MemoryRegistry"]

_Key = tuple[str, int]


class MemoryRegistry(MemoryCatalogue, MemoryPast, MemoryResponses, MemoryRows):
    """Keeps rows in memory; thread-safe.  Implements `ports.registry.Registry` and `Outbox`."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[str, _Key] = {}
        self._retry_keys: dict[str, _Key] = {}
        self._issuer_rows: dict[str, list[_Key]] = {}
        self._positions = count(1)
        self._deleted: list[Location] = []
        self._responses: dict[_Key, dict[str, KeptResponse]] = {}

    def get_by_serial(self, serial: int, issuer_id: str | None = None) -> CertificateRecord | None:
        """Give the certificate with this serial number."""
        with self._lock:
            if issuer_id is not None:
                return self._rows.get((issuer_id, serial))
            rows = [row for row in self._rows.values() if row.serial_number == serial]
        if len(rows) > 1:
            raise AmbiguousSerialNumber(serial)
        return rows[0] if rows else None

    def get_many(self, issuer_id: str, serials: Sequence[int]) -> Iterator[CertificateRecord]:
        """Give an issuer's certificates of these serial numbers."""
        with self._lock:
            found = [self._rows.get((issuer_id, serial)) for serial in serials]
        yield from (row for row in found if row is not None)

    def get_by_name(self, common_name: str) -> CertificateRecord | None:
        """Give the valid certificate that claims *common_name*."""
        with self._lock:
            key = self._claims.get(common_name)
            row = None if key is None else self._rows[key]
        return row if row is not None and row.status is CertificateStatus.VALID else None

    def get_by_idempotency_key(self, key: str) -> CertificateRecord | None:
        """Give the certificate that was reserved under *key*, unless it was abandoned."""
        with self._lock:
            place = self._retry_keys.get(key)
            return None if place is None else self._rows[place]

    def reserve(self, reservations: Sequence[Reservation]) -> None:
        """Write pending rows, or raise `SerialNumberCollision` or `NotUniqueCertOwner`."""
        with self._all_or_none():
            for reservation in reservations:
                self._reserve(reservation)

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        with self._lock:
            names = "_rows", "_claims", "_retry_keys", "_listed"
            before = {name: getattr(self, name).copy() for name in names}
            try:
                yield
            except BaseException:
                vars(self).update(before)
                raise

    def _reserve(self, reservation: Reservation) -> None:
        place, retry_key = reservation.location, reservation.retry_key
        row = CertificateRecord(
            serial_number=reservation.serial_number,
            issuer_id=reservation.issuer_id,
            common_name=reservation.common_name,
            cert_type=reservation.cert_type,
            status=CertificateStatus.PENDING,
            not_before=reservation.validity.not_before,
            not_after=reservation.validity.not_after,
            uuid=place.uuid,
            cert_path=place.folder,
            file_name=place.file_name,
            created_at=reservation.created_at,
            certificate_pem=None,
            revocation_date=None,
            revocation_reason=None,
            request_hash=None if retry_key is None else retry_key.request_hash,
            profile=reservation.profile,
            claims_name=reservation.claims_name,
        )
        with self._lock:
            if retry_key is not None and retry_key.key in self._retry_keys:
                raise IdempotencyKeyTaken(f"{retry_key.key!r} was used before.")
            claims = reservation.claims_name and not self._inherits(reservation)
            self._insert(row, reservation.created_at, claims=claims)
            if retry_key is not None:
                self._retry_keys[retry_key.key] = _key(row)

    def _inherits(self, reservation: Reservation) -> bool:
        """Whether the claim is the predecessor's, and moves at the commit."""
        predecessor = self._predecessor(reservation)
        return (
            predecessor is not None
            and predecessor.status_at(reservation.created_at) is not CertificateStatus.EXPIRED
            and _key(predecessor) == self._claims.get(reservation.common_name)
        )

    def _predecessor(self, reservation: Reservation) -> CertificateRecord | None:
        serial, issuer_id = reservation.predecessor, reservation.predecessor_issuer_id
        return None if serial is None else self.get_by_serial(serial, issuer_id)

    def _insert(self, row: CertificateRecord, now: datetime, *, claims: bool) -> None:
        if _key(row) in self._rows:
            raise SerialNumberCollision(f"{row.serial_number} was used before.")
        if claims:
            self._free_expired_claim(row.common_name, now)
            if row.common_name in self._claims:
                raise NotUniqueCertOwner(row.common_name)
            self._claims[row.common_name] = _key(row)
        self._rows[_key(row)] = replace(row, position=next(self._positions))

    def _free_expired_claim(self, common_name: str, now: datetime) -> None:
        key = self._claims.get(common_name)
        if key is None:
            return
        row = self._rows[key]
        if row.status_at(now) is CertificateStatus.EXPIRED:
            self._rows[key] = replace(row, status=CertificateStatus.EXPIRED)
            del self._claims[common_name]

    def commit(
        self,
        signed: Sequence[tuple[Reservation, x509.Certificate]],
        at: datetime,
        within: object = None,
    ) -> None:
        """Make the rows valid; raise `ReservationLost` or `ValidationCertError`."""
        _refuse(within)
        with self._all_or_none():
            for place in {place for reservation, _ in signed for place in reservation.authorities}:
                above = self._rows.get(place)
                if above is not None and above.status is CertificateStatus.REVOKED:
                    raise revoked_meanwhile(above.common_name)
            superseded = [
                self._commit(reservation, certificate, at) for reservation, certificate in signed
            ]
            self._tell(events.issued(reservation, at) for reservation, _ in signed)
            self._tell(superseded)

    def _commit(
        self, reservation: Reservation, certificate: x509.Certificate, at: datetime
    ) -> events.Event | None:
        with self._lock:
            key = reservation.issuer_id, reservation.serial_number
            row = self._rows.get(key)
            if row is None or row.status is not CertificateStatus.PENDING:
                raise ReservationLost(
                    "The reservation was closed before its certificate was ready."
                )
            superseded = None
            if reservation.predecessor is not None:
                predecessor = self._predecessor(reservation)
                if predecessor is None or predecessor.status is not CertificateStatus.VALID:
                    raise ValidationCertError("The certificate to replace is not valid by now.")
                inherits = self._claims.get(row.common_name) == _key(predecessor)
                if reservation.supersedes:
                    self._write_revocation(predecessor, CRLReason.SUPERSEDED, at)
                    superseded = events.superseded(predecessor, row.serial_number, at)
                else:
                    self._give_up_claim(predecessor)
                if inherits and reservation.claims_name:
                    self._claims[row.common_name] = key
            self._note_issuer(key, certificate, row.cert_type)
            pem = certificate.public_bytes(Encoding.PEM).decode()
            self._rows[key] = replace(row, status=CertificateStatus.VALID, certificate_pem=pem)
            return superseded

    def _note_issuer(self, key: _Key, certificate: x509.Certificate, cert_type: CertType) -> None:
        if cert_type is CertType.CA and is_ca(certificate):
            self._issuer_rows.setdefault(own_issuer_id(certificate), []).append(key)

    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        """Close a pending row; false if it is not pending."""
        with self._lock:
            row = self._rows.get((issuer_id, serial_number))
            if row is None or row.status is not CertificateStatus.PENDING:
                return False
            self._close(row)
            return True

    def _close(self, row: CertificateRecord) -> None:
        self._rows[_key(row)] = replace(
            row,
            status=CertificateStatus.ABANDONED,
            revocation_date=None,
            revocation_reason=None,
        )
        self._retry_keys = {k: v for k, v in self._retry_keys.items() if v != _key(row)}
        self._give_up_claim(row)

    def _give_up_claim(self, row: CertificateRecord) -> None:
        if self._claims.get(row.common_name) == _key(row):
            del self._claims[row.common_name]

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
        """Record a valid certificate, or raise `SerialNumberCollision` or `NotUniqueCertOwner`."""
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names:
            raise InvalidRequest("A certificate without a common name can't be registered.")
        row = CertificateRecord(
            serial_number=certificate.serial_number,
            issuer_id=issuer_id_of(certificate),
            common_name=str(names[0].value),
            cert_type=cert_type,
            status=CertificateStatus.VALID,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            uuid=uuid if location is None else location.uuid,
            cert_path=None if location is None else location.folder,
            file_name=None if location is None else location.file_name,
            created_at=at,
            certificate_pem=certificate.public_bytes(Encoding.PEM).decode(),
            revocation_date=None,
            revocation_reason=None,
            claims_name=claims_name,
        )
        with self._lock:
            self._insert(row, at, claims=claims_name)
            self._note_issuer(_key(row), certificate, cert_type)
            place = row.issuer_id, row.serial_number, row.common_name
            self._tell([events.registered(place, cert_type, row.not_after, at)])

    def _write_revocation(
        self,
        row: CertificateRecord,
        reason: CRLReason,
        at: datetime,
        invalidity_date: datetime | None = None,
    ) -> Revocation:
        revocation = revoke_rule(row.revocation, reason, at)
        if revocation == row.revocation:
            return revocation
        self._rows[_key(row)] = replace(
            row,
            status=CertificateStatus.REVOKED,
            revocation_date=revocation.revocation_date,
            revocation_reason=revocation.reason,
        )
        self._give_up_claim(row)
        self._list_revocation(row, revocation, invalidity_date)
        return revocation

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        invalidity_date: datetime | None = None,
        issuer_id: str | None = None,
    ) -> bool:
        """Revoke; false if there is no such certificate."""
        _refuse(within)
        with self._lock:
            row = self.get_by_serial(serial_number, issuer_id)
            if row is not None:
                revocation = self._write_revocation(row, reason, at, invalidity_date)
                if revocation != row.revocation:
                    place = row.issuer_id, row.serial_number, row.common_name
                    self._tell([events.revoked(place, revocation, at)])
            return row is not None

    def release(self, serial_number: int, at: datetime, issuer_id: str | None = None) -> bool:
        """Lift a hold; false if there is no such certificate.  Raises `NotOnHold`."""
        with self._lock:
            row = self.get_by_serial(serial_number, issuer_id)
            if row is None:
                return False
            check_release(row.revocation)
            self._list_release(row, at)
            if row.certificate_pem is None and row.uuid is not None:
                # It was put on hold before it was signed: there is nothing to be valid.
                self._close(row)
                self._tell([events.released(row, CertificateStatus.ABANDONED, at)])
                return True
            self._free_expired_claim(row.common_name, at)
            if row.claims_name:
                self._claims.setdefault(row.common_name, _key(row))
            self._rows[_key(row)] = replace(
                row,
                status=CertificateStatus.VALID,
                revocation_date=None,
                revocation_reason=None,
            )
            self._tell([events.released(row, CertificateStatus.VALID, at)])
            return True

    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        """Give pending rows that were reserved earlier."""
        with self._lock:
            rows = list(self._rows.values())
        for row in rows:
            if row.status is CertificateStatus.PENDING and row.created_at < created_before:
                yield row

    def authorities(self) -> Iterator[CertificateRecord]:
        """Give the valid certificates of type CA."""
        with self._lock:
            rows = list(self._rows.values())
        for row in rows:
            if row.cert_type is CertType.CA and row.status is CertificateStatus.VALID:
                yield row

    def issuer_certificates(self, issuer_id: str) -> list[CertificateRecord]:
        """Give the signed certificates of the CA that *issuer_id* names itself."""
        with self._lock:
            return [self._rows[key] for key in self._issuer_rows.get(issuer_id, [])]


def _key(row: CertificateRecord) -> _Key:
    return row.issuer_id, row.serial_number


def _refuse(within: object) -> None:
    if within is not None:
        raise InvalidRequest("A registry in memory has no transactions to be part of.")
