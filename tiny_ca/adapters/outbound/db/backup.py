"""Every row of every table, out of one snapshot and into one transaction."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Column, Connection, LargeBinary, Table, func, insert, literal, select, text

from tiny_ca.adapters.outbound.db.revocations import list_unlisted
from tiny_ca.adapters.outbound.db.schema import UTCDateTime, metadata
from tiny_ca.domain.backup import JSONValue, Row
from tiny_ca.domain.errors import BackupError, NotEmpty

__all__ = ["check_empty", "export_rows", "import_rows"]

_PAGE = 1000


def export_rows(connection: Connection, write: Callable[[str, Sequence[Row]], object]) -> None:
    """See `ports.backup.BackupRegistry.export_rows`."""
    if connection.dialect.name == "postgresql":
        # SQLite's transactions see one moment anyway.
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    for table in metadata.sorted_tables:
        names = [column.name for column in table.columns]
        query = select(table).order_by(*table.primary_key.columns)
        options = {"stream_results": True, "yield_per": _PAGE}
        rows = connection.execute(query, execution_options=options).mappings()
        for page in rows.partitions():
            write(table.name, [{one: _dump(row[one]) for one in names} for row in page])


def _dump(value: Any) -> JSONValue:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return cast("JSONValue", value)


def check_empty(connection: Connection) -> None:
    """See `ports.backup.BackupRegistry.check_empty`."""
    for table in metadata.sorted_tables:
        if connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None:
            raise NotEmpty(
                f"The registry's table {table.name} has rows: restore into an empty database."
            )


def import_rows(connection: Connection, pages: Iterable[tuple[str, Sequence[Row]]]) -> None:
    """See `ports.backup.BackupRegistry.import_rows`."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    check_empty(connection)
    for name, rows in pages:
        table = metadata.tables.get(name)
        if table is None:
            raise BackupError(f"The registry has no table {name!r}, which the backup has.")
        _insert(connection, table, rows)
    list_unlisted(connection)
    for table in metadata.sorted_tables:
        _count_on(connection, table)


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    if _number_of(table) not in rows[0]:
        _count_on(connection, table)
    unknown = set[str]().union(*rows) - set(table.c.keys())
    if unknown:
        raise BackupError(f"{table.name} has no column {min(unknown)!r}, which the backup has.")
    try:
        values = [{name: _load(table.c[name], row[name]) for name in row} for row in rows]
    except (TypeError, ValueError) as error:
        raise BackupError(f"A row of {table.name} can't be read: {error}") from error
    connection.execute(insert(table), values)


def _load(column: Column[Any], value: JSONValue) -> Any:
    if isinstance(value, str) and isinstance(column.type, UTCDateTime):
        return datetime.fromisoformat(value)
    if isinstance(value, str) and isinstance(column.type, LargeBinary):
        return b64decode(value)
    return value


def _number_of(table: Table) -> str | None:
    """Give the column that the database counts up, if there is one."""
    column = table.autoincrement_column
    return None if column is None else column.name


def _count_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL's sequence go on above the rows that brought their own numbers."""
    number = _number_of(table)
    if connection.dialect.name != "postgresql" or number is None:
        return
    highest = connection.execute(select(func.max(table.c[number]))).scalar()
    sequence = func.pg_get_serial_sequence(table.name, number)
    connection.execute(select(func.setval(sequence, (highest or 0) + 1, False)))
