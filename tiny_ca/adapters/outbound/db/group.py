"""Commits of several callers as one: a sync of the disk costs the same for all of them."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
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
        self.is_over = False
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
        self._turn = Lock()
        self._waiting: deque[_Job] = deque()

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction, and give its result once that is committed.

        It may run in another caller's thread, and must not begin a transaction itself.  What it
        raises is raised here, and undoes nobody else's.
        """
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            if not job.is_over:
                self._lead(job)
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    def _lead(self, own: _Job) -> None:
        jobs = [own]
        while self._waiting and len(jobs) < _MOST:
            other = self._waiting.popleft()
            if other is not own and not other.is_over:
                jobs.append(other)
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
            job.is_over = True


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
