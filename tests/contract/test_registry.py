"""Every registry keeps the contract of its port."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from tests.support import PostgreSQL
from tiny_ca import AsyncDBHandler, MemoryRegistry, SyncDBHandler
from tiny_ca.adapters.outbound.db.schema import metadata
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import NotUniqueCertOwner, RegistryError, ReservationLost
from tiny_ca.domain.records import CRLStamp, Location, PublishingLease
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing import RegistryContract
from tiny_ca.testing.samples import HOUR, NOW, SampleCA

TABLES = tuple(metadata.tables)


class OnSQLite:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'registry.db'}"


class OnPostgreSQL:
    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql: PostgreSQL) -> str:
        return postgresql.new_database()

    @pytest.fixture
    def url(self, database: str) -> Iterator[str]:
        """A new database takes a tenth of a second, one that is emptied a hundredth."""
        yield database
        engine = create_engine(database)
        with engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(TABLES)}"))
        engine.dispose()


class BySyncDriver:
    @pytest.fixture
    def registry(self, url: str) -> Iterator[Registry]:
        handler = SyncDBHandler(url)
        yield handler
        handler.close()


class ByAsyncDriver:
    # Its statements are the same, and each takes several times as long.
    machine_settings = settings(RegistryContract.machine_settings, max_examples=4)

    @pytest.fixture
    def registry(self, url: str) -> Iterator[Registry]:
        handler = AsyncDBHandler(url)
        yield handler.blocking
        handler.close()


class OfADatabase(RegistryContract):
    """What only a database can be asked for."""

    def test_another_handler_sees_what_was_done(
        self, registry: Registry, url: str, ca: SampleCA
    ) -> None:
        """Every method is durable when it returns, and numbers rise across processes."""
        ca.issue(registry, 1, "a", not_after=NOW)
        registry.reserve([ca.reservation(2, "b")])
        numbers = [registry.next_crl_number(ca.issuer_id) for _ in range(2)]
        other = SyncDBHandler(url)
        try:
            assert other.get_by_name("a") == registry.get_by_serial(1)
            assert list(other.pending(NOW + HOUR)) == [registry.get_by_serial(2)]
            with pytest.raises(NotUniqueCertOwner):
                other.reserve([ca.reservation(3, "b")])
            numbers.append(other.next_crl_number(ca.issuer_id))
            numbers.append(registry.next_crl_number(ca.issuer_id))
            assert numbers == sorted(set(numbers))
            other.revoke(1, CRLReason.SUPERSEDED, NOW)
            stamp = CRLStamp(numbers[2], NOW + HOUR, NOW + 2 * HOUR)
            assert other.publish_crl(ca.issuer_id, stamp, lambda: None)
        finally:
            other.close()
        assert registry.get_by_name("a") is None
        assert list(registry.revoked(ca.issuer_id)) == []
        stamp = CRLStamp(numbers[1], NOW + HOUR, NOW + 2 * HOUR)
        assert not registry.publish_crl(ca.issuer_id, stamp, lambda: None)

    @pytest.fixture
    def engine(self, url: str) -> Iterator[Engine]:
        """What an application of the caller's has."""
        made = create_engine(url)
        yield made
        made.dispose()

    @pytest.mark.parametrize("is_committed", [False, True])
    def test_a_transaction_of_the_callers(
        self, registry: Registry, engine: Engine, ca: SampleCA, is_committed: bool
    ) -> None:
        """Durable when the caller commits, undone when it rolls back."""
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "b")
        successor = ca.reservation(3, "a", predecessor=1)
        registry.reserve([successor])
        with Session(engine) as session:
            registry.commit([(successor, ca.certificate(successor))], NOW, session)
            assert registry.revoke(2, CRLReason.SUPERSEDED, NOW, session)
            if is_committed:
                session.commit()
        found = [registry.get_by_serial(serial) for serial in (1, 2, 3)]
        statuses = [record and record.status.value for record in found]
        if is_committed:
            assert statuses == ["revoked", "revoked", "valid"]
        else:
            assert statuses == ["valid", "valid", "pending"]

    def test_a_refusal_writes_nothing_into_the_callers_transaction(
        self, registry: Registry, engine: Engine, ca: SampleCA
    ) -> None:
        """Though the caller goes on and commits."""
        ca.issue(registry, 1, "a")
        batch = [ca.reservation(2, "a", predecessor=1), ca.reservation(3, "b")]
        registry.reserve(batch)
        registry.abandon(ca.issuer_id, 3)
        with Session(engine) as session:
            with pytest.raises(ReservationLost):
                registry.commit([(one, ca.certificate(one)) for one in batch], NOW, session)
            session.commit()
        found = [registry.get_by_serial(serial) for serial in (1, 2, 3)]
        statuses = [record and record.status.value for record in found]
        assert statuses == ["valid", "pending", "abandoned"]

    CALLS: ClassVar[dict[str, Callable[[Registry, SampleCA], object]]] = {
        "get_by_serial": lambda registry, _: registry.get_by_serial(1),
        "get_by_name": lambda registry, _: registry.get_by_name("a"),
        "get_by_idempotency_key": lambda registry, _: registry.get_by_idempotency_key("key"),
        "reserve": lambda registry, ca: registry.reserve([ca.reservation(2, "b")]),
        "commit": lambda registry, ca: ca.commit(registry, ca.reservation(1, "a")),
        "abandon": lambda registry, ca: registry.abandon(ca.issuer_id, 1),
        "register": lambda registry, ca: registry.register(
            ca.certificate(ca.reservation(2, "b")), None, CertType.USER, NOW
        ),
        "record_past": lambda registry, ca: registry.record_past([], NOW, {ca.issuer_id: 1}),
        "revoke": lambda registry, _: registry.revoke(1, CRLReason.UNSPECIFIED, NOW),
        "release": lambda registry, _: registry.release(1, NOW),
        "pending": lambda registry, _: list(registry.pending(NOW + HOUR)),
        "authorities": lambda registry, _: list(registry.authorities()),
        "issuer_certificates": lambda registry, ca: registry.issuer_certificates(ca.issuer_id),
        "get_many": lambda registry, ca: list(registry.get_many(ca.issuer_id, [1])),
        "deleted_serials": lambda registry, ca: registry.deleted_serials(ca.issuer_id, [1]),
        "crl_files_owner": lambda registry, _: registry.crl_files_owner(),
        "own_crl_files": lambda registry, ca: registry.own_crl_files(ca.issuer_id),
        "crl_entries": lambda registry, ca: list(registry.crl_entries(ca.issuer_id)),
        "last_crl": lambda registry, ca: registry.last_crl(ca.issuer_id),
        "revoked": lambda registry, ca: list(registry.revoked(ca.issuer_id)),
        "begin_publishing": lambda registry, ca: registry.begin_publishing(
            PublishingLease(ca.issuer_id, "crl", "me", NOW + HOUR), NOW
        ),
        "end_publishing": lambda registry, ca: registry.end_publishing(
            PublishingLease(ca.issuer_id, "crl", "me", NOW)
        ),
        "next_crl_number": lambda registry, ca: registry.next_crl_number(ca.issuer_id),
        "publish_crl": lambda registry, ca: registry.publish_crl(
            ca.issuer_id, CRLStamp(9, NOW, NOW + HOUR), lambda: None
        ),
        "page": lambda registry, _: registry.page(CertificateFilter(), NOW, 1),
        "expiring": lambda registry, _: registry.expiring(NOW, NOW + HOUR, 1),
        "expire": lambda registry, _: registry.expire(NOW, 1),
        "revoke_many": lambda registry, _: registry.revoke_many(
            CertificateFilter(), CRLReason.SUPERSEDED, NOW, 1
        ),
        "delete": lambda registry, _: registry.delete(1, NOW),
        "deleted": lambda registry, _: list(registry.deleted()),
        "forget": lambda registry, _: registry.forget(Location("uuid", "file")),
    }

    def test_a_failing_database_is_no_empty_answer(
        self, registry: Registry, url: str, ca: SampleCA
    ) -> None:
        registry.reserve([ca.reservation(1, "a")])
        rename(url, *((table, f"lost_{table}") for table in TABLES))
        try:
            answers: dict[str, object] = {}
            for name, call in self.CALLS.items():
                try:
                    answers[name] = call(registry, ca)
                except RegistryError as error:
                    answers[name] = type(error)
            assert answers == dict.fromkeys(self.CALLS, RegistryError)
        finally:
            rename(url, *((f"lost_{table}", table) for table in TABLES))
        assert registry.get_by_serial(1) is not None

    def test_the_calls_are_all_there_are(self) -> None:
        methods = {name for name in vars(Registry) if name in dir(SyncDBHandler) and name[0] != "_"}
        assert set(self.CALLS) == methods


def rename(url: str, *tables: tuple[str, str]) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for old, new in tables:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
    engine.dispose()


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def registry(self) -> Registry:
        return MemoryRegistry()


class TestSyncSQLite(OnSQLite, BySyncDriver, OfADatabase):
    pass


class TestSyncSQLiteInMemory(BySyncDriver, RegistryContract):
    @pytest.fixture
    def url(self) -> str:
        return "sqlite://"


@pytest.mark.xdist_group("postgresql")
class TestSyncPostgreSQL(OnPostgreSQL, BySyncDriver, OfADatabase):
    pass


class TestAsyncSQLite(OnSQLite, ByAsyncDriver, OfADatabase):
    pass


class TestAsyncSQLiteInMemory(ByAsyncDriver, RegistryContract):
    @pytest.fixture
    def url(self) -> str:
        return "sqlite+aiosqlite://"


@pytest.mark.xdist_group("postgresql")
class TestAsyncPostgreSQL(OnPostgreSQL, ByAsyncDriver, OfADatabase):
    pass
