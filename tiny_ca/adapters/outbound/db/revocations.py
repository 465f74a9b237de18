"""What CRLs are written from: reading and writing the table of revocations."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    Row,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tiny_ca.adapters.outbound.db.schema import (
    certificates,
    issuers,
    published_crls,
    revocations,
)
from tiny_ca.domain.crl import CRLPart, CRLScope, Shard, encode_crl_entry, shard_key_of
from tiny_ca.domain.records import CertificateStatus, CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason, Revocation, owed_until

__all__ = [
    "crl_part",
    "draw_crl_number",
    "ensure_scope",
    "last_crl",
    "list_release",
    "list_revocation",
    "publish_crl",
    "revoked_page",
]

PART = 5000
"""Entries a statement: enough to be fast, few enough to be a short transaction."""
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '10s'")

_c, _r, _p = certificates.c, revocations.c, published_crls.c
Place = tuple[int, int]
"""Where a part ended: the value of the column that it is ordered by, and a certificate's id."""


class _Concatenated(FunctionElement[bytes]):
    """Octets one after the other, put together by the database: a row each costs 3x the time."""

    type = LargeBinary()
    inherit_cache = True


@compiles(_Concatenated)
def _by_string_agg(element: Any, compiler: Any, **options: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **options)}, ''::bytea)"


@compiles(_Concatenated, "sqlite")
def _by_group_concat(element: Any, compiler: Any, **options: Any) -> str:
    # It takes octets for text, unseen, and the cast gives them back.
    return f"CAST(group_concat({compiler.process(element.clauses, **options)}, '') AS BLOB)"


def last_crl(connection: Connection, issuer_id: str, scope: CRLScope) -> CRLStamp | None:
    """See `ports.registry.Registry.last_crl`."""
    query = select(_p.number, _p.this_update, _p.next_update).where(
        _p.issuer_id == issuer_id, _p.scope == scope.name, _p.number > 0
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else CRLStamp(*row)


def crl_part(
    connection: Connection,
    after: Place | None,
    issuer_id: str,
    shard: Shard | None,
    since: int | None,
    last_this_update: datetime | None,
) -> tuple[CRLPart, Place | None]:
    """Give some entries, and where to go on, if there may be more."""
    # Keys that a row keeps: whatever is written meanwhile, none is given twice or missed.
    key = _r.first_crl_number if shard is None else _r.shard_key
    conditions = [_r.issuer_id == issuer_id]
    if shard is not None:
        conditions.append(_r.shard_key.between(shard.keys.start, shard.keys.stop - 1))
    if since is not None:
        conditions.append(_r.crl_number >= since)
    else:
        conditions.append(_r.is_released.is_(False))
        if last_this_update is not None:
            conditions.append(_r.owed_until >= last_this_update)
    if after is not None:
        conditions.append(tuple_(key, _r.certificate_id) > after)
    rows = (
        select(_r.entry, key.label("key"), _r.certificate_id)
        .where(*conditions)
        .order_by(key, _r.certificate_id)
        .limit(PART)
        .subquery()
    )
    # Both halves of the place in one number, since the greatest of each may be of two rows.
    place = func.max(cast(rows.c.key, BigInteger) * 2**32 + rows.c.certificate_id)
    query = select(_Concatenated(rows.c.entry), func.count(), place)
    entries, count, last = connection.execute(query).one()
    if not count:
        return CRLPart(0, b""), None
    return CRLPart(count, bytes(entries)), divmod(last, 2**32) if count == PART else None


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


def list_revocation(
    connection: Connection,
    row: Row[Any],
    revocation: Revocation,
    invalidity_date: datetime | None,
) -> None:
    """Write what CRLs are to say of a certificate from now on."""
    if invalidity_date is None and row.status == CertificateStatus.REVOKED.value:
        query = select(_r.invalidity_date).where(_r.certificate_id == row.id)
        invalidity_date = connection.execute(query).scalar()
    entry = CRLEntry(
        int(row.serial_number), revocation.revocation_date, revocation.reason, invalidity_date
    )
    _list(connection, row, entry, owed_until(revocation, row.not_after))


def list_release(connection: Connection, row: Row[Any], at: datetime) -> None:
    """Write that a certificate is on hold no more (removeFromCRL, RFC 5280 §5.3.1)."""
    entry = CRLEntry(int(row.serial_number), at, CRLReason.REMOVE_FROM_CRL)
    _list(connection, row, entry, row.not_after)


def _list(connection: Connection, row: Row[Any], entry: CRLEntry, until: datetime) -> None:
    # Shared: who draws the next number waits until this is committed, so that its CRL shows it.
    query = select(issuers.c.drawn_crl_number).where(issuers.c.id == row.issuer_id)
    drawn = connection.execute(query.with_for_update(read=True)).scalar_one()
    values = {
        "crl_number": drawn,
        "owed_until": until,
        "is_released": entry.revocation_reason is CRLReason.REMOVE_FROM_CRL,
        "invalidity_date": entry.invalidity_date,
        "entry": encode_crl_entry(entry),
    }
    changed = connection.execute(
        update(revocations).where(_r.certificate_id == row.id).values(values)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(revocations).values(
                issuer_id=row.issuer_id,
                first_crl_number=drawn,
                certificate_id=row.id,
                shard_key=shard_key_of(entry.serial_number),
                **values,
            )
        )


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
    swap()
    return True


def _forget(connection: Connection, issuer_id: str) -> None:
    """Delete what no CRL owes any more, by the oldest complete CRL of any scope."""
    query = select(func.min(_p.number), func.min(_p.this_update)).where(
        _p.issuer_id == issuer_id, _p.number > 0, _p.scope.not_like("%-delta")
    )
    number, this_update = connection.execute(query).one()
    connection.execute(
        delete(revocations).where(
            _r.issuer_id == issuer_id,
            # What changed since then is a delta CRL's, whatever it is.
            _r.crl_number < number,
            or_(_r.owed_until < this_update, _r.is_released.is_(True)),
        )
    )
