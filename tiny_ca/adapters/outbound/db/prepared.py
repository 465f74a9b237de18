"""Statements of hot paths: compiled once, and run on the driver's own cursor.

What SQLAlchemy does around each statement takes ten times as long as SQLite does inside.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from tiny_ca.adapters.outbound.db.schema import UTCDateTime

__all__ = ["OWN", "Compiled", "Prepared", "Values", "on_cursor"]

OWN = {"tiny_ca_own": True}
"""Execution options of an engine that is ours: a caller's may translate and listen."""

Values = Mapping[str, Any]
_Codec = Callable[[Any], Any]


class Compiled:
    """A statement for one dialect."""

    def __init__(
        self, statement: Executable, columns: Sequence[str] | None, dialect: Dialect
    ) -> None:
        compiled: Any = statement.compile(  # type: ignore[attr-defined]
            dialect=dialect, column_keys=columns
        )
        self.sql = str(compiled)
        self._names: Sequence[str] | None = compiled.positiontup
        self._defaults = compiled.construct_params(_check=False)
        self._encoders = _codecs(
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bind in compiled.binds.items()
        )
        self._decoders: list[tuple[int, _Codec]] = []
        self._row: Callable[[Sequence[Any]], Any] = tuple
        if isinstance(statement, Select):
            chosen = list(statement.selected_columns)
            self._decoders = _codecs(
                (place, _decoder(column.type, dialect)) for place, column in enumerate(chosen)
            )
            # What reads SQLAlchemy's rows by name reads these too.
            row: Any = namedtuple("Row", [one.name for one in chosen])  # type: ignore[misc]  # noqa: PYI024
            self._row = row._make

    def encode(self, values: Values) -> Any:
        """Give the driver's arguments."""
        arguments = {**self._defaults, **values}
        for name, encode in self._encoders:
            if arguments[name] is not None:
                arguments[name] = encode(arguments[name])
        return arguments if self._names is None else [arguments[name] for name in self._names]

    def decode(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Give rows whose columns have names, and Python's types."""
        return [self._row(self._decoded(row)) for row in rows]

    def _decoded(self, row: Sequence[Any]) -> Sequence[Any]:
        if not self._decoders:
            return row
        values = list(row)
        for place, decode in self._decoders:
            if values[place] is not None:
                values[place] = decode(values[place])
        return values


class Prepared:
    """A statement without lists of values, and with the names of an insert's columns."""

    def __init__(self, statement: Executable, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[tuple[str, str, str], Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """Give it for *dialect*, compiled the first time."""
        key = dialect.name, dialect.driver, dialect.paramstyle
        if key not in self._compiled:
            self._compiled[key] = Compiled(self._statement, self._columns, dialect)
        return self._compiled[key]

    def rows(self, connection: Connection, values: Values) -> Sequence[Any]:
        """Give the rows; their columns have names."""
        if not connection.get_execution_options().get("tiny_ca_own"):
            return connection.execute(self._statement, dict(values)).all()
        compiled = self.compiled(connection.dialect)
        return compiled.decode(on_cursor(connection, compiled.sql, compiled.encode(values))[0])

    def change(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it once for each of *rows*, one or more; give how many rows were changed."""
        if not connection.get_execution_options().get("tiny_ca_own"):
            return connection.execute(self._statement, [dict(row) for row in rows]).rowcount
        compiled = self.compiled(connection.dialect)
        arguments = [compiled.encode(row) for row in rows]
        if len(arguments) == 1:
            return on_cursor(connection, compiled.sql, arguments[0], fetch=False)[1]
        return on_cursor(connection, compiled.sql, arguments, fetch=False, many=True)[1]


def on_cursor(
    connection: Connection,
    sql: str,
    arguments: Any = (),
    *,
    fetch: bool = True,
    many: bool = False,
) -> tuple[Sequence[Sequence[Any]], int]:
    """Run a statement on the driver's cursor; give the rows, and how many were changed.

    Raises what SQLAlchemy raises in place of the driver's errors.
    """
    cursor = connection.connection.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(sql, arguments)
        # All of them, so that SQLite ends the statement.
        return (cursor.fetchall() if fetch else (), cursor.rowcount)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            sql, None, error, connection.dialect.loaded_dbapi.Error, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()


def _codecs(found: Any) -> list[tuple[Any, _Codec]]:
    return [(place, codec) for place, codec in found if codec is not None]


def _decoder(kind: TypeEngine[Any], dialect: Dialect) -> _Codec | None:
    decode = kind.dialect_impl(dialect).result_processor(dialect, None)
    # The same few moments are in thousands of rows.
    return lru_cache(maxsize=1024)(decode) if decode and isinstance(kind, UTCDateTime) else decode
