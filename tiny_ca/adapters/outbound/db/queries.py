"""Reading: functions over a connection, run alike by the sync and the async handler."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, select

from tiny_ca.adapters.outbound.db.prepared import Prepared, Values
from tiny_ca.adapters.outbound.db.schema import certificates
from tiny_ca.domain.errors import (
    AmbiguousSerialNumber,
    IdempotencyKeyTaken,
    NotUniqueCertOwner,
    SerialNumberCollision,
    TinyCAError,
)
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

__all__ = [
    "BY_IDEMPOTENCY_KEY",
    "BY_NAME",
    "BY_OWN_ISSUER_ID",
    "COLUMNS",
    "Wanted",
    "authorities_page",
    "by_serial",
    "many_by_serial",
    "only_one",
    "pending_page",
    "row_by_serial",
    "to_record",
    "what_is_taken",
]

T = TypeVar("T")

PAGE = 1000
_LONGEST_SERIAL_BITS = 160
_c = certificates.c
COLUMNS = [column for column in _c if column.name not in ("name_claim", "own_issuer_id")]


def to_record(row: Row[Any]) -> CertificateRecord:
    """Make a record of a row with all of `COLUMNS`."""
    return CertificateRecord(
        serial_number=int(row.serial_number),
        issuer_id=row.issuer_id,
        common_name=row.common_name,
        cert_type=CertType(row.cert_type),
        status=CertificateStatus(row.status),
        not_before=row.not_before,
        not_after=row.not_after,
        uuid=row.uuid,
        cert_path=row.cert_path,
        file_name=row.file_name,
        created_at=row.created_at,
        certificate_pem=row.certificate_pem,
        revocation_date=row.revocation_date,
        revocation_reason=row.revocation_reason and CRLReason(row.revocation_reason),
        request_hash=row.request_hash,
        profile=row.profile,
        claims_name=row.claims_name,
        position=row.id,
    )


_SERIAL = select(*COLUMNS, _c.name_claim).where(_c.serial_number == bindparam("serial_number"))
_SERIAL_OF_ISSUER = _SERIAL.where(_c.issuer_id == bindparam("issuer_id"))
_BY_SERIAL = Prepared(_SERIAL)
_BY_SERIAL_OF_ISSUER = Prepared(_SERIAL_OF_ISSUER)
_LOCKED_BY_SERIAL = Prepared(_SERIAL.with_for_update())
_LOCKED_BY_SERIAL_OF_ISSUER = Prepared(_SERIAL_OF_ISSUER.with_for_update())
BY_NAME = Prepared(
    select(*COLUMNS).where(
        _c.name_claim == bindparam("common_name"), _c.status == CertificateStatus.VALID.value
    )
)
BY_IDEMPOTENCY_KEY = Prepared(select(*COLUMNS).where(_c.idempotency_key == bindparam("key")))
BY_OWN_ISSUER_ID = Prepared(
    select(*COLUMNS).where(_c.own_issuer_id == bindparam("issuer_id")).order_by(_c.id)
)


def row_by_serial(
    connection: Connection,
    serial_number: int,
    issuer_id: str | None = None,
    *,
    for_update: bool = False,
) -> Row[Any] | None:
    """Give the one row with this serial number.  Raises `AmbiguousSerialNumber`."""
    query, values = by_serial(serial_number, issuer_id, for_update=for_update)
    return only_one(serial_number, query.rows(connection, values))


def by_serial(
    serial_number: int, issuer_id: str | None, *, for_update: bool = False
) -> tuple[Prepared, Values]:
    """Give the statement and values that find a serial number, of an issuer or of any."""
    if issuer_id is None:
        query = _LOCKED_BY_SERIAL if for_update else _BY_SERIAL
        return query, {"serial_number": _digits(serial_number)}
    query = _LOCKED_BY_SERIAL_OF_ISSUER if for_update else _BY_SERIAL_OF_ISSUER
    return query, {"serial_number": _digits(serial_number), "issuer_id": issuer_id}


def _digits(serial_number: int) -> str:
    # No row has a longer one, and Python writes no number of thousands of digits.
    return str(serial_number) if serial_number.bit_length() <= _LONGEST_SERIAL_BITS else ""


def only_one(serial_number: int, rows: Sequence[Row[Any]]) -> Row[Any] | None:
    """Give the one row with this serial number, or `None`.  Raises `AmbiguousSerialNumber`."""
    if len(rows) > 1:
        raise AmbiguousSerialNumber(serial_number)
    return rows[0] if rows else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an insert wants to be unique."""

    serial_numbers: Sequence[tuple[str, int]]
    """Each with its issuer's id."""
    common_names: Sequence[str]
    idempotency_keys: Sequence[str] = ()


def _first_twice(items: Iterable[T]) -> T | None:
    return next((item for item, times in Counter(items).items() if times > 1), None)


def what_is_taken(connection: Connection, wanted: Wanted) -> TinyCAError:
    """Find out which UNIQUE refused an insert, for a row that is there or one beside it."""
    serials = [str(serial_number) for _, serial_number in wanted.serial_numbers]
    query: Select[Any] = select(_c.issuer_id, _c.serial_number)
    query = query.where(_c.serial_number.in_(serials))
    used = [(row.issuer_id, int(row.serial_number)) for row in connection.execute(query)]
    if (taken := _first_twice([*used, *wanted.serial_numbers])) is not None:
        return SerialNumberCollision(f"The issuer has used the serial number {taken[1]} before.")
    query = select(_c.idempotency_key).where(_c.idempotency_key.in_(wanted.idempotency_keys))
    keys = connection.execute(query).scalars()
    if (key := _first_twice([*keys, *wanted.idempotency_keys])) is not None:
        return IdempotencyKeyTaken(f"{key!r} was used before.")
    query = select(_c.name_claim).where(_c.name_claim.in_(wanted.common_names))
    name = _first_twice([*connection.execute(query).scalars(), *wanted.common_names])
    # None: the holder gave the name up meanwhile.
    return NotUniqueCertOwner(next(iter(wanted.common_names), "") if name is None else name)


def _page(
    connection: Connection, query: Select[Any], after: int
) -> tuple[Sequence[Row[Any]], int | None]:
    """Run *query* for the rows after an id; give them, and the id to go on from, if any."""
    rows = connection.execute(query.where(_c.id > after).order_by(_c.id).limit(PAGE)).all()
    return rows, rows[-1].id if len(rows) == PAGE else None


Records = tuple[list[CertificateRecord], int | None]


def pending_page(connection: Connection, after: int, created_before: datetime) -> Records:
    """Give pending rows that were reserved before a moment."""
    query = select(*COLUMNS).where(
        _c.status == CertificateStatus.PENDING.value, _c.created_at < created_before
    )
    rows, following = _page(connection, query, after)
    return [to_record(row) for row in rows], following


def authorities_page(connection: Connection, after: int) -> Records:
    """Give valid certificates of CAs."""
    query = select(*COLUMNS).where(
        _c.cert_type == CertType.CA.value, _c.status == CertificateStatus.VALID.value
    )
    rows, following = _page(connection, query, after)
    return [to_record(row) for row in rows], following


def many_by_serial(
    connection: Connection, issuer_id: str, serial_numbers: Sequence[int]
) -> list[CertificateRecord]:
    """Give an issuer's certificates of these serial numbers, a few hundred at most."""
    query = select(*COLUMNS).where(
        _c.issuer_id == issuer_id, _c.serial_number.in_([str(one) for one in serial_numbers])
    )
    return [to_record(row) for row in connection.execute(query)]
