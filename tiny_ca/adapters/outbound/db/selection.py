"""Finding many: a filter as SQL, pages by keyset, and what is about to end."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    literal_column,
    select,
    tuple_,
    union_all,
)

from tiny_ca.adapters.outbound.db.queries import COLUMNS, to_record
from tiny_ca.adapters.outbound.db.schema import certificates
from tiny_ca.domain.catalogue import CertificateFilter, literals
from tiny_ca.domain.records import CertificateRecord, CertificateStatus

__all__ = ["branches", "expiring", "has_status", "page"]

Conditions = list[ColumnElement[bool]]

_c = certificates.c


def has_status(status: CertificateStatus) -> ColumnElement[bool]:
    """Compare the stored status as the partial indexes do, which are for constants."""
    is_status = _c.status == literal_column(f"'{status.value}'")
    if status is CertificateStatus.VALID:
        return is_status
    return and_(_c.status != literal_column("'valid'"), is_status)


def _of_status(status: CertificateStatus | None, at: datetime) -> list[Conditions]:
    """Give conditions, any of which has to hold, for a status *at* a moment."""
    valid = has_status(CertificateStatus.VALID)
    # `not_after` is a whole second, and all of that second is in.
    second = at.replace(microsecond=0)
    if status is None:
        return [[]]
    if status is CertificateStatus.VALID:
        return [[valid, _c.not_after >= second]]
    if status is CertificateStatus.EXPIRED:
        return [[has_status(status)], [valid, _c.not_after < second]]
    return [[has_status(status)]]


def _like(common_name: str, dialect: str) -> ColumnElement[bool]:
    """Compare with a pattern, case and all, so that an index finds a literal beginning."""
    parts = literals(common_name)
    if len(parts) == 1:
        return _c.common_name == parts[0]
    if dialect == "sqlite":
        special = str.maketrans({"?": "[?]", "[": "[[]", "*": "[*]"})
        pattern = "*".join(part.translate(special) for part in parts)
        return _c.common_name.op("GLOB", is_comparison=True)(pattern)
    special = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})
    return _c.common_name.like("%".join(part.translate(special) for part in parts))


def branches(wanted: CertificateFilter, at: datetime, dialect: str) -> list[Conditions]:
    """Give the filter as alternatives of conditions, each of which an index can serve."""
    common = [*_equal(wanted), *_between(wanted)]
    if wanted.common_name is not None:
        common.append(_like(wanted.common_name, dialect))
    return [[*common, *alternative] for alternative in _of_status(wanted.status, at)]


def _equal(wanted: CertificateFilter) -> Conditions:
    conditions: Conditions = []
    if wanted.cert_types is not None:
        conditions.append(_c.cert_type.in_(sorted(one.value for one in wanted.cert_types)))
    if wanted.serial_numbers is not None:
        conditions.append(_c.serial_number.in_([str(one) for one in wanted.serial_numbers]))
    if wanted.issuer_id is not None:
        conditions.append(_c.issuer_id == wanted.issuer_id)
    if wanted.uuid is not None:
        conditions.append(_c.uuid == wanted.uuid)
    return conditions


def _between(wanted: CertificateFilter) -> Conditions:
    conditions: Conditions = []
    for column, first, end in (
        (_c.created_at, wanted.issued_from, wanted.issued_before),
        (_c.not_after, wanted.expires_from, wanted.expires_before),
    ):
        if first is not None:
            conditions.append(column >= first)
        if end is not None:
            conditions.append(column < end)
    return conditions


def page(
    connection: Connection,
    wanted: CertificateFilter,
    at: datetime,
    limit: int,
    before: int | None,
    offset: int,
) -> list[CertificateRecord]:
    """See `ports.registry.Registry.page`."""
    query = page_query(wanted, at, limit, before, offset, connection.dialect.name)
    return [to_record(row) for row in connection.execute(query)]


def page_query(
    wanted: CertificateFilter,
    at: datetime,
    limit: int,
    before: int | None,
    offset: int,
    dialect: str,
) -> Select[Any]:
    """Give what `page` asks: the newest of each alternative, and the newest of those.

    Of rows that have to be sorted, only the ids are.
    """
    first, *others = branches(wanted, at, dialect)
    # What is over and not marked so is little, and better sorted than met one by one among all
    # that is valid: a sum is in no index.
    keys = [(first, _c.id), *((other, _c.id + 0) for other in others)]
    newest = [
        select(
            select(_c.id)
            .where(*alternative, *([] if before is None else [key < before]))
            .order_by(key.desc())
            .limit(limit + offset)
            .subquery()
            .c.id
        )
        for alternative, key in keys
    ]
    return (
        select(*COLUMNS)
        .where(_c.id.in_(union_all(*newest)))
        .order_by(_c.id.desc())
        .limit(limit)
        .offset(offset)
    )


def expiring(
    connection: Connection,
    at: datetime,
    until: datetime,
    limit: int,
    after: tuple[datetime, int] | None,
) -> list[CertificateRecord]:
    """See `ports.registry.Registry.expiring`."""
    query = expiring_query(at, until, limit, after)
    return [to_record(row) for row in connection.execute(query)]


def expiring_query(
    at: datetime, until: datetime, limit: int, after: tuple[datetime, int] | None
) -> Select[Any]:
    """Give what `expiring` asks."""
    query: Select[Any] = select(*COLUMNS).where(
        has_status(CertificateStatus.VALID),
        _c.not_after >= at.replace(microsecond=0),
        _c.not_after <= until,
    )
    if after is not None:
        query = query.where(tuple_(_c.not_after, _c.id) > after)
    return query.order_by(_c.not_after, _c.id).limit(limit)
