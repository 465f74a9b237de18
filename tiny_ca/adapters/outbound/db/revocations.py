"""What CRLs are written from: reading and writing the table of revocations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from tiny_ca.adapters.outbound.db.outbox import tell
from tiny_ca.adapters.outbound.db.prepared import Prepared
from tiny_ca.adapters.outbound.db.schema import (
    certificates,
    deleted_revocations,
    issuers,
    published_crls,
    revocations,
)
from tiny_ca.domain import events
from tiny_ca.domain.crl import CRLScope, encode_crl_entry, shard_key_of
from tiny_ca.domain.records import CertificateStatus, CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason, Revocation, owed_until

__all__ = [
    "crl_files_owner",
    "deleted_serials",
    "draw_crl_number",
    "ensure_scope",
    "forget_revocation",
    "last_crl",
    "list_release",
    "list_revocations",
    "list_unlisted",
    "oldest_this_update",
    "own_crl_files",
    "publish_crl",
    "revoked_page",
]

PART = 5000
"""Rows a statement: enough to be fast, few enough to be a short transaction."""
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '10s'")

_AT_ONCE = 500
"""How many values a statement of every database takes."""

_c, _r, _p, _d = certificates.c, revocations.c, published_crls.c, deleted_revocations.c
_IS_COMPLETE = and_(_p.number > 0, _p.scope.not_like("%-delta"))


def last_crl(connection: Connection, issuer_id: str, scope: CRLScope) -> CRLStamp | None:
    """See `ports.registry.Registry.last_crl`."""
    query = select(_p.number, _p.this_update, _p.next_update).where(
        _p.issuer_id == issuer_id, _p.scope == scope.name, _p.number > 0
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else CRLStamp(*row)


def revoked_page(
    connection: Connection, after: int, issuer_id: str | None
) -> tuple[list[CRLEntry], int | None]:
    """Give what the next complete CRL owes, of one issuer or of all."""
    last = (
        select(_p.this_update)
        .where(_p.issuer_id == _c.issuer_id, _p.scope == CRLScope().name)
        .correlate(certificates)
        .scalar_subquery()
    )
    query = (
        select(
            _c.id, _c.serial_number, _c.revocation_date, _c.revocation_reason, _r.invalidity_date
        )
        .join(revocations, _r.certificate_id == _c.id)
        .where(_r.is_released.is_(False), _c.id > after)
        .where(or_(last.is_(None), _r.owed_until >= last))
        .order_by(_c.id)
        .limit(PART)
    )
    if issuer_id is not None:
        query = query.where(_r.issuer_id == issuer_id)
    rows = connection.execute(query).all()
    entries = [
        CRLEntry(int(serial), date, CRLReason(reason), invalidity_date)
        for _, serial, date, reason, invalidity_date in rows
    ]
    return entries, rows[-1].id if len(rows) == PART else None


def list_revocations(
    connection: Connection,
    changed: Sequence[tuple[Row[Any], Revocation]],
    invalidity_dates: Mapping[int, datetime] | None = None,
) -> None:
    """Write what CRLs are to say of certificates from now on.

    An invalidity date is that of *invalidity_dates*, by the row's id; without one there, what was
    said before stays.
    """
    dates = invalidity_dates or {}
    said = _listed(connection, [row.id for row, _ in changed])
    rows = [
        _values(
            row,
            CRLEntry(
                int(row.serial_number),
                revocation.revocation_date,
                revocation.reason,
                dates.get(row.id) or said.get(row.id),
            ),
            owed_until(revocation, row.not_after),
        )
        for row, revocation in changed
    ]
    _list(connection, rows, said.keys())


def list_release(connection: Connection, row: Row[Any], at: datetime) -> None:
    """Write that a certificate is on hold no more (removeFromCRL, RFC 5280 §5.3.1)."""
    entry = CRLEntry(int(row.serial_number), at, CRLReason.REMOVE_FROM_CRL)
    _list(connection, [_values(row, entry, row.not_after)], _listed(connection, [row.id]).keys())


_LISTED = Prepared(
    select(_r.certificate_id, _r.invalidity_date).where(
        _r.certificate_id == bindparam("certificate_id")
    )
)
# Shared: who draws the next number waits until this is committed, so that its CRL shows it.
_DRAWN = Prepared(
    select(issuers.c.drawn_crl_number)
    .where(issuers.c.id == bindparam("issuer_id"))
    .with_for_update(read=True)
)


def _listed(connection: Connection, ids: Sequence[int]) -> dict[int, datetime | None]:
    """Give which certificates have a row, and since when each may have been invalid."""
    found: dict[int, datetime | None] = {}
    if len(ids) == 1:
        return dict(_LISTED.rows(connection, {"certificate_id": ids[0]}))
    for start in range(0, len(ids), _AT_ONCE):
        query = select(_r.certificate_id, _r.invalidity_date).where(
            _r.certificate_id.in_(ids[start : start + _AT_ONCE])
        )
        found.update((one, since) for one, since in connection.execute(query))
    return found


def _values(row: Row[Any], entry: CRLEntry, until: datetime) -> dict[str, Any]:
    return {
        "issuer_id": row.issuer_id,
        "certificate_id": row.id,
        "shard_key": shard_key_of(entry.serial_number),
        "owed_until": until,
        "is_released": entry.revocation_reason is CRLReason.REMOVE_FROM_CRL,
        "invalidity_date": entry.invalidity_date,
        "entry": encode_crl_entry(entry),
    }


_CHANGED = ("crl_number", "owed_until", "is_released", "invalidity_date", "entry")
_TO_CHANGED = Prepared(
    update(revocations)
    .where(_r.certificate_id == bindparam("of_certificate"))
    .values({name: bindparam(f"to_{name}") for name in _CHANGED})
)
_NEW = Prepared(insert(revocations).inline(), [column.name for column in _r])


def _list(connection: Connection, rows: Sequence[dict[str, Any]], listed: Collection[int]) -> None:
    drawn = {}
    for issuer_id in sorted({row["issuer_id"] for row in rows}):
        [(drawn[issuer_id],)] = _DRAWN.rows(connection, {"issuer_id": issuer_id})
    numbered = [{**row, "crl_number": drawn[row["issuer_id"]]} for row in rows]
    changed = [
        {"of_certificate": row["certificate_id"], **{f"to_{name}": row[name] for name in _CHANGED}}
        for row in numbered
        if row["certificate_id"] in listed
    ]
    new = [
        {**row, "first_crl_number": row["crl_number"]}
        for row in numbered
        if row["certificate_id"] not in listed
    ]
    if changed:
        _TO_CHANGED.change(connection, changed)
    if new:
        _NEW.change(connection, new)


def list_unlisted(connection: Connection) -> None:
    """Write what is missing of revoked certificates, or says something else than they do."""
    after: int | None = 0
    columns = ("id", "issuer_id", "serial_number", "not_after", "revocation_date")
    while after is not None:
        query = (
            select(
                *(_c[name] for name in columns),
                _c.revocation_reason,
                _r.entry,
                _r.invalidity_date,
            )
            .outerjoin(revocations, _r.certificate_id == _c.id)
            .where(_c.status == CertificateStatus.REVOKED.value, _c.id > after)
            .order_by(_c.id)
            .limit(PART)
        )
        rows: Any = connection.execute(query).all()
        changed: list[tuple[Row[Any], Revocation]] = []
        for row in rows:
            revocation = Revocation(row.revocation_date, CRLReason(row.revocation_reason))
            date, reason = revocation.revocation_date, revocation.reason
            entry = CRLEntry(int(row.serial_number), date, reason, row.invalidity_date)
            if row.entry is None or bytes(row.entry) != encode_crl_entry(entry):
                changed.append((row, revocation))
        if changed:
            list_revocations(connection, changed)
        after = rows[-1].id if len(rows) == PART else None


def forget_revocation(connection: Connection, row: Row[Any]) -> None:
    """Let CRLs say nothing of a certificate that is deleted, and note why."""
    connection.execute(delete(revocations).where(_r.certificate_id == row.id))
    if row.status == CertificateStatus.REVOKED.value:
        [(drawn,)] = _DRAWN.rows(connection, {"issuer_id": row.issuer_id})
        connection.execute(
            insert(deleted_revocations).values(
                issuer_id=row.issuer_id, serial_number=row.serial_number, crl_number=drawn
            )
        )


def deleted_serials(
    connection: Connection, issuer_id: str, serial_numbers: Sequence[int]
) -> set[int]:
    """Give which of them were deleted, a few hundred at most."""
    query = select(_d.serial_number).where(
        _d.issuer_id == issuer_id, _d.serial_number.in_([str(one) for one in serial_numbers])
    )
    return {int(one) for one in connection.execute(query).scalars()}


def crl_files_owner(connection: Connection) -> str | None:
    """See `ports.registry.Registry.crl_files_owner`."""
    query = select(issuers.c.id).where(issuers.c.owns_crl_files)
    return connection.execute(query).scalar()


def own_crl_files(connection: Connection, issuer_id: str) -> None:
    """See `ports.registry.Registry.own_crl_files`."""
    connection.execute(update(issuers).values(owns_crl_files=issuers.c.id == issuer_id))


def oldest_this_update(connection: Connection, issuer_id: str) -> datetime | None:
    """Give when the oldest of the issuer's complete CRLs was issued; `None`: there is none."""
    query = select(func.min(_p.this_update)).where(_p.issuer_id == issuer_id, _IS_COMPLETE)
    return connection.execute(query).scalar()


def draw_crl_number(connection: Connection, issuer_id: str) -> int:
    """See `ports.registry.Registry.next_crl_number`; the update locks the issuer's row."""
    if connection.dialect.name == "postgresql":
        # As long as SQLite waits; a caller's own transaction may have the lock.
        connection.execute(_LOCK_TIMEOUT)
    connection.execute(
        update(issuers)
        .where(issuers.c.id == issuer_id)
        .values(drawn_crl_number=issuers.c.drawn_crl_number + 1)
    )
    query = select(issuers.c.drawn_crl_number).where(issuers.c.id == issuer_id)
    number: int = connection.execute(query).scalar_one()
    return number


def ensure_scope(connection: Connection, issuer_id: str, scope: CRLScope) -> None:
    """Make the row of a scope if there is none.  Two that do so at once: one fails its insert."""
    query = select(_p.number).where(_p.issuer_id == issuer_id, _p.scope == scope.name)
    if connection.execute(query).scalar() is None:
        row = {"issuer_id": issuer_id, "scope": scope.name, "number": 0}
        connection.execute(insert(published_crls).values(row))


def publish_crl(
    connection: Connection,
    issuer_id: str,
    stamp: CRLStamp,
    swap: Callable[[], object],
    scope: CRLScope,
) -> bool:
    """See `ports.registry.Registry.publish_crl`; the update locks the scope's row."""
    result = connection.execute(
        update(published_crls)
        .where(_p.issuer_id == issuer_id, _p.scope == scope.name, _p.number < stamp.number)
        .values(number=stamp.number, this_update=stamp.this_update, next_update=stamp.next_update)
    )
    if result.rowcount != 1:
        return False
    if not scope.is_delta:
        _forget(connection, issuer_id)
    tell(connection, [events.crl_published(issuer_id, stamp)])
    swap()
    return True


def _forget(connection: Connection, issuer_id: str) -> None:
    """Delete what no CRL owes any more, by the oldest complete CRL of any scope."""
    query = select(func.min(_p.number), func.min(_p.this_update)).where(
        _p.issuer_id == issuer_id, _IS_COMPLETE
    )
    number, this_update = connection.execute(query).one()
    # Two statements, since each has its index.
    for is_over in (_r.owed_until < this_update, _r.is_released.is_(True)):
        connection.execute(
            # What changed since then is a delta CRL's, whatever it is.
            delete(revocations).where(_r.issuer_id == issuer_id, _r.crl_number < number, is_over)
        )
    connection.execute(
        delete(deleted_revocations).where(_d.issuer_id == issuer_id, _d.crl_number < number)
    )
