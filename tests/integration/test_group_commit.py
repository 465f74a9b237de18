"""Callers in threads share commits, and nothing else."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import pytest
from sqlalchemy import Connection, event, text

from tiny_ca import RegistryError, SyncDBHandler
from tiny_ca.adapters.outbound.db.sync_handler import DatabaseManager


class Commits:
    """Counts the commits of an engine."""

    def __init__(self, database: DatabaseManager) -> None:
        self.count = 0
        event.listen(database.engine, "commit", self._committed)

    def _committed(self, _: Connection) -> None:
        self.count += 1


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DatabaseManager]:
    database = SyncDBHandler(f"sqlite:///{tmp_path}/registry.db")._db
    database.run(
        lambda connection: connection.execute(
            text("CREATE TABLE things (name TEXT PRIMARY KEY, owner INTEGER REFERENCES things)")
        ),
        write=True,
    )
    yield database
    database.close()


def insert(connection: Connection, name: str) -> str:
    connection.execute(text("INSERT INTO things (name) VALUES (:name)"), {"name": name})
    return name


def names(database: DatabaseManager) -> set[str]:
    query = text("SELECT name FROM things")
    return set(database.run(lambda connection: connection.execute(query).scalars().all()))


class Gathered:
    """Has work begin together: it waits until all of it has been handed in."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database
        self._pool = ThreadPoolExecutor(40)
        self._is_held, self._release, self._lock = Event(), Event(), Lock()
        self._first = self._pool.submit(database.run, self._hold, group=True)
        assert self._is_held.wait(10)

    def _hold(self, _: Connection) -> None:
        self._is_held.set()
        assert self._release.wait(10)

    def submit(self, work: object) -> "Future[object]":
        return self._pool.submit(self._database.run, work, group=True)  # type: ignore[arg-type]

    def go(self, count: int) -> None:
        group = self._database._group
        assert group is not None
        while len(group._waiting) < count:
            Event().wait(0.01)
        self._release.set()
        self._first.result(10)
        self._pool.shutdown()


def test_those_who_wait_share_one_commit(database: DatabaseManager) -> None:
    gathered = Gathered(database)
    commits = Commits(database)
    waiting = [
        gathered.submit(lambda connection, i=i: insert(connection, f"n{i}")) for i in range(32)
    ]
    gathered.go(32)
    assert [one.result(10) for one in waiting] == [f"n{i}" for i in range(32)]
    assert names(database) == {f"n{i}" for i in range(32)}
    # The one that was held, and all others; then this look.
    assert commits.count == 3


def test_what_fails_in_a_group_undoes_nobody_elses(database: DatabaseManager) -> None:
    gathered = Gathered(database)

    def fail(connection: Connection) -> None:
        insert(connection, "undone")
        raise ValueError("mine")

    good = [gathered.submit(lambda connection, i=i: insert(connection, f"n{i}")) for i in range(3)]
    bad = gathered.submit(fail)
    twice = gathered.submit(
        lambda connection: insert(connection, "n0") and insert(connection, "n0")
    )
    more = gathered.submit(lambda connection: insert(connection, "last"))
    gathered.go(6)
    assert [one.result(10) for one in (*good, more)] == ["n0", "n1", "n2", "last"]
    with pytest.raises(ValueError, match="mine"):
        bad.result(10)
    with pytest.raises(Exception, match="UNIQUE"):
        twice.result(10)
    assert names(database) == {"n0", "n1", "n2", "last"}


def test_nobody_hears_that_it_is_done_when_the_commit_fails(database: DatabaseManager) -> None:
    gathered = Gathered(database)

    def orphan(connection: Connection) -> str:
        # Looked at when the transaction ends, which fails then.
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        connection.execute(text("INSERT INTO things VALUES ('orphan', 'nobody')"))
        return "orphan"

    waiting = [gathered.submit(lambda connection: insert(connection, "a")), gathered.submit(orphan)]
    waiting.append(gathered.submit(lambda connection: insert(connection, "b")))
    gathered.go(3)
    errors = [one.exception(10) for one in waiting]
    assert all("FOREIGN KEY" in str(error) for error in errors)
    assert sum(isinstance(error, RegistryError) for error in errors) == 2
    assert names(database) == set()
    # And it goes on.
    assert database.run(lambda connection: insert(connection, "c"), group=True) == "c"
    assert names(database) == {"c"}


def test_more_than_one_commit_takes_are_committed_by_several(database: DatabaseManager) -> None:
    with ThreadPoolExecutor(100) as pool:
        done = [
            pool.submit(
                database.run, lambda connection, i=i: insert(connection, f"n{i}"), group=True
            )
            for i in range(300)
        ]
    assert {one.result() for one in done} == names(database)
