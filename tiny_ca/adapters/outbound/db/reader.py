"""One look-up over and over, without what SQLAlchemy does around each statement."""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from tiny_ca.adapters.outbound.db.engine import STILL_THERE
from tiny_ca.adapters.outbound.db.schema import UTCDateTime
from tiny_ca.domain.errors import TinyCAError

__all__ = ["RowReader"]

_Connection = tuple[Any, Callable[[], object]]


class RowReader:
    """Reads at most one row by *statement*: on SQLite an eighth of the ordinary price.

    It has connections of its own, outside the pool, that commit by themselves.  Thread-safe,
    and safe after a fork.
    """

    def __init__(self, engine: Engine, statement: Select[Any]) -> None:
        self._engine = engine
        compiled = statement.compile(dialect=engine.dialect)
        self._sql = str(compiled)
        self._names: Sequence[str] | None = compiled.positiontup
        self._decoders = [
            (place, decode)
            for place, column in enumerate(statement.selected_columns)
            if (decode := _decoder(column.type, engine.dialect)) is not None
        ]
        self._idle: deque[_Connection] = deque()
        self._of_the_parent: list[deque[_Connection]] = []
        self._pid = os.getpid()

    def row(self, values: Mapping[str, Any]) -> list[Any] | None:
        """Give the row, `None` if there is none.

        Raises `LookupError` when it can't be read this way; another one, which says what is
        wrong, has to be taken then.
        """
        if self._pid != os.getpid():
            # Not even closed: the parent goes on using them.
            self._of_the_parent.append(self._idle)
            self._idle, self._pid = deque(), os.getpid()
        errors = (self._engine.dialect.loaded_dbapi.Error, SQLAlchemyError, TinyCAError)
        try:
            connection, check = self._idle.pop() if self._idle else self._connect()
        except (IndexError, *errors) as error:
            raise LookupError from error
        try:
            check()
            rows = self._fetch(connection, values)
        except errors as error:
            connection.close()
            raise LookupError from error
        except BaseException:
            connection.close()
            raise
        self._idle.append((connection, check))
        if not rows:
            return None
        row = list(rows[0])
        for place, decode in self._decoders:
            if row[place] is not None:
                row[place] = decode(row[place])
        return row

    def _fetch(self, connection: Any, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        names = self._names
        arguments = values if names is None else tuple([values[name] for name in names])
        cursor = connection.cursor()
        try:
            cursor.execute(self._sql, arguments)
            # All, so that SQLite ends its transaction.
            rows: Sequence[Sequence[Any]] = cursor.fetchall()
        finally:
            cursor.close()
        return rows

    def _connect(self) -> _Connection:
        connection = self._engine.raw_connection()
        check = connection.info.get(STILL_THERE, _nothing)
        driver: Any = connection.dbapi_connection
        connection.detach()
        if self._engine.dialect.name == "postgresql":
            driver.autocommit = True
        return driver, check

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle and self._pid == os.getpid():
            self._idle.pop()[0].close()


def _decoder(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    decode = kind.dialect_impl(dialect).result_processor(dialect, None)
    # The same few moments are in thousands of rows.
    return lru_cache(maxsize=1024)(decode) if decode and isinstance(kind, UTCDateTime) else decode


def _nothing() -> None:
    """Stand in for a check that a database does not need."""
