"""`AsyncDBHandler`: the registry through an async driver."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from functools import partial
from logging import Logger, getLogger
from threading import Lock, RLock
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import finalize

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from cryptography import x509
from sqlalchemy import Connection

from tiny_ca.adapters.outbound.db.base import BaseDB
from tiny_ca.adapters.outbound.db.engine import WRITE, async_engine, is_in_memory, registry_errors
from tiny_ca.adapters.outbound.db.migrate import is_current, migrate
from tiny_ca.adapters.outbound.db.registry import SQLRegistry
from tiny_ca.domain.errors import NotUniqueCertOwner, SerialNumberCollision
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, CRLEntry
from tiny_ca.domain.revocation import CRLReason, RevokeStatus
from tiny_ca.domain.serial import CertType

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["AsyncDBHandler", "AsyncDatabaseManager"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncDatabaseManager:
    """An async engine in an event loop of its own.

    The loop runs in a thread that is started when it is first needed, and again after a fork.
    The caller's loop is never called back: it may end while an issue is under way.
    """

    def __init__(self, db_url: str = "sqlite+aiosqlite:///ca_repository.db") -> None:
        self._url = db_url
        self._lock = Lock()
        self._pid = 0
        self._running: tuple[BlockingPortal, AsyncEngine] | None = None
        self._is_ready = False
        # Raises for a URL that can't be used.  An in-memory database is one connection.
        self._turn = RLock() if is_in_memory(async_engine(db_url).url) else nullcontext()

    async def init_db(self) -> None:
        """Create or migrate the schema; the first use does so by itself."""
        await _in_thread(self.prepare)

    def prepare(self) -> None:
        """Create or migrate the schema, from a worker thread.  Raises `RegistryError`."""
        with registry_errors():
            if not self._run(is_current, write=False):
                self._run(migrate, write=True)
        self._is_ready = True

    def run(
        self, work: Callable[[Connection], T], *, write: bool = False, group: bool = False
    ) -> T:
        """Run *work* in a transaction of its own, from a worker thread."""
        if not self._is_ready:
            self.prepare()
        return self._run(work, write=write or group)

    def _run(self, work: Callable[[Connection], T], *, write: bool) -> T:
        portal, engine = self._started()
        with self._turn:
            return portal.call(partial(_transact, engine, work, write=write))

    def _started(self) -> "tuple[BlockingPortal, AsyncEngine]":
        with self._lock:
            if self._running is None or self._pid != os.getpid():
                # What a fork left of the parent's loop has no thread here: forget it.
                stack = ExitStack()
                portal = stack.enter_context(start_blocking_portal("asyncio"))
                engine = async_engine(self._url)
                self._running, self._pid = (portal, engine), os.getpid()
                # Not left to the garbage collector, which would wait for a thread that the end
                # of the interpreter, or a fork, has taken away.
                self._stop = finalize(self, _stop, stack, portal, engine, self._pid)
            return self._running

    def close(self) -> None:
        """Close the connections and end the loop's thread; the next use starts them again."""
        with self._lock:
            if self._running is not None:
                self._running = None
                self._stop()


def _stop(stack: ExitStack, portal: BlockingPortal, engine: "AsyncEngine", pid: int) -> None:
    if pid == os.getpid():
        portal.call(engine.dispose)
        stack.close()


async def _transact(engine: "AsyncEngine", work: Callable[[Connection], T], *, write: bool) -> T:
    async with engine.connect() as connection:
        if write:
            await connection.execution_options(**WRITE)
        async with connection.begin():
            return await connection.run_sync(work)


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with anyio.CancelScope(shield=True):
        result = await anyio.to_thread.run_sync(partial(function, *args, **kwargs))
    return result


class AsyncDBHandler(BaseDB):
    """The registry in a database: `sqlite+aiosqlite:///file.db`, `postgresql+psycopg://...`.

    Works on asyncio and trio.  *blocking* is the registry for code in a worker thread, a
    `ports.registry.Registry`.  Every method raises `RegistryError` when the database fails.
    """

    def __init__(self, db_url: str, logger: Logger | None = None) -> None:
        self._db = AsyncDatabaseManager(db_url)
        self._logger = logger or getLogger("tiny_ca")
        self.blocking = SQLRegistry(self._db)

    async def get_by_serial(self, serial: int) -> CertificateRecord | None:
        """Give the certificate with this serial number."""
        return await _in_thread(self.blocking.get_by_serial, serial)

    async def get_by_name(self, common_name: str) -> CertificateRecord | None:
        """Give the valid certificate that claims *common_name*."""
        return await _in_thread(self.blocking.get_by_name, common_name)

    async def register_cert_in_db(
        self, cert: x509.Certificate, uuid: str, key_type: CertType = CertType.DEVICE
    ) -> bool:
        """Record a certificate as valid; false if its serial number or name is taken."""
        try:
            await _in_thread(self.blocking.register, cert, uuid, key_type, datetime.now(UTC))
        except (SerialNumberCollision, NotUniqueCertOwner) as error:
            self._logger.warning("Not registered: %s", error, extra={"event": "not_registered"})
            return False
        return True

    async def revoke_certificate(
        self, serial_number: int, reason: x509.ReasonFlags = x509.ReasonFlags.unspecified
    ) -> tuple[bool, RevokeStatus]:
        """Revoke; give whether the certificate is revoked now, and why not."""
        is_revoked = await _in_thread(
            self.blocking.revoke, serial_number, CRLReason(reason.value), datetime.now(UTC)
        )
        return is_revoked, RevokeStatus.OK if is_revoked else RevokeStatus.NOT_FOUND

    async def get_revoked_certificates(self) -> AsyncIterator[CRLEntry]:
        """Yield every revoked certificate that a CRL owes an answer for, of every issuer."""
        entries = self.blocking.revoked(None)
        while (entry := await _in_thread(next, entries, None)) is not None:
            yield entry

    async def list_all(
        self,
        status: CertificateStatus | str | None = None,
        key_type: CertType | str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[CertificateRecord]:
        """Give the newest certificates, as tiny_ca 0.2 does."""
        return await _in_thread(self.blocking.list_all, status, key_type, limit, offset)

    async def get_expiring(self, within_days: int = 30) -> list[CertificateRecord]:
        """Give every valid certificate that ends within so many days, soonest first."""
        return await _in_thread(self.blocking.get_expiring, within_days)

    async def delete_by_uuid(self, uuid: str) -> bool:
        """Remove the rows whose folder has this name, as `SyncDBHandler.delete_by_uuid` does."""
        return await _in_thread(self.blocking.delete_by_uuid, uuid)

    async def update_status_expired(self) -> int:
        """Mark every valid certificate that is over as expired; count them."""
        return await _in_thread(self.blocking.update_status_expired)

    def close(self) -> None:
        """Close the connections and end the driver's thread, from a thread without a loop."""
        self._db.close()

    async def aclose(self) -> None:
        """Close the connections and end the driver's thread."""
        await _in_thread(self.close)
