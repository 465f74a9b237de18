"""Events by the faces: everything is told at least once, in order, whatever handlers do."""

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.regression.world import PROJECT, ROOT_CONFIG, leaf
from tiny_ca import (
    CertLifecycleManager,
    Event,
    ManualClock,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import DBNotInitedError, InvalidRequest, UnknownSubscriber
from tiny_ca.ports.registry import Registry

NOON = datetime.fromisoformat("2030-01-01T12:00:00+00:00")
LEASE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def process(db_url: str, clock: ManualClock) -> Iterator[Callable[[], CertLifecycleManager]]:
    """Makes managers of one CA, each as another process has it."""
    managers: list[CertLifecycleManager] = []

    def start() -> CertLifecycleManager:
        manager = CertLifecycleManager(NoStorage(), db_handler=SyncDBHandler(db_url), clock=clock)
        if managers:
            manager.factory = managers[0].factory
        else:
            manager.create_self_signed_ca(ROOT_CONFIG)
        managers.append(manager)
        return manager

    yield start
    for manager in managers:
        manager.close()


@pytest.fixture
def ca(process: Callable[[], CertLifecycleManager]) -> CertLifecycleManager:
    return process()


def issue(ca: CertLifecycleManager, name: str = "a.internal", **fields: Any) -> int:
    certificate, _, _ = ca.issue_certificate(leaf(name, **fields))
    return certificate.serial_number


class Log(list[Event]):
    """A handler that remembers, and fails when it is told to."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.attempts = 0

    def __call__(self, event: Event) -> None:
        self.attempts += 1
        if event.serial_number in self.broken:
            raise RuntimeError("the billing system is down")
        self.append(event)

    def told(self) -> list[tuple[str, int | None]]:
        return [(event.kind.value, event.serial_number) for event in self]


def test_a_life_is_told(ca: CertLifecycleManager) -> None:
    log = Log()
    assert ca.subscribe("billing", log)
    assert not ca.subscribe("billing", log)
    first = issue(ca, days_valid=5, profile="server")
    ca.revoke_certificate(first, reason=_hold())
    ca.release_certificate(first)
    assert ca.announce_expiring(timedelta(days=7)) == 1
    assert ca.announce_expiring(timedelta(days=7)) == 0
    certificate, _, _ = ca.rotate_certificate(first, leaf())
    ca.generate_crl()
    assert log == []
    assert ca.deliver_events() == (7, 0)
    assert log.told() == [
        ("issued", first),
        ("revoked", first),
        ("released", first),
        ("expiring", first),
        ("issued", certificate.serial_number),
        ("revoked", first),
        ("crl_published", None),
    ]
    assert log[3].details["profile"] == ca.find_certificate(first).profile == "server"
    assert {event.occurred_at for event in log} == {NOON}
    assert ca.deliver_events() == (0, 0)


def _hold() -> Any:
    from cryptography.x509 import ReasonFlags  # noqa: PLC0415

    return ReasonFlags.certificate_hold


def test_what_happens_without_a_handler_waits(
    ca: CertLifecycleManager, process: Callable[[], CertLifecycleManager]
) -> None:
    """A subscription is durable: the next process need only say who handles it."""
    ca.subscribe("billing", Log())
    other = process()
    serial = issue(other)
    assert other.deliver_events() == (0, 0)
    log = Log()
    other.subscribe("billing", log)
    assert other.deliver_events("billing") == (1, 0)
    assert log.told() == [("issued", serial)]
    assert ca.deliver_events() == (0, 0)


class TestHandlersThatRaise:
    def test_their_certificate_waits_and_others_go_on(
        self, ca: CertLifecycleManager, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = Log()
        ca.subscribe("billing", log)
        first, second = issue(ca, "a.internal"), issue(ca, "b.internal")
        for serial in (first, second):
            ca.revoke_certificate(serial)
        log.broken = {first}
        with caplog.at_level(logging.WARNING, "tiny_ca"):
            assert ca.deliver_events() == (2, 1)
        assert "the billing system is down" in caplog.text
        assert log.told() == [("issued", second), ("revoked", second)]
        log.broken.clear()
        assert ca.deliver_events() == (0, 0)
        clock.advance(timedelta(seconds=10))
        assert ca.deliver_events() == (2, 0)
        assert log.told()[2:] == [("issued", first), ("revoked", first)]

    def test_they_are_tried_less_and_less_often(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        log = Log()
        ca.subscribe("billing", log)
        log.broken = {issue(ca)}
        for seconds in (0, 10, 20, 40, 80):
            clock.advance(timedelta(seconds=seconds - 1 if seconds else 0))
            assert ca.deliver_events() == ((0, 0) if seconds else (0, 1))
            if seconds:
                clock.advance(timedelta(seconds=1))
                assert ca.deliver_events() == (0, 1)
        for _ in range(20):
            clock.advance(timedelta(hours=1))
            assert ca.deliver_events() == (0, 1)
        log.broken.clear()
        clock.advance(timedelta(hours=1))
        assert ca.deliver_events() == (1, 0)

    def test_one_subscriber_is_nothing_to_another(self, ca: CertLifecycleManager) -> None:
        billing, audit = Log(), Log()
        ca.subscribe("billing", billing)
        ca.subscribe("audit", audit)
        billing.broken = {issue(ca)}
        assert ca.deliver_events() == (1, 1)
        assert len(audit) == 1

    def test_an_interrupt_leaves_the_event_and_frees_the_lease(
        self, ca: CertLifecycleManager, process: Callable[[], CertLifecycleManager]
    ) -> None:
        def interrupted(event: Event) -> None:
            raise KeyboardInterrupt

        ca.subscribe("billing", interrupted)
        issue(ca)
        with pytest.raises(KeyboardInterrupt):
            ca.deliver_events()
        log, other = Log(), process()
        other.subscribe("billing", log)
        assert other.deliver_events() == (1, 0)


class TestLeases:
    def test_one_process_delivers_at_a_time(
        self, ca: CertLifecycleManager, process: Callable[[], CertLifecycleManager]
    ) -> None:
        log, other = Log(), process()
        ca.subscribe("billing", lambda _: log.extend([]) or other.deliver_events())
        other.subscribe("billing", log)
        issue(ca)
        assert ca.deliver_events() == (1, 0)
        assert log == []

    def test_who_takes_too_long_is_replaced(
        self,
        ca: CertLifecycleManager,
        process: Callable[[], CertLifecycleManager],
        clock: ManualClock,
    ) -> None:
        """Its event is delivered again, and it delivers no later one."""
        log, slow, other = Log(), Log(), process()

        def handle(event: Event) -> None:
            slow(event)
            clock.advance(LEASE)
            assert other.deliver_events() == (2, 0)

        ca.subscribe("billing", handle)
        other.subscribe("billing", log)
        serial = issue(ca)
        ca.revoke_certificate(serial)
        assert ca.deliver_events(lease=LEASE) == (0, 0)
        assert slow.told() == [("issued", serial)]
        assert log.told() == [("issued", serial), ("revoked", serial)]

    def test_each_event_has_a_lease_of_its_own(
        self,
        ca: CertLifecycleManager,
        process: Callable[[], CertLifecycleManager],
        clock: ManualClock,
    ) -> None:
        log, other = Log(), process()

        def handle(event: Event) -> None:
            clock.advance(LEASE * 0.9)
            log(event)
            assert other.deliver_events() == (0, 0)

        ca.subscribe("billing", handle)
        other.subscribe("billing", log)
        for number in range(3):
            issue(ca, f"n{number}.internal")
        assert ca.deliver_events(lease=LEASE) == (3, 0)


def test_more_than_a_page_and_a_limit(ca: CertLifecycleManager) -> None:
    log = Log()
    ca.subscribe("billing", log)
    issued = ca.issue_many([leaf(f"n{number}.internal") for number in range(120)])
    serials = [certificate.serial_number for certificate, _, _ in issued]
    for serial in serials[:100]:
        ca.revoke_certificate(serial)
    log.broken = {serials[50], serials[110]}
    assert ca.deliver_events(limit=30) == (30, 0)
    assert ca.deliver_events(limit=30) == (29, 1)
    assert ca.deliver_events() == (158, 1)
    assert log.attempts == 219
    assert len(set(log)) == len(log) == 217
    for serial in serials:
        kinds = [event.kind.value for event in log if event.serial_number == serial]
        expected = (
            [] if serial in log.broken else ["issued", "revoked"][: 1 + (serial in serials[:100])]
        )
        assert kinds == expected


class TestLeaving:
    def test_who_left_is_not_told(
        self, ca: CertLifecycleManager, process: Callable[[], CertLifecycleManager]
    ) -> None:
        """Neither of what waited nor of what comes, in any process."""
        log, other = Log(), process()
        ca.subscribe("billing", log)
        other.subscribe("billing", log)
        issue(ca)
        assert ca.unsubscribe("billing")
        assert not ca.unsubscribe("billing")
        issue(ca, "b.internal")
        with pytest.raises(UnknownSubscriber, match="subscribe first"):
            ca.deliver_events("billing")
        assert other.deliver_events("billing") == (0, 0)
        with pytest.raises(UnknownSubscriber):
            other.deliver_events("billing")
        assert log == []

    def test_in_the_middle_of_a_delivery(self, ca: CertLifecycleManager) -> None:
        calls: list[Event] = []

        def handle(event: Event) -> None:
            calls.append(event)
            ca.unsubscribe("billing")

        ca.subscribe("billing", handle)
        for number in range(3):
            issue(ca, f"n{number}.internal")
        assert ca.deliver_events() == (0, 0)
        assert len(calls) == 1


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_transaction_of_the_callers(
    ca: CertLifecycleManager, db_url: str, is_committed: bool
) -> None:
    log, engine = Log(), create_engine(db_url)
    ca.subscribe("billing", log)
    old = issue(ca, "b.internal")
    with ca.prepare_certificate(leaf()) as prepared:
        with Session(engine) as session:
            prepared.join(session)
            ca.revoke_certificate(old, within=session)
            (session.commit if is_committed else session.rollback)()
    engine.dispose()
    ca.deliver_events()
    expected = [("issued", old), ("issued", prepared.serial_number), ("revoked", old)]
    assert log.told() == expected[: 3 if is_committed else 1]


class TestRefusals:
    @pytest.fixture
    def ca(self) -> CertLifecycleManager:
        made = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
        made.create_self_signed_ca(ROOT_CONFIG)
        return made

    @pytest.mark.parametrize("name", ["", "x" * 256])
    def test_names(self, ca: CertLifecycleManager, name: str) -> None:
        with pytest.raises(InvalidRequest, match="1-255"):
            ca.subscribe(name, Log())

    @pytest.mark.parametrize("window", [timedelta(0), timedelta(days=-1), timedelta.max])
    def test_windows(self, ca: CertLifecycleManager, window: timedelta) -> None:
        with pytest.raises(InvalidRequest, match="window"):
            ca.announce_expiring(window)

    def test_no_registry(self) -> None:
        ca = CertLifecycleManager(NoStorage())
        with pytest.raises(DBNotInitedError):
            ca.subscribe("billing", Log())
        with pytest.raises(DBNotInitedError):
            ca.deliver_events()

    def test_async_handlers_of_a_synchronous_caller(self, ca: CertLifecycleManager) -> None:
        """Declared or not, nothing is taken for delivered; no handler is called before."""

        async def handle(event: Event) -> None:
            raise AssertionError("it can't be awaited here")

        log = Log()
        ca.subscribe("audit", log)
        ca.subscribe("billing", handle)
        serial = issue(ca)
        with pytest.raises(InvalidRequest, match="AsyncCertLifecycleManager"):
            ca.deliver_events()
        ca.subscribe("billing", lambda event: (handle(event),)[0])
        with pytest.raises(InvalidRequest, match="async def"):
            ca.deliver_events("billing")
        ca.subscribe("billing", log)
        assert ca.deliver_events() == (2, 0)
        assert log.told() == [("issued", serial)] * 2

    def test_a_registry_that_keeps_no_events(self) -> None:
        """Somebody's own: it works as before."""

        def delegate(name: str) -> Callable[..., Any]:
            return lambda self, *args, **kwargs: getattr(self.inner, name)(*args, **kwargs)

        methods = {name: delegate(name) for name in vars(Registry) if name[0] != "_"}
        plain = type("Plain", (), {**methods, "inner": MemoryRegistry()})
        ca = CertLifecycleManager(NoStorage(), db_handler=plain())
        ca.create_self_signed_ca(ROOT_CONFIG)
        ca.revoke_certificate(issue(ca))
        for call in (
            lambda: ca.subscribe("billing", Log()),
            lambda: ca.unsubscribe("billing"),
            ca.announce_expiring,
        ):
            with pytest.raises(InvalidRequest, match=r"Plain keeps no events.*ports\.outbox"):
                call()
        assert ca.deliver_events() == (0, 0)


RACE = """
import json, sys, time
from tiny_ca import CertLifecycleManager, NoStorage, SyncDBHandler

url, log, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
ca = CertLifecycleManager(NoStorage(), db_handler=SyncDBHandler(url))

def handle(event):
    with open(log, "a") as file:
        file.write(json.dumps([event.id, event.serial_number, event.kind]) + "\\n")

ca.subscribe("billing", handle)
deadline = time.monotonic() + 60
while sum(1 for _ in open(log)) < expected and time.monotonic() < deadline:
    ca.deliver_events(limit=5)
ca.close()
"""


def test_processes_that_deliver_to_one_subscriber(
    ca: CertLifecycleManager, db_url: str, tmp_path: Path
) -> None:
    """Each event is delivered by one of them, once, in the order of its certificate."""
    log = tmp_path / "log"
    log.touch()
    ca.subscribe("billing", Log())
    serials = [issue(ca, f"n{number}.internal") for number in range(20)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, db_url, str(log), "60"],
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for serial in serials:
        ca.rotate_certificate(serial, leaf(f"n{serials.index(serial)}.internal"))
    for one in processes:
        _, errors = one.communicate(timeout=90)
        assert (one.returncode, errors) == (0, "")
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert max(Counter(id_ for id_, _, _ in told).values()) == 1
    assert len(told) == 60
    for serial in serials:
        assert [kind for _, of, kind in told if of == serial] == ["issued", "revoked"]
