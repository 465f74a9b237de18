"""Writing: one function a transaction, run alike by the sync and the async handler."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from tiny_ca.adapters.outbound.db.outbox import tell
from tiny_ca.adapters.outbound.db.prepared import Prepared
from tiny_ca.adapters.outbound.db.queries import row_by_serial, to_record
from tiny_ca.adapters.outbound.db.revocations import list_release, list_revocations
from tiny_ca.adapters.outbound.db.schema import certificates, issuers
from tiny_ca.domain import events
from tiny_ca.domain.errors import (
    ReservationLost,
    ValidationCertError,
    revoked_meanwhile,
)
from tiny_ca.domain.records import CertificateStatus, Location, Reservation
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.revocation import release as check_release
from tiny_ca.domain.revocation import revoke as revoke_rule
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import is_ca, own_issuer_id

__all__ = [
    "abandon",
    "commit",
    "ensure_issuer",
    "free_expired_claims",
    "own_id_of",
    "register",
    "release",
    "reserve",
    "reserve_after_others",
    "revoke",
    "write_revocation",
]

T = TypeVar("T")

_c = certificates.c
PENDING, VALID, REVOKED, EXPIRED, ABANDONED = (
    status.value
    for status in (
        CertificateStatus.PENDING,
        CertificateStatus.VALID,
        CertificateStatus.REVOKED,
        CertificateStatus.EXPIRED,
        CertificateStatus.ABANDONED,
    )
)


def ensure_issuer(connection: Connection, issuer_id: str) -> None:
    """Make the issuer's row if there is none.  Two that do so at once: one fails its insert."""
    known = connection.execute(select(issuers.c.id).where(issuers.c.id == issuer_id)).scalar()
    if known is None:
        connection.execute(insert(issuers).values(id=issuer_id))


def free_expired_claims(connection: Connection, common_names: Sequence[str], now: datetime) -> None:
    """Take names from valid rows that are over."""
    for batch in _batches(common_names):
        connection.execute(
            update(certificates)
            .where(
                _c.name_claim.in_(batch),
                _c.status == VALID,
                _c.not_after < now.replace(microsecond=0),
            )
            .values(name_claim=None, status=EXPIRED)
        )


def _claim_of(connection: Connection, reservation: Reservation) -> str | None:
    """Give the name to claim now; that of a predecessor moves at the commit."""
    if not reservation.claims_name:
        return None
    if reservation.predecessor is not None:
        predecessor = row_by_serial(
            connection, reservation.predecessor, reservation.predecessor_issuer_id
        )
        if predecessor is not None and predecessor.name_claim == reservation.common_name:
            return None
    return reservation.common_name


_RESERVED = Prepared(
    insert(certificates).inline(),
    [
        *("serial_number", "issuer_id", "common_name", "name_claim", "status", "cert_type"),
        *("not_before", "not_after", "created_at", "uuid", "cert_path", "file_name"),
        *("idempotency_key", "request_hash", "profile", "claims_name"),
    ],
)


def reserve(connection: Connection, reservations: Sequence[Reservation]) -> None:
    """See `ports.registry.Registry.reserve`; a broken UNIQUE is an `IntegrityError`.

    So is the claim of a certificate that has ended: see `reserve_after_others`.
    """
    rows = [
        {
            "serial_number": str(one.serial_number),
            "issuer_id": one.issuer_id,
            "common_name": one.common_name,
            "name_claim": _claim_of(connection, one),
            "status": PENDING,
            "cert_type": one.cert_type.value,
            "not_before": one.validity.not_before,
            "not_after": one.validity.not_after,
            "created_at": one.created_at,
            "uuid": one.location.uuid,
            "cert_path": one.location.folder,
            "file_name": one.location.file_name,
            "idempotency_key": None if one.retry_key is None else one.retry_key.key,
            "request_hash": None if one.retry_key is None else one.retry_key.request_hash,
            "profile": one.profile,
            "claims_name": one.claims_name,
        }
        for one in reservations
    ]
    _RESERVED.change(connection, rows)


def reserve_after_others(connection: Connection, reservations: Sequence[Reservation]) -> None:
    """Do as `reserve`, once those that have ended have given up the names."""
    names = [one.common_name for one in reservations if one.claims_name]
    free_expired_claims(connection, names, reservations[0].created_at)
    reserve(connection, reservations)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a list into what every database takes in one statement."""
    for start in range(0, len(items), 500):
        yield items[start : start + 500]


_TO_VALID = Prepared(
    update(certificates)
    .where(
        _c.serial_number == bindparam("of_serial_number"),
        _c.issuer_id == bindparam("of_issuer_id"),
        _c.status == PENDING,
    )
    .values(
        status=VALID,
        certificate_pem=bindparam("pem"),
        own_issuer_id=bindparam("to_own_issuer_id"),
    )
)


def commit(
    connection: Connection,
    signed: Sequence[tuple[Reservation, x509.Certificate]],
    at: datetime,
) -> None:
    """See `ports.registry.Registry.commit`.

    Everything is looked at before anything is written: in a transaction of the caller's, what
    was written before an error would stay.
    """
    # First: whoever revokes many locks their rows from the oldest on, too.
    _check_authorities(connection, [reservation for reservation, _ in signed])
    predecessors = [
        (reservation, _predecessor(connection, reservation))
        for reservation, _ in signed
        if reservation.predecessor is not None
    ]
    if len(signed) > 1:
        # Of one, the update tells.
        _check_pending(connection, [reservation for reservation, _ in signed])
    changed = _TO_VALID.change(
        connection,
        [
            {
                "of_serial_number": str(reservation.serial_number),
                "of_issuer_id": reservation.issuer_id,
                "pem": certificate.public_bytes(Encoding.PEM).decode(),
                "to_own_issuer_id": own_id_of(certificate, reservation.cert_type),
            }
            for reservation, certificate in signed
        ],
    )
    if changed != len(signed):
        raise _lost()
    for reservation, predecessor in predecessors:
        if reservation.supersedes:
            write_revocation(connection, predecessor, CRLReason.SUPERSEDED, at)
        elif predecessor.name_claim is not None:
            connection.execute(
                update(certificates).where(_c.id == predecessor.id).values(name_claim=None)
            )
        if reservation.claims_name and predecessor.name_claim == reservation.common_name:
            connection.execute(
                update(certificates)
                .where(
                    _c.serial_number == str(reservation.serial_number),
                    _c.issuer_id == reservation.issuer_id,
                )
                .values(name_claim=reservation.common_name)
            )
    issued = (events.issued(reservation, at) for reservation, _ in signed)
    superseded = (
        events.superseded(to_record(predecessor), reservation.serial_number, at)
        for reservation, predecessor in predecessors
        if reservation.supersedes
    )
    tell(connection, chain(issued, superseded))


def _check_authorities(connection: Connection, reservations: Sequence[Reservation]) -> None:
    above = {place for one in reservations for place in one.authorities}
    if not above:
        return
    serial_numbers = {str(serial_number) for _, serial_number in above}
    values = {f"serial_{place}": number for place, number in enumerate(serial_numbers)}
    for row in _authorities(len(values)).rows(connection, values):
        if row.status == REVOKED and (row.issuer_id, int(row.serial_number)) in above:
            raise revoked_meanwhile(row.common_name)


@lru_cache(maxsize=64)
def _authorities(count: int) -> Prepared:
    """Read the rows of so many serial numbers, and keep them as they are."""
    which = or_(*(_c.serial_number == bindparam(f"serial_{place}") for place in range(count)))
    query = select(_c.issuer_id, _c.serial_number, _c.common_name, _c.status).where(which)
    return Prepared(query.order_by(_c.id).with_for_update(read=True))


def _check_pending(connection: Connection, reservations: Sequence[Reservation]) -> None:
    pending: set[tuple[Any, ...]] = set()
    for batch in _batches([str(one.serial_number) for one in reservations]):
        query = select(_c.issuer_id, _c.serial_number).where(
            _c.serial_number.in_(batch), _c.status == PENDING
        )
        pending.update(map(tuple, connection.execute(query.with_for_update())))
    if any((one.issuer_id, str(one.serial_number)) not in pending for one in reservations):
        raise _lost()


def _lost() -> ReservationLost:
    return ReservationLost(
        "The reservation was closed before its certificate was ready: issue again, or "
        "recover with a longer limit."
    )


def own_id_of(certificate: x509.Certificate, cert_type: CertType) -> str | None:
    """Give the id that a CA's certificate issues under; `None` for any other certificate."""
    return own_issuer_id(certificate) if cert_type is CertType.CA and is_ca(certificate) else None


def _predecessor(connection: Connection, reservation: Reservation) -> Row[Any]:
    serial_number, issuer_id = reservation.predecessor, reservation.predecessor_issuer_id
    row = (
        None
        if serial_number is None
        else row_by_serial(connection, serial_number, issuer_id, for_update=True)
    )
    if row is None or row.status != VALID:
        status = "gone" if row is None else row.status
        raise ValidationCertError(
            f"The certificate to replace is {status} by now: nothing was issued."
        )
    return row


def abandon(connection: Connection, issuer_id: str, serial_number: int) -> bool:
    """See `ports.registry.Registry.abandon`."""
    result = connection.execute(
        update(certificates)
        .where(
            _c.serial_number == str(serial_number),
            _c.issuer_id == issuer_id,
            _c.status == PENDING,
        )
        .values(status=ABANDONED, name_claim=None, idempotency_key=None)
    )
    return result.rowcount == 1


def register(
    connection: Connection,
    certificate: x509.Certificate,
    common_name: str,
    issuer_id: str,
    uuid: str | None,
    cert_type: CertType,
    at: datetime,
    location: Location | None,
    *,
    claims_name: bool,
) -> None:
    """See `ports.registry.Registry.register`; a broken UNIQUE is an `IntegrityError`."""
    if claims_name:
        free_expired_claims(connection, [common_name], at)
    not_after = certificate.not_valid_after_utc
    connection.execute(
        insert(certificates).values(
            serial_number=str(certificate.serial_number),
            issuer_id=issuer_id,
            common_name=common_name,
            name_claim=common_name if claims_name else None,
            claims_name=claims_name,
            status=VALID,
            cert_type=cert_type.value,
            not_before=certificate.not_valid_before_utc,
            not_after=not_after,
            created_at=at,
            certificate_pem=certificate.public_bytes(Encoding.PEM).decode(),
            own_issuer_id=own_id_of(certificate, cert_type),
            uuid=uuid if location is None else location.uuid,
            cert_path=None if location is None else location.folder,
            file_name=None if location is None else location.file_name,
        )
    )
    place = issuer_id, certificate.serial_number, common_name
    tell(connection, [events.registered(place, cert_type, not_after, at)])


_TO_REVOKED = Prepared(
    update(certificates)
    .where(_c.id == bindparam("of_id"))
    .values(
        status=REVOKED,
        name_claim=None,
        revocation_date=bindparam("to_date"),
        revocation_reason=bindparam("to_reason"),
    )
)


def write_revocation(
    connection: Connection,
    row: Row[Any],
    reason: CRLReason,
    at: datetime,
    invalidity_date: datetime | None = None,
) -> Revocation:
    """Revoke as the rule says, and write what CRLs say of it; give what holds then."""
    current = to_record(row).revocation
    revocation = revoke_rule(current, reason, at)
    if revocation == current:
        return revocation
    date, why = revocation.revocation_date, revocation.reason.value
    _TO_REVOKED.change(connection, [{"of_id": row.id, "to_date": date, "to_reason": why}])
    dates = {} if invalidity_date is None else {row.id: invalidity_date}
    list_revocations(connection, [(row, revocation)], dates)
    return revocation


def revoke(
    connection: Connection,
    serial_number: int,
    reason: CRLReason,
    at: datetime,
    invalidity_date: datetime | None,
    issuer_id: str | None,
) -> bool:
    """See `ports.registry.Registry.revoke`."""
    row = row_by_serial(connection, serial_number, issuer_id, for_update=True)
    if row is None:
        return False
    revocation = write_revocation(connection, row, reason, at, invalidity_date)
    if revocation != to_record(row).revocation:
        place = row.issuer_id, serial_number, row.common_name
        tell(connection, [events.revoked(place, revocation, at)])
    return True


def release(
    connection: Connection, serial_number: int, at: datetime, issuer_id: str | None
) -> bool:
    """See `ports.registry.Registry.release`."""
    row = row_by_serial(connection, serial_number, issuer_id, for_update=True)
    if row is None:
        return False
    check_release(to_record(row).revocation)
    free_expired_claims(connection, [row.common_name], at)
    is_taken = connection.execute(select(_c.id).where(_c.name_claim == row.common_name)).first()
    values: dict[str, Any] = {"status": VALID, "revocation_date": None, "revocation_reason": None}
    if not row.certificate_pem and row.uuid is not None:
        # A row that was put on hold before it was signed has no certificate to be valid; one
        # without a place for files was signed elsewhere.
        values.update(status=ABANDONED, idempotency_key=None)
    elif row.claims_name and not is_taken:
        values["name_claim"] = row.common_name
    connection.execute(update(certificates).where(_c.id == row.id).values(values))
    list_release(connection, row, at)
    status = CertificateStatus(values["status"])
    tell(connection, [events.released(to_record(row), status, at)])
    return True
