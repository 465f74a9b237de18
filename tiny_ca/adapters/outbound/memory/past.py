"""The part of `MemoryRegistry` that records what was signed elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.adapters.outbound.memory.crls import MemoryCRLs
from tiny_ca.domain import events
from tiny_ca.domain.errors import SerialNumberCollision
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.history import PastCertificate

__all__ = ["MemoryPast"]

_Key = tuple[str, int]


class MemoryPast(MemoryCRLs, ABC):
    """Its method, over rows that the registry has."""

    _claims: dict[str, _Key]

    @abstractmethod
    def _insert(self, row: CertificateRecord, now: datetime, *, claims: bool) -> None: ...

    @abstractmethod
    def _free_expired_claim(self, common_name: str, now: datetime) -> None: ...

    @abstractmethod
    def _note_issuer(
        self, key: _Key, certificate: x509.Certificate, cert_type: CertType
    ) -> None: ...

    @abstractmethod
    def _write_revocation(
        self,
        row: CertificateRecord,
        reason: CRLReason,
        at: datetime,
        invalidity_date: datetime | None = None,
    ) -> Revocation: ...

    def record_past(
        self,
        past: Sequence[PastCertificate],
        at: datetime,
        crl_numbers: Mapping[str, int] | None = None,
    ) -> int:
        """Record what was signed elsewhere, all or none; count what is new."""
        with self._lock:
            rows = [(one, _row_of(one, at)) for one in past]
            self._check_past(rows)
            for issuer_id, number in (crl_numbers or {}).items():
                state = self._state(issuer_id)
                state.drawn = max(state.drawn, number)
            before = len(self._rows)
            for one, row in rows:
                known = self._rows.get((row.issuer_id, row.serial_number))
                if known is None:
                    self._add(one, row, at)
                elif one.revocation is not None and not one.revocation.is_hold:
                    self._catch_up(known, one.revocation, one.invalidity_date, at)
            return len(self._rows) - before

    def _check_past(self, rows: Sequence[tuple[PastCertificate, CertificateRecord]]) -> None:
        seen: set[_Key] = set()
        for _, row in rows:
            key = row.issuer_id, row.serial_number
            known = self._rows.get(key)
            if key in seen or (known is not None and not _is_same(known, row)):
                raise SerialNumberCollision(
                    f"The issuer has another certificate of the serial number {key[1]}."
                )
            seen.add(key)

    def _catch_up(
        self,
        known: CertificateRecord,
        revocation: Revocation,
        invalidity_date: datetime | None,
        at: datetime,
    ) -> None:
        date, reason = revocation.revocation_date, revocation.reason
        written = self._write_revocation(known, reason, date, invalidity_date)
        if written != known.revocation:
            place = known.issuer_id, known.serial_number, known.common_name
            self._tell([events.revoked(place, written, at)])

    def _add(self, past: PastCertificate, row: CertificateRecord, at: datetime) -> None:
        self._free_expired_claim(row.common_name, at)
        is_valid = row.status is CertificateStatus.VALID
        is_free = bool(row.common_name) and row.common_name not in self._claims
        self._insert(row, at, claims=row.claims_name and is_valid and is_free)
        key = row.issuer_id, row.serial_number
        if past.certificate is not None:
            self._note_issuer(key, past.certificate, row.cert_type)
        place = (*key, row.common_name)
        self._tell([events.registered(place, row.cert_type, row.not_after, at)])
        if past.revocation is not None:
            self._list_revocation(row, past.revocation, past.invalidity_date)
            self._tell([events.revoked(place, past.revocation, at)])


def _is_same(known: CertificateRecord, row: CertificateRecord) -> bool:
    pems = {known.certificate_pem, row.certificate_pem} - {None}
    return len(pems) < 2


def _row_of(past: PastCertificate, at: datetime) -> CertificateRecord:
    revocation, location, certificate = past.revocation, past.location, past.certificate
    pem = None if certificate is None else certificate.public_bytes(Encoding.PEM).decode()
    return CertificateRecord(
        serial_number=past.serial_number,
        issuer_id=past.issuer_id,
        common_name=past.common_name,
        cert_type=past.cert_type,
        status=past.status_at(at),
        not_before=past.validity.not_before,
        not_after=past.validity.not_after,
        uuid=None if location is None else location.uuid,
        cert_path=None if location is None else location.folder,
        file_name=None if location is None else location.file_name,
        created_at=past.validity.not_before,
        certificate_pem=pem,
        revocation_date=None if revocation is None else revocation.revocation_date,
        revocation_reason=None if revocation is None else revocation.reason,
        claims_name=past.claims_name,
    )
