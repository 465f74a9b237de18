"""Connecting: drivers, durability, and whose fault an error is."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from tiny_ca.adapters.outbound.db.prepared import OWN, on_cursor
from tiny_ca.domain.errors import InvalidRequest, RegistryError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "STILL_THERE",
    "WRITE",
    "Runner",
    "async_engine",
    "is_in_memory",
    "registry_errors",
    "sync_engine",
]

T = TypeVar("T")

WRITE = {"tiny_ca_write": True}
"""Execution options of a connection that will write."""

STILL_THERE = "tiny_ca_still_there"
"""In a connection's `info`: a function that raises when its database is not there any more."""

_BUSY_TIMEOUT = 10
"""Seconds that SQLite waits for another writer, unless the URL's `?timeout=` says otherwise."""

_SYNC_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+aiosqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
    "postgresql+asyncpg": "postgresql+psycopg",
}
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+pysqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
}


class Runner(Protocol):
    """Runs a function in a transaction of its own and commits it."""

    def run(
        self, work: Callable[[Connection], T], *, write: bool = False, group: bool = False
    ) -> T:
        """Run *work*; commit what it wrote, or roll back what it raised from.

        *group*: it writes, calls nobody back, and may share its commit with others.
        """
        ...


@contextmanager
def registry_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into `RegistryError`, and a driver's for what is no text."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"No database holds {error.object[:80]!r}: {error.reason}.") from error
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise RegistryError(f"The registry's database failed: {cause}") from error


def is_in_memory(url: URL) -> bool:
    """Whether the URL means a SQLite database that lives in one connection."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _arguments(db_url: str, drivers: dict[str, str]) -> tuple[URL, dict[str, Any]]:
    with registry_errors():
        url = make_url(db_url)
    url = url.set(drivername=drivers.get(url.drivername, url.drivername))
    arguments: dict[str, Any] = {"pool_pre_ping": url.get_backend_name() != "sqlite"}
    if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        arguments["connect_args"] = {"timeout": _BUSY_TIMEOUT}
    if is_in_memory(url):
        arguments["poolclass"] = StaticPool
        arguments["connect_args"] = {"check_same_thread": False}
    return url, arguments


def sync_engine(db_url: str) -> Engine:
    """Make an engine.  Raises `RegistryError` for a URL or driver that can't be used."""
    url, arguments = _arguments(db_url, _SYNC_DRIVERS)
    with registry_errors(), _missing_driver(url):
        engine = create_engine(url, execution_options=OWN, **arguments)
    _prepare(engine)
    return engine


def async_engine(db_url: str) -> "AsyncEngine":
    """Make an engine for one event loop.  Raises as `sync_engine` does."""
    url, arguments = _arguments(db_url, _ASYNC_DRIVERS)
    with registry_errors(), _missing_driver(url):
        # It needs greenlet, which only the extras for async drivers bring.
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

        engine = create_async_engine(url, **arguments)
    _prepare(engine.sync_engine)
    return engine


@contextmanager
def _missing_driver(url: URL) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise RegistryError(
            f"{url.drivername} needs a package that is not installed ({error.name}): "
            "install tiny-ca[async] for aiosqlite, tiny-ca[postgres] for psycopg."
        ) from error


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if not is_in_memory(engine.url):
            _SameFile().watch(engine)


class _SameFile:
    """Notices that SQLite's file was moved away or replaced.

    SQLite goes on with the file that it has open, which nobody else sees any more; a new
    connection would start an empty one, and delete the log of the one that is gone.
    """

    def __init__(self) -> None:
        self._path: str | None = None

    def watch(self, engine: Engine) -> None:
        event.listen(engine, "do_connect", self._before_connecting)
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "checkout", self._before_using)

    def _before_connecting(self, *_: object) -> None:
        self._identity()

    def _connected(self, connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA database_list")
        # Empty for a database that has no file.
        self._path = cursor.fetchone()[2] or None
        cursor.close()
        record.info["tiny_ca_file"] = identity = self._identity()
        record.info[STILL_THERE] = partial(self._check, identity)

    def _before_using(self, _connection: object, record: Any, _proxy: object) -> None:
        self._check(record.info.get("tiny_ca_file"))

    def _check(self, identity: tuple[int, int] | None) -> None:
        if identity != self._identity():
            raise DisconnectionError("The database's file was replaced.")

    def _identity(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            # For each look-up: a Path takes as long as the system call.
            status = os.stat(self._path)  # noqa: PTH116
        except OSError as error:
            raise RegistryError(f"The registry's database is gone: {error}") from error
        return status.st_dev, status.st_ino


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin by itself, too late for a lock on what is read first.
    connection.isolation_level = None
    cursor = connection.cursor()
    _turn_to_wal(cursor)
    # FULL: with NORMAL, a commit that was acknowledged may be lost with the power.
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _turn_to_wal(cursor: Any) -> None:
    # SQLite fails at once, whatever its timeout, when two connections do so to a new file.
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns to writing fails at once when another one writes.
    is_write = connection.get_execution_options().get("tiny_ca_write", False)
    on_cursor(connection, "BEGIN IMMEDIATE" if is_write else "BEGIN", fetch=False)
