"""Writing many rows in a transaction, and deleting: run alike by both handlers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from tiny_ca.adapters.outbound.db.outbox import tell
from tiny_ca.adapters.outbound.db.queries import row_by_serial, to_record
from tiny_ca.adapters.outbound.db.revocations import (
    forget_revocation,
    list_revocations,
    oldest_this_update,
)
from tiny_ca.adapters.outbound.db.schema import certificates, notices, removals
from tiny_ca.adapters.outbound.db.selection import branches, has_status
from tiny_ca.domain import events
from tiny_ca.domain.catalogue import AT_ONCE, CertificateFilter, RevokedBatch, check_deletable
from tiny_ca.domain.errors import AmbiguousSerialNumber, StillNeeded
from tiny_ca.domain.events import Event
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.revocation import revoke as revoke_rule
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import own_issuer_id

__all__ = ["delete_row", "deleted_page", "expire", "forget", "revoke_many"]

_c = certificates.c
_VALID = has_status(CertificateStatus.VALID)
_NO_ID = 1 << 62


def expire(connection: Connection, at: datetime, limit: int) -> int:
    """See `ports.registry.Registry.expire`."""
    # In a statement of its own: PostgreSQL may run a subquery, and its limit, more than once.
    ids = connection.execute(overdue_query(at, limit)).scalars().all()
    for batch in _batches(ids):
        connection.execute(
            update(certificates)
            .where(_c.id.in_(batch))
            .values(status=CertificateStatus.EXPIRED.value, name_claim=None)
        )
    return len(ids)


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut a list into what every database takes in one statement."""
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def overdue_query(at: datetime, limit: int) -> Select[Any]:
    """Find valid rows that are over; a row that somebody else is writing can wait."""
    query = select(_c.id).where(_VALID, _c.not_after < at.replace(microsecond=0))
    return query.order_by(_c.not_after).limit(limit).with_for_update(skip_locked=True)


def revoke_many(
    connection: Connection,
    wanted: CertificateFilter,
    reason: CRLReason,
    at: datetime,
    limit: int,
    after: int,
    dry_run: bool,
) -> RevokedBatch:
    """See `ports.registry.Registry.revoke_many`."""
    if wanted.issuer_id is None and wanted.serial_numbers is not None:
        _check_unambiguous(connection, wanted.serial_numbers)
    query = revocable_query(wanted, at, limit, after, connection.dialect.name)
    rows = connection.execute(query if dry_run else query.with_for_update()).all()
    changed, revoked, already = defaultdict(list), [], []
    listed: list[tuple[Row[Any], Revocation]] = []
    for row in rows:
        current = _revocation_of(row)
        revocation = revoke_rule(current, reason, at)
        if revocation == current:
            already.append(int(row.serial_number))
        else:
            changed[revocation].append(row.id)
            listed.append((row, revocation))
            revoked.append(int(row.serial_number))
    if not dry_run:
        for revocation, ids in changed.items():
            _write_revocation(connection, ids, revocation)
        list_revocations(connection, listed)
        tell(connection, (_revoked(row, revocation, at) for row, revocation in listed))
    following = rows[-1].id if len(rows) == limit else None
    return RevokedBatch(tuple(revoked), tuple(already), following)


def revocable_query(
    wanted: CertificateFilter, at: datetime, limit: int, after: int, dialect: str
) -> Select[Any]:
    """Find the next rows, and of each only what the rule looks at.

    A query goes through the table once, over all its batches: an index that finds its matches
    in another order would have them sorted for each.
    """
    alternatives = [and_(*one) for one in branches(wanted, at, dialect) if one]
    query = select(
        _c.id,
        _c.serial_number,
        _c.issuer_id,
        _c.common_name,
        _c.not_after,
        _c.revocation_date,
        _c.revocation_reason,
    )
    if alternatives:
        query = query.where(or_(*alternatives))
    if wanted.serial_numbers is None and dialect == "sqlite":
        # With both ends, it takes the range of ids for the narrowest there is.
        query = query.where(_c.id < _NO_ID)
    return query.where(_c.id > after).order_by(_c.id).limit(limit)


def _check_unambiguous(connection: Connection, serial_numbers: Sequence[int]) -> None:
    query = (
        select(_c.serial_number)
        .where(_c.serial_number.in_([str(one) for one in serial_numbers]))
        .group_by(_c.serial_number)
        .having(func.count() > 1)
    )
    ambiguous = connection.execute(query.limit(1)).scalar()
    if ambiguous is not None:
        raise AmbiguousSerialNumber(int(ambiguous))


def _revoked(row: Row[Any], revocation: Revocation, at: datetime) -> Event:
    place = row.issuer_id, int(row.serial_number), row.common_name
    return events.revoked(place, revocation, at)


def _revocation_of(row: Row[Any]) -> Revocation | None:
    if row.revocation_date is None:
        return None
    reason = CRLReason(row.revocation_reason or CRLReason.UNSPECIFIED)
    return Revocation(row.revocation_date, reason)


def _write_revocation(connection: Connection, ids: Sequence[int], revocation: Revocation) -> None:
    for batch in _batches(ids):
        connection.execute(
            update(certificates)
            .where(_c.id.in_(batch))
            .values(
                status=CertificateStatus.REVOKED.value,
                name_claim=None,
                revocation_date=revocation.revocation_date,
                revocation_reason=revocation.reason.value,
            )
        )


def delete_row(
    connection: Connection, serial_number: int, at: datetime, location: Location | None
) -> bool:
    """See `ports.registry.Registry.delete`."""
    row = row_by_serial(connection, serial_number, for_update=True)
    if row is None:
        return False
    record = to_record(row)
    check_deletable(record, oldest_this_update(connection, record.issuer_id), at)
    _check_childless(connection, row.id, record)
    connection.execute(delete(notices).where(notices.c.certificate_id == row.id))
    forget_revocation(connection, row)
    connection.execute(delete(certificates).where(_c.id == row.id))
    if location is not None:
        connection.execute(insert(removals).values(_place_of(location)))
    return True


def _check_childless(connection: Connection, row_id: int, record: CertificateRecord) -> None:
    if record.cert_type is not CertType.CA or record.certificate_pem is None:
        return
    certificate = x509.load_pem_x509_certificate(record.certificate_pem.encode())
    query = select(_c.id).where(_c.issuer_id == own_issuer_id(certificate), _c.id != row_id)
    if connection.execute(query.limit(1)).first() is not None:
        raise StillNeeded(record.serial_number, "is a CA's, and certificates of its are on record")


def _place_of(location: Location) -> dict[str, str | None]:
    return {
        "uuid": location.uuid,
        "cert_path": location.folder,
        "file_name": location.file_name,
    }


def _in_same_folder() -> ColumnElement[bool]:
    """Whether a row's files lie where the removed ones do; one of 0.1 may lie anywhere."""
    is_same = _c.cert_path.is_not_distinct_from(removals.c.cert_path)
    return and_(_c.uuid == removals.c.uuid, or_(is_same, _c.file_name.is_(None)))


def deleted_page(connection: Connection, after: int) -> tuple[list[Location], int | None]:
    """Give where files of deleted rows may still lie, but for folders that another row has."""
    query = select(removals).where(
        removals.c.id > after, ~exists().where(_in_same_folder()).correlate(removals)
    )
    rows = connection.execute(query.order_by(removals.c.id).limit(AT_ONCE)).all()
    places = [Location(row.uuid, row.file_name, row.cert_path) for row in rows]
    return places, rows[-1].id if len(rows) == AT_ONCE else None


def forget(connection: Connection, location: Location) -> None:
    """See `ports.registry.Registry.forget`."""
    connection.execute(
        delete(removals).where(
            removals.c.uuid == location.uuid,
            removals.c.cert_path.is_not_distinct_from(location.folder),
        )
    )
