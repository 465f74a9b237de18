"""Commits of several callers as one: a sync of the disk costs the same for all of them."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event, Lock
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from tiny_ca.adapters.outbound.db.prepared import on_cursor
from tiny_ca.domain.errors import RegistryError

__all__ = ["GroupCommit"]

T = TypeVar("T")

_MOST = 64
"""How many transactions one commit takes: what waits behind it must not wait long."""


class _Job:
    """What a caller wants done in a transaction, and what came of it."""

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.called = Event()
        """Set when it is over, or when its caller is the one who runs what waits."""
        self.leads = False
        self.result: Any = None
        self.error: BaseException | None = None


class GroupCommit:
    """Runs transactions of SQLite, which has one writer, one after the other.

    While one of them is committed, others gather; whoever is next runs all of those, each in a
    savepoint of its own, and commits them together.  So a caller who is alone waits for
    nobody.  No caller hears that something is done before it is durable.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction
        self._lock = Lock()
        self._is_led = False
        self._waiting: deque[_Job] = deque()

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction, and give its result once that is committed.

        It may run in another caller's thread, and must not begin a transaction itself.  What it
        raises is raised here, and undoes nobody else's.
        """
        job = _Job(work)
        with self._lock:
            if self._is_led:
                self._waiting.append(job)
            else:
                self._is_led = job.leads = True
        if not job.leads:
            self._wait(job)
        if job.leads:
            try:
                self._lead(job)
            finally:
                self._call_next()
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    def _wait(self, job: _Job) -> None:
        try:
            job.called.wait()
        except BaseException:
            # Interrupted: nobody must wait for it to lead.
            with self._lock:
                if job in self._waiting:
                    self._waiting.remove(job)
            if job.leads:
                self._call_next()
            raise

    def _call_next(self) -> None:
        with self._lock:
            self._is_led = bool(self._waiting)
            if self._is_led:
                job = self._waiting.popleft()
                job.leads = True
                job.called.set()

    def _lead(self, own: _Job) -> None:
        jobs = [own]
        with self._lock:
            while self._waiting and len(jobs) < _MOST:
                jobs.append(self._waiting.popleft())
        try:
            with self._transaction() as connection:
                if len(jobs) == 1:
                    own.result = own.work(connection)
                else:
                    for job in jobs:
                        _run_in_savepoint(connection, job)
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            for job in jobs:
                _fail(job, own, error)
        for job in jobs:
            job.called.set()


def _run_in_savepoint(connection: Connection, job: _Job) -> None:
    on_cursor(connection, "SAVEPOINT one_of_group", fetch=False)
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - raised again where it belongs
        # Fails when the database has undone the whole transaction, and with it the group.
        on_cursor(connection, "ROLLBACK TO one_of_group", fetch=False)
        job.error = error
    on_cursor(connection, "RELEASE one_of_group", fetch=False)


def _fail(job: _Job, own: _Job, error: BaseException) -> None:
    if job is own:
        job.error = error
    elif job.error is None:
        # An exception is one thread's.
        job.error = RegistryError(f"The registry's database failed: {error}")
        job.error.__cause__ = error
