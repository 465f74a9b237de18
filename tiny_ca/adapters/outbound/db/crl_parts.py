"""Reading the entries of the next CRL, which the database puts together."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, LargeBinary, cast, func, select, text, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tiny_ca.adapters.outbound.db.schema import UTCDateTime, revocations
from tiny_ca.domain.crl import CRLPart, Shard

__all__ = ["Place", "crl_part"]

CRL_PART = 20_000
"""Entries a statement: a megabyte that the database puts together."""
_NO_SORT = text("SET LOCAL enable_sort = off")

_r = revocations.c
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


class _NotIndexed(FunctionElement[datetime]):
    """A moment that SQLite looks up in no index.

    Nor takes it for a number first, as a DATETIME that is compared, which reads both each time.
    """

    type = UTCDateTime()
    inherit_cache = True


@compiles(_NotIndexed)
def _as_it_is(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_NotIndexed, "sqlite")
def _by_unary_plus(element: Any, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


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
            conditions.append(_NotIndexed(_r.owed_until) >= last_this_update)
    if after is not None:
        conditions.append(tuple_(key, _r.certificate_id) > after)
    # Both halves of the place in one number, since the greatest of each may be of two rows.
    place = (cast(key, BigInteger) * 2**32 + _r.certificate_id).label("place")
    rows = (
        select(_r.entry, place)
        .where(*conditions)
        .order_by(key, _r.certificate_id)
        .limit(CRL_PART)
        .subquery()
    )
    query = select(_Concatenated(rows.c.entry), func.count(), func.max(rows.c.place))
    if connection.dialect.name == "postgresql":
        # The index has the rows in this order. With statistics of before they came, the planner
        # takes them for few, and sorts what is left of a million for each part.
        connection.execute(_NO_SORT)
    entries, count, last = connection.execute(query).one()
    if not count:
        return CRLPart(0, b""), None
    return CRLPart(count, bytes(entries)), divmod(last, 2**32) if count == CRL_PART else None
