"""Recording what was signed elsewhere: run alike by both handlers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, Row, insert, select, update

from tiny_ca.adapters.outbound.db.outbox import tell
from tiny_ca.adapters.outbound.db.queries import COLUMNS, to_record
from tiny_ca.adapters.outbound.db.revocations import list_revocations
from tiny_ca.adapters.outbound.db.schema import certificates, issuers
from tiny_ca.adapters.outbound.db.transactions import (
    free_expired_claims,
    own_id_of,
    write_revocation,
)
from tiny_ca.domain import events
from tiny_ca.domain.errors import SerialNumberCollision
from tiny_ca.domain.events import Event
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import Revocation
from tiny_ca.ports.history import PastCertificate

__all__ = ["record_past"]

_AT_ONCE = 500
"""How many values a statement of every database takes."""
_c = certificates.c
_Place = tuple[str, int]


def record_past(
    connection: Connection,
    past: Sequence[PastCertificate],
    at: datetime,
    crl_numbers: Mapping[str, int],
) -> int:
    """See `ports.registry.Registry.record_past`."""
    for issuer_id in sorted(crl_numbers):
        drawn = issuers.c.drawn_crl_number
        connection.execute(
            update(issuers)
            .where(issuers.c.id == issuer_id, drawn < crl_numbers[issuer_id])
            .values(drawn_crl_number=crl_numbers[issuer_id])
        )
    known = _known(connection, past)
    new: dict[_Place, PastCertificate] = {}
    seen: set[_Place] = set()
    for one in past:
        place = one.issuer_id, one.serial_number
        if place in seen or (place in known and not _is_same(known[place], one)):
            raise SerialNumberCollision(
                f"The issuer has another certificate of the serial number {one.serial_number}."
            )
        seen.add(place)
        if place not in known:
            new[place] = one
    _insert(connection, list(new.values()), at)
    for one in past:
        row = known.get((one.issuer_id, one.serial_number))
        if row is not None and one.revocation is not None and not one.revocation.is_hold:
            _revoke(connection, row, one, one.revocation, at)
    return len(new)


def _known(connection: Connection, past: Sequence[PastCertificate]) -> dict[_Place, Row[Any]]:
    found: dict[_Place, Row[Any]] = {}
    for batch in _batches(past):
        query = select(*COLUMNS, _c.name_claim).where(
            _c.serial_number.in_([str(one.serial_number) for one in batch])
        )
        rows: Iterable[Row[Any]] = connection.execute(query.with_for_update())
        for row in rows:
            found[row.issuer_id, int(row.serial_number)] = row
    return found


def _batches(past: Sequence[PastCertificate]) -> Iterator[Sequence[PastCertificate]]:
    for start in range(0, len(past), _AT_ONCE):
        yield past[start : start + _AT_ONCE]


def _is_same(row: Row[Any], past: PastCertificate) -> bool:
    pem = _pem(past)
    return pem is None or row.certificate_pem is None or row.certificate_pem == pem


def _pem(past: PastCertificate) -> str | None:
    if past.certificate is None:
        return None
    return past.certificate.public_bytes(Encoding.PEM).decode()


def _insert(connection: Connection, new: Sequence[PastCertificate], at: datetime) -> None:
    if not new:
        return
    claims = _claims(connection, new, at)
    connection.execute(insert(certificates), [_values(one, at, claims) for one in new])
    told: list[Event] = []
    for one in new:
        place = one.issuer_id, one.serial_number, one.common_name
        told.append(events.registered(place, one.cert_type, one.validity.not_after, at))
        if one.revocation is not None:
            told.append(events.revoked(place, one.revocation, at))
    _list(connection, [one for one in new if one.revocation is not None])
    tell(connection, told)


def _claims(
    connection: Connection, new: Sequence[PastCertificate], at: datetime
) -> dict[str, PastCertificate]:
    """Give who gets which name: of those that are free, the first one that claims it."""
    wanted: dict[str, PastCertificate] = {}
    for one in new:
        is_valid = one.status_at(at) is CertificateStatus.VALID
        if one.claims_name and one.common_name and is_valid:
            wanted.setdefault(one.common_name, one)
    for batch in _batches(list(wanted.values())):
        names = [one.common_name for one in batch]
        free_expired_claims(connection, names, at)
        query = select(_c.name_claim).where(_c.name_claim.in_(names))
        for name in connection.execute(query).scalars():
            del wanted[name]
    return wanted


def _values(
    past: PastCertificate, at: datetime, claims: Mapping[str, PastCertificate]
) -> dict[str, Any]:
    revocation, location, certificate = past.revocation, past.location, past.certificate
    return {
        "serial_number": str(past.serial_number),
        "issuer_id": past.issuer_id,
        "common_name": past.common_name,
        "name_claim": past.common_name if claims.get(past.common_name) is past else None,
        "claims_name": past.claims_name,
        "status": past.status_at(at).value,
        "cert_type": past.cert_type.value,
        "not_before": past.validity.not_before,
        "not_after": past.validity.not_after,
        "created_at": past.validity.not_before,
        "certificate_pem": _pem(past),
        "own_issuer_id": None if certificate is None else own_id_of(certificate, past.cert_type),
        "revocation_date": None if revocation is None else revocation.revocation_date,
        "revocation_reason": None if revocation is None else revocation.reason.value,
        "uuid": None if location is None else location.uuid,
        "cert_path": None if location is None else location.folder,
        "file_name": None if location is None else location.file_name,
    }


def _list(connection: Connection, revoked: Sequence[PastCertificate]) -> None:
    """Write what CRLs say of certificates that have just been inserted."""
    by_place = {(one.issuer_id, one.serial_number): one for one in revoked}
    for batch in _batches(revoked):
        query = select(_c.id, _c.issuer_id, _c.serial_number, _c.not_after).where(
            _c.serial_number.in_([str(one.serial_number) for one in batch])
        )
        changed: list[tuple[Row[Any], Revocation]] = []
        dates: dict[int, datetime] = {}
        rows: Iterable[Row[Any]] = connection.execute(query)
        for row in rows:
            one = by_place.get((row.issuer_id, int(row.serial_number)))
            if one is not None and one.revocation is not None:
                changed.append((row, one.revocation))
                if one.invalidity_date is not None:
                    dates[row.id] = one.invalidity_date
        list_revocations(connection, changed, dates)


def _revoke(
    connection: Connection,
    row: Row[Any],
    past: PastCertificate,
    revocation: Revocation,
    at: datetime,
) -> None:
    """Take over the revocation of a certificate that is on record without one, or on hold."""
    written = write_revocation(
        connection, row, revocation.reason, revocation.revocation_date, past.invalidity_date
    )
    if written != to_record(row).revocation:
        place = row.issuer_id, past.serial_number, row.common_name
        tell(connection, [events.revoked(place, written, at)])
