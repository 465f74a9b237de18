"""`SyncDBHandler`: the registry through a blocking driver."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from logging import Logger, getLogger
from threading import RLock
from typing import Any, TypeVar

from cryptography import x509
from sqlalchemy import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session

from tiny_ca.adapters.outbound.db.base import BaseDB
from tiny_ca.adapters.outbound.db.engine import (
    STILL_THERE,
    WRITE,
    is_in_memory,
    registry_errors,
    sync_engine,
)
from tiny_ca.adapters.outbound.db.group import GroupCommit
from tiny_ca.adapters.outbound.db.migrate import is_current, migrate
from tiny_ca.adapters.outbound.db.prepared import Prepared, Values
from tiny_ca.adapters.outbound.db.reader import RowReader
from tiny_ca.adapters.outbound.db.registry import SQLRegistry
from tiny_ca.domain.errors import NotUniqueCertOwner, SerialNumberCollision
from tiny_ca.domain.records import CRLEntry
from tiny_ca.domain.revocation import CRLReason, RevokeStatus
from tiny_ca.domain.serial import CertType

__all__ = ["DatabaseManager", "SyncDBHandler"]

T = TypeVar("T")

_MOST_IDLE = 2
"""Connections to read and to write by that are kept at hand; the pool keeps others."""


class DatabaseManager:
    """An engine with the schema in place; safe to use in threads and after a fork.

    Raises `RegistryError` when the database can't be opened or migrated.
    """

    def __init__(self, db_url: str = "sqlite:///ca_repository.db", create_all: bool = True) -> None:
        self.engine = sync_engine(db_url)
        self._of_the_parent: list[object] = []
        self._begin_anew()
        # An in-memory database is one connection, which threads must not share.
        self._turn = RLock() if is_in_memory(self.engine.url) else nullcontext()
        if create_all:
            try:
                self._prepare()
            except BaseException:
                # Nobody gets a manager that they could close.
                self.close()
                raise

    def _prepare(self) -> None:
        with registry_errors():
            if not self.run(is_current):
                self.run(migrate, write=True)

    def run(
        self, work: Callable[[Connection], T], *, write: bool = False, group: bool = False
    ) -> T:
        """Run *work* in a transaction of its own; commit, or roll back what it raised from.

        With *group* it may be committed together with other threads' work: see `GroupCommit`.
        """
        if self._pid != os.getpid():
            self._forget_the_parents()
        if group and self._group is not None:
            return self._group.run(work)
        with self._turn, self._transaction(write=write) as connection:
            return work(connection)

    def _forget_the_parents(self) -> None:
        # A forked child must not close the connections that its parent goes on using.
        self.engine.dispose(close=False)
        self._of_the_parent.append(self._idle)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._idle: dict[bool, deque[Connection]] = {True: deque(), False: deque()}
        is_file = self.engine.dialect.name == "sqlite" and not is_in_memory(self.engine.url)
        self._most_idle = _MOST_IDLE if is_file else 0
        self._group = GroupCommit(partial(self._transaction, write=True)) if is_file else None

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        connection = self._connection(write=write)
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.close()
            raise
        idle = self._idle[write]
        if len(idle) < self._most_idle:
            idle.append(connection)
        else:
            connection.close()

    def _connection(self, *, write: bool) -> Connection:
        """Give a connection: to and from the pool takes longer than a small transaction."""
        try:
            connection = self._idle[write].pop()
        except IndexError:
            pass
        else:
            try:
                connection.info.get(STILL_THERE, _nothing)()
            except DisconnectionError:
                connection.invalidate()
                connection.close()
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        return self.engine.connect().execution_options(**(WRITE if write else {}))

    def session(self) -> Session:
        """Give an ORM session on the engine; whoever asks for it commits and closes it."""
        return Session(self.engine)

    def close(self) -> None:
        """Close the idle connections."""
        if self._pid == os.getpid():
            for idle in self._idle.values():
                while idle:
                    idle.pop().close()
        self.engine.dispose()


def _nothing() -> None:
    """Stand in for a check that a database does not need."""


class SyncDBHandler(SQLRegistry, BaseDB):
    """The registry in a database: `sqlite:///file.db`, `postgresql+psycopg://...`.

    The schema is created or migrated on construction, a registry of tiny_ca 0.1 included.
    Implements `ports.registry.Registry`; every method raises `RegistryError` when the
    database fails.
    """

    def __init__(self, db_url: str, logger: Logger | None = None) -> None:
        self._db = DatabaseManager(db_url)
        self._logger = logger or getLogger("tiny_ca")
        self._reader = RowReader(self._db.engine)
        self._has_reader = not is_in_memory(self._db.engine.url)
        self._is_file = self._has_reader and self._db.engine.dialect.name == "sqlite"
        super().__init__(self._db)

    def _look_up(self, statement: Prepared, values: Values) -> Sequence[Any]:
        """Read the short way; whatever goes wrong there, the long one raises it."""
        if self._has_reader:
            try:
                return self._reader.rows(statement, values)
            except LookupError:
                pass
        return super()._look_up(statement, values)

    def _look_up_at_once(self, statement: Prepared, values: Values) -> Sequence[Any] | None:
        """Read SQLite's file: whoever writes meanwhile is not waited for (WAL)."""
        if not self._is_file:
            return None
        try:
            return self._reader.rows(statement, values, at_once=True)
        except LookupError:
            return None

    def register_cert_in_db(
        self, cert: x509.Certificate, uuid: str, key_type: CertType = CertType.DEVICE
    ) -> bool:
        """Record a certificate as valid; false if its serial number or name is taken."""
        try:
            self.register(cert, uuid, key_type, datetime.now(UTC))
        except (SerialNumberCollision, NotUniqueCertOwner) as error:
            self._logger.warning("Not registered: %s", error, extra={"event": "not_registered"})
            return False
        return True

    def revoke_certificate(
        self, serial_number: int, reason: x509.ReasonFlags = x509.ReasonFlags.unspecified
    ) -> tuple[bool, RevokeStatus]:
        """Revoke; give whether the certificate is revoked now, and why not."""
        is_revoked = self.revoke(serial_number, CRLReason(reason.value), datetime.now(UTC))
        return is_revoked, RevokeStatus.OK if is_revoked else RevokeStatus.NOT_FOUND

    def get_revoked_certificates(self) -> Iterator[CRLEntry]:
        """Yield every revoked certificate that a CRL owes an answer for, of every issuer."""
        yield from self.revoked(None)

    def close(self) -> None:
        """Close the idle connections."""
        self._reader.close()
        self._db.close()
