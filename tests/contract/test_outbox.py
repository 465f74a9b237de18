"""Every registry of ours keeps the contract of the outbox, too."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from tests.contract.test_registry import (
    TABLES,
    ByAsyncDriver,
    BySyncDriver,
    OnPostgreSQL,
    OnSQLite,
    rename,
)
from tiny_ca import MemoryRegistry, SyncDBHandler
from tiny_ca.domain.errors import RegistryError
from tiny_ca.domain.events import EventKind
from tiny_ca.domain.records import CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.outbox import Outbox
from tiny_ca.testing import OutboxContract
from tiny_ca.testing.deliveries import lease
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once
from tiny_ca.testing.told_events import DAY, Telling, told, waiting


class OfADatabase(OutboxContract):
    """What only a database can be asked for."""

    @pytest.fixture
    def engine(self, url: str) -> Iterator[Engine]:
        """What an application of the caller's has."""
        made = create_engine(url)
        yield made
        made.dispose()

    def test_another_handler_delivers(self, registry: Telling, url: str, ca: SampleCA) -> None:
        """Subscriptions, events and leases are everybody's."""
        registry.subscribe("one")
        registry.take_lease(lease("a"), NOW)
        other = SyncDBHandler(url)
        try:
            ca.issue(other, 1, "a")
            assert not other.take_lease(lease("b"), NOW)
            assert waiting(other) == waiting(registry) != []
        finally:
            other.close()

    @pytest.mark.parametrize("is_committed", [False, True])
    def test_a_transaction_of_the_callers(
        self, registry: Telling, engine: Engine, ca: SampleCA, is_committed: bool
    ) -> None:
        """Its events are committed, or not, with it."""
        registry.subscribe("one")
        reservation = ca.reservation(1, "a")
        registry.reserve([reservation])
        with Session(engine) as session:
            registry.commit([(reservation, ca.certificate(reservation))], NOW, session)
            registry.revoke(1, CRLReason.SUPERSEDED, NOW, session)
            if is_committed:
                session.commit()
        expected = [(EventKind.ISSUED, 1), (EventKind.REVOKED, 1)]
        assert told(registry) == (expected if is_committed else [])

    def test_without_subscribers_nothing_is_written(
        self, registry: Telling, engine: Engine, ca: SampleCA
    ) -> None:
        """Neither by what happens nor by looking for what ends."""
        ca.issue(registry, 1, "a")
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
        registry.release(1, NOW)
        registry.publish_crl(ca.issuer_id, CRLStamp(1, NOW, NOW + HOUR), lambda: None)
        registry.register(ca.certificate(ca.reservation(7, "b")), None, CertType.DEVICE, NOW)
        registry.note_expiring(NOW, DAY)
        with engine.connect() as connection:
            for table in ("event_subscribers", "event_deliveries", "expiry_notices"):
                assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0

    def test_more_than_a_page_ends_soon(self, registry: Telling, ca: SampleCA) -> None:
        """Each is told of once, while eight look at once; what is over is forgotten."""
        registry.subscribe("one")
        batch = [ca.reservation(n, f"name-{n}") for n in range(1, 1502)]
        registry.reserve(batch)
        certificate = ca.certificate(batch[0])
        registry.commit([(one, certificate) for one in batch], NOW)
        registry.unsubscribe("one")
        registry.subscribe("one")
        counts = at_once(8, lambda _: registry.note_expiring(NOW, DAY))
        assert all(isinstance(count, int) for count in counts), counts
        counts.append(registry.note_expiring(NOW, DAY))
        assert sum(counts) == 1501
        events = [event for event, _ in registry.due_events("one", NOW, 0, 2000)]
        assert len({event.serial_number for event in events}) == len(events) == 1501

    def test_notices_are_forgotten(self, registry: Telling, engine: Engine, ca: SampleCA) -> None:
        """When their certificates have ended."""
        registry.subscribe("one")
        ca.issue(registry, 1, "a", not_after=NOW + HOUR)
        ca.issue(registry, 2, "b")
        assert registry.note_expiring(NOW, DAY) == 2
        assert registry.note_expiring(NOW + 2 * HOUR, DAY) == 0
        with engine.connect() as connection:
            count = connection.execute(text("SELECT count(*) FROM expiry_notices")).scalar()
        assert count == 1

    def test_a_certificate_that_was_told_of_can_be_deleted(
        self, registry: Telling, ca: SampleCA
    ) -> None:
        """What was told of it still waits."""
        registry.subscribe("one")
        ca.issue(registry, 1, "a", not_after=NOW + HOUR)
        registry.note_expiring(NOW, DAY)
        assert registry.delete(1, NOW + 2 * HOUR)
        assert told(registry) == [(EventKind.ISSUED, 1), (EventKind.EXPIRING, 1)]

    CALLS: ClassVar[dict[str, Callable[[Telling], object]]] = {
        "subscribe": lambda registry: registry.subscribe("two"),
        "unsubscribe": lambda registry: registry.unsubscribe("one"),
        "take_lease": lambda registry: registry.take_lease(lease(), NOW),
        "end_lease": lambda registry: registry.end_lease(lease()),
        "due_events": lambda registry: registry.due_events("one", NOW, 0, 1),
        "acknowledge": lambda registry: registry.acknowledge(lease(), 1),
        "postpone": lambda registry: registry.postpone(lease(), 1, NOW),
        "note_expiring": lambda registry: registry.note_expiring(NOW, DAY),
    }

    def test_a_failing_database_is_no_empty_answer(
        self, registry: Telling, url: str, ca: SampleCA
    ) -> None:
        registry.subscribe("one")
        registry.take_lease(lease(), NOW)
        registry.reserve([ca.reservation(1, "a")])
        tables = [table for table in TABLES if table.startswith(("event", "expiry"))]
        rename(url, *((table, f"lost_{table}") for table in tables))
        try:
            for call in self.CALLS.values():
                with pytest.raises(RegistryError):
                    call(registry)
            # Nor does anything happen that nobody could be told of.
            with pytest.raises(RegistryError):
                ca.commit(registry, ca.reservation(1, "a"))
        finally:
            rename(url, *((f"lost_{table}", table) for table in tables))
        record = registry.get_by_serial(1)
        assert record is not None
        assert record.certificate_pem is None

    def test_the_calls_are_all_there_are(self) -> None:
        methods = {name for name in vars(Outbox) if name in dir(SyncDBHandler) and name[0] != "_"}
        assert set(self.CALLS) == methods


class TestMemoryRegistry(OutboxContract):
    @pytest.fixture
    def registry(self) -> MemoryRegistry:
        return MemoryRegistry()


class TestSyncSQLite(OnSQLite, BySyncDriver, OfADatabase):
    pass


@pytest.mark.xdist_group("postgresql")
class TestSyncPostgreSQL(OnPostgreSQL, BySyncDriver, OfADatabase):
    def test_who_leaves_waits_for_what_is_being_written(
        self, registry: Telling, engine: Engine, ca: SampleCA
    ) -> None:
        """And does not make it fail: its rows go with it, whichever comes first."""
        for serial in range(1, 9):
            ca.issue(registry, serial, f"name-{serial}")

        def race(index: int) -> object:
            if index == 0:
                registry.subscribe("one")
                return registry.unsubscribe("one")
            return registry.revoke(index, CRLReason.SUPERSEDED, NOW)

        for _ in range(10):
            outcomes = at_once(9, race)
            assert outcomes == [True] * 9
            with engine.begin() as connection:
                connection.execute(
                    text("UPDATE certificates SET status = 'valid', revocation_date = NULL")
                )
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT count(*) FROM event_deliveries")).scalar()
        assert rows == 0


class TestAsyncSQLite(OnSQLite, ByAsyncDriver, OfADatabase):
    pass


@pytest.mark.xdist_group("postgresql")
class TestAsyncPostgreSQL(OnPostgreSQL, ByAsyncDriver, OfADatabase):
    pass
