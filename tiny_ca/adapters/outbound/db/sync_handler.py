"""`SyncDBHandler`: the registry through a blocking driver."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from logging import Logger, getLogger
from threading import RLock
from typing import Any, TypeVar

from cryptography import x509
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from tiny_ca.adapters.outbound.db.base import BaseDB
from tiny_ca.adapters.outbound.db.engine import WRITE, is_in_memory, registry_errors, sync_engine
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


class DatabaseManager:
    """An engine with the schema in place; safe to use in threads and after a fork.

    Raises `RegistryError` when the database can't be opened or migrated.
    """

    def __init__(self, db_url: str = "sqlite:///ca_repository.db", create_all: bool = True) -> None:
        self.engine = sync_engine(db_url)
        self._pid = os.getpid()
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

    def run(self, work: Callable[[Connection], T], *, write: bool = False) -> T:
        """Run *work* in a transaction of its own; commit, or roll back what it raised from."""
        if self._pid != os.getpid():
            # A forked child must not close the connections that its parent goes on using.
            self.engine.dispose(close=False)
            self._pid = os.getpid()
        with self._turn, self.engine.connect() as connection:
            if write:
                connection.execution_options(**WRITE)
            with connection.begin():
                return work(connection)

    def session(self) -> Session:
        """Give an ORM session on the engine; whoever asks for it commits and closes it."""
        return Session(self.engine)

    def close(self) -> None:
        """Close the idle connections."""
        self.engine.dispose()


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
        super().__init__(self._db)

    def _look_up(self, statement: Prepared, values: Values) -> Sequence[Any]:
        """Read the short way; whatever goes wrong there, the long one raises it."""
        if self._has_reader:
            try:
                return self._reader.rows(statement, values)
            except LookupError:
                pass
        return super()._look_up(statement, values)

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
