"""SIGKILL around what is told: between commit and delivery, between handler and acknowledgement."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.aftermath import OLD
from tests.faults.faultpoints import Point
from tests.faults.pki import Folder, leaf
from tests.faults.tracing import Run, Server, optional
from tiny_ca import CertLifecycleManager, Event, LocalStorage, ManualClock, SyncDBHandler

SHORT_OR_FULL = pytest.mark.parametrize(
    "stride", [4, pytest.param(1, marks=pytest.mark.slow)], ids=["short", "full"]
)
"""A commit is several writes and one sync: every fourth call finds each of them, somewhere."""
OF_THE_DATABASE = ("pwrite64", "fdatasync")
TAKEN_OVER = timedelta(minutes=2)
"""When the lease of a process that died has ended."""


@pytest.fixture
def folder(prepared: Folder, tmp_path: Path) -> Folder:
    """A CA with a subscriber, which nothing waits for yet."""
    folder = prepared.copy(tmp_path / "told")
    with folder.manager() as manager:
        manager.subscribe("witness", print)
    return folder


def lives(
    server: Server, source: Folder, operation: str, stride: int
) -> Iterator[tuple[Folder, Run]]:
    """Let *operation* end by itself, and then die at its calls that change the database."""
    old = source.serial_of(OLD)

    def life(*options: str) -> Iterator[tuple[Folder, Run]]:
        copy = source.copy(source.path.parent / "copy")
        yield copy, server.run(copy.path, operation, *options, old=old)
        shutil.rmtree(copy.path)

    points: list[Point] = []
    for copy, run in life("-e", f"trace={optional(OF_THE_DATABASE)}"):
        assert "error" not in run.reply
        assert "untyped" not in run.reply
        counts = run.counts()
        assert set(counts) == set(OF_THE_DATABASE)
        points = [Point(call, n) for call in counts for n in range(1, counts[call] + 1)]
        yield copy, run
    for point in points[::stride]:
        for copy, run in life("-e", f"trace={point.call}", "-e", f"inject={point}:signal=SIGKILL"):
            assert run.is_killed
            try:
                yield copy, run
            except BaseException as error:
                error.add_note(f"after a kill at {point}")
                raise


def told_later(folder: Folder) -> list[Event]:
    """Come as the next process, and be told of what waits."""
    events: list[Event] = []
    with CertLifecycleManager(
        LocalStorage(folder.base),
        db_handler=SyncDBHandler(f"sqlite:///{folder.path / 'registry.db'}"),
        clock=ManualClock(datetime.now(UTC) + TAKEN_OVER),
    ) as manager:
        manager.subscribe("witness", events.append)
        assert manager.deliver_events() == (len(events), 0)
        assert manager.deliver_events() == (0, 0)
    return events


def published_crl_number(folder: Folder) -> int:
    with closing(sqlite3.connect(folder.path / "registry.db")) as connection:
        row = connection.execute("SELECT number FROM published_crls WHERE scope = 'crl'").fetchone()
        return 0 if row is None else int(row[0])


@SHORT_OR_FULL
@pytest.mark.parametrize("operation", ["issue", "rotate", "revoke", "crl"])
def test_what_is_committed_is_told_and_nothing_else(
    server: Server, folder: Folder, operation: str, stride: int
) -> None:
    old, before = folder.serial_of(OLD), folder.statuses()
    crl_before = published_crl_number(folder)
    outcomes = set()
    for copy, _ in lives(server, folder, operation, stride):
        told = [(event.kind.value, event.serial_number) for event in told_later(copy)]
        statuses = copy.statuses()
        expected: list[tuple[str, int | None]] = [
            ("issued", serial)
            for serial in statuses.keys() - before.keys()
            if statuses[serial] == "valid"
        ]
        if statuses[old] == "revoked":
            expected.append(("revoked", old))
        if published_crl_number(copy) > crl_before:
            expected.append(("crl_published", None))
        assert told == expected
        outcomes.add(len(told))
    assert outcomes == {0, 2 if operation == "rotate" else 1}


@SHORT_OR_FULL
def test_every_event_is_told_in_order_wherever_its_teller_dies(
    server: Server, folder: Folder, stride: int
) -> None:
    with folder.manager() as manager:
        manager.open_ca()
        certificate, _, _ = manager.rotate_certificate(folder.serial_of(OLD), leaf(OLD))
        manager.revoke_certificate(certificate.serial_number)
        manager.generate_crl()
    expected = {
        (event.id, event.serial_number)
        for event in told_later(folder.copy(folder.path.parent / "all"))
    }
    assert len(expected) == 4
    told_again = 0
    for copy, _ in lives(server, folder, "deliver", stride):
        witness = copy.path / "witness" / "told"
        lines = witness.read_text().splitlines() if witness.exists() else []
        before = [tuple(json.loads(line)) for line in lines]
        after = [(event.id, event.serial_number) for event in told_later(copy)]
        assert {*before, *after} == expected
        again = set(before) & set(after)
        assert len(again) <= 1, "more than the one that was not acknowledged"
        told_again += len(again)
        for serial in {serial for _, serial in expected}:
            ids = [id_ for id_, of in [*before, *after] if of == serial]
            assert ids == sorted(ids)
    assert told_again, "no kill came between a handler and its acknowledgement"
