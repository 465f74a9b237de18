"""A registry of many revoked certificates, filled past the library: a million in seconds."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from tiny_ca import CAConfig, CertLifecycleManager, LocalStorage, SyncDBHandler
from tiny_ca.adapters.outbound.db.schema import certificates, revocations
from tiny_ca.domain.crl import encode_crl_entry, shard_key_of
from tiny_ca.domain.records import CRLEntry
from tiny_ca.domain.revocation import CRLReason

__all__ = ["NOW", "REASONS", "filled_registry"]

NOW = datetime.now(UTC).replace(microsecond=0)
REASONS = (
    CRLReason.KEY_COMPROMISE,
    CRLReason.SUPERSEDED,
    CRLReason.CESSATION_OF_OPERATION,
    CRLReason.UNSPECIFIED,
)
_CERTIFICATES = (
    *("id", "serial_number", "issuer_id", "common_name", "status", "cert_type"),
    *("not_before", "not_after", "created_at", "revocation_date", "revocation_reason"),
)
_REVOCATIONS = (
    *("issuer_id", "first_crl_number", "certificate_id", "crl_number", "shard_key"),
    *("owed_until", "is_released", "entry"),
)
_CACHE = 400_000
"""kB."""
Rows = Iterator[tuple[object, ...]]


@contextmanager
def filled_registry(
    folder: Path, count: int, db_url: str | None = None
) -> Iterator[tuple[CertLifecycleManager, list[int]]]:
    """Open a CA of which *count* certificates are revoked, and give their serial numbers.

    In SQLite in the *folder*, or in another database that has no such certificates yet.
    """
    registry = SyncDBHandler(db_url or f"sqlite:///{folder / 'registry.db'}")
    with CertLifecycleManager(LocalStorage(folder / "pki"), db_handler=registry) as ca:
        ca.create_self_signed_ca(
            CAConfig(common_name="Bench", key_algorithm="p-256"), is_overwrite=True
        )
        assert ca.factory is not None
        serials = sorted(int.from_bytes(b"SV" + os.urandom(18)) for _ in range(count))
        _fill(registry._db.engine, ca.factory.issuer_id, serials)  # noqa: SLF001
        yield ca, serials


def _fill(engine: sa.Engine, issuer_id: str, serials: list[int]) -> None:
    # Made at the end, as from a backup: a million rows find their places in each one by one else.
    indexes = [*certificates.indexes, *revocations.indexes]
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
        first = 1 + (connection.execute(sa.select(sa.func.max(certificates.c.id))).scalar() or 0)
    tables = (
        ("certificates", _CERTIFICATES, _certificate_rows(issuer_id, first, serials)),
        ("revocations", _REVOCATIONS, _revocation_rows(issuer_id, first, serials)),
    )
    if engine.dialect.name == "sqlite":
        statements = [str(CreateIndex(index).compile(engine)) for index in indexes]
        _insert(str(engine.url.database), tables, statements)
        return
    _copy(engine, tables)
    with engine.begin() as connection:
        for index in indexes:
            index.create(connection)


Tables = tuple[tuple[str, tuple[str, ...], Rows], ...]


def _insert(path: str, tables: Tables, indexes: list[str]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Pages are written once when they are full, not each time that another one needs the room.
        for pragma in ("synchronous=OFF", f"cache_size=-{_CACHE}", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        for table, columns, rows in tables:
            places = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
            connection.execute("BEGIN")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")
        for statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(engine: sa.Engine, tables: Tables) -> None:
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        for table, columns, rows in tables:
            with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('certificates', 'id'), max(id)) FROM certificates"
        )
        connection.commit()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.000000"


def _revoked_at(serial: int) -> datetime:
    return NOW - timedelta(hours=serial % 4)


def _certificate_rows(issuer_id: str, first: int, serials: list[int]) -> Rows:
    begin, end, at = (_moment(NOW + timedelta(days=days)) for days in (-1, 365, 0))
    revoked = [(_moment(_revoked_at(rest)), REASONS[rest].value) for rest in range(4)]
    for number, serial in enumerate(serials, first):
        row = (number, str(serial), issuer_id, f"n{number:09}", "revoked", "SVC", begin, end, at)
        yield (*row, *revoked[serial % 4])


def _revocation_rows(issuer_id: str, first: int, serials: list[int]) -> Rows:
    until = _moment(NOW + timedelta(days=365))
    around = [_around_the_serial(rest) for rest in range(4)]
    for number, serial in enumerate(serials, first):
        before, after = around[serial % 4]
        entry = before + serial.to_bytes(20) + after
        yield issuer_id, 0, number, 0, shard_key_of(serial), until, False, entry


def _around_the_serial(rest: int) -> tuple[bytes, bytes]:
    """Give what an entry says beside its serial number: the same for all of this *rest*."""
    serial = int.from_bytes(b"SV" + b"\x55" * 18)
    entry = encode_crl_entry(CRLEntry(serial, _revoked_at(rest), REASONS[rest], None))
    before, after = entry.split(serial.to_bytes(20))
    return before, after
