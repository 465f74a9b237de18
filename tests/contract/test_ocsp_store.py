"""Every registry that keeps OCSP responses keeps the contract of its port."""

from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from tests.contract.test_registry import ByAsyncDriver, BySyncDriver, OnPostgreSQL, OnSQLite
from tiny_ca import MemoryRegistry, SyncDBHandler
from tiny_ca.domain.errors import RegistryError
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.testing import ResponseStoreContract
from tiny_ca.testing.samples import NOW, SampleCA


class OfADatabase(ResponseStoreContract):
    def test_a_failing_database_is_no_empty_answer(
        self, registry: SyncDBHandler, url: str, ca: SampleCA
    ) -> None:
        ca.issue(registry, 1, "a")
        state, _ = registry.cert_state(ca.issuer_id, 1)
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.execute(text("ALTER TABLE ocsp_responses RENAME TO lost"))
        try:
            with pytest.raises(RegistryError):
                registry.cert_state(ca.issuer_id, 1)
            assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") is None
            with pytest.raises(RegistryError):
                registry.states_to_sign(ca.issuer_id, "sha1", NOW, NOW, 1)
        finally:
            with create_engine(url, poolclass=NullPool).begin() as connection:
                connection.execute(text("ALTER TABLE lost RENAME TO ocsp_responses"))
        assert registry.cert_state(ca.issuer_id, 1) == (state, None)


class TestMemoryRegistry(ResponseStoreContract):
    @pytest.fixture
    def registry(self) -> MemoryRegistry:
        return MemoryRegistry()

    def test_it_is_read_at_once_unless_another_thread_is_at_it(
        self, registry: MemoryRegistry, ca: SampleCA
    ) -> None:
        ca.issue(registry, 1, "a")
        found = registry.cert_state(ca.issuer_id, 1, "sha1")
        assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") == found
        has_it, may_go = Event(), Event()

        def hold() -> None:
            with registry._lock:
                has_it.set()
                may_go.wait(20)

        thread = Thread(target=hold)
        thread.start()
        has_it.wait(20)
        try:
            assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") is None
        finally:
            may_go.set()
            thread.join()
        assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") == found


class TestSyncSQLite(OnSQLite, BySyncDriver, OfADatabase):
    def test_a_file_that_was_replaced(
        self, registry: SyncDBHandler, tmp_path: Path, ca: SampleCA
    ) -> None:
        """The look-up has connections of its own; they notice, too."""
        ca.issue(registry, 1, "a")
        assert registry.cert_state(ca.issuer_id, 1)[0] is not None
        path = tmp_path / "registry.db"
        path.rename(tmp_path / "away.db")
        assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") is None
        with pytest.raises(RegistryError):
            registry.cert_state(ca.issuer_id, 1)
        SyncDBHandler(f"sqlite:///{path}").close()
        assert registry.cert_state(ca.issuer_id, 1) == (None, None)
        assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") == (None, None)

    def test_it_is_read_at_once_while_others_write(
        self, registry: SyncDBHandler, url: str, ca: SampleCA
    ) -> None:
        """And says what was committed last."""
        ca.issue(registry, 1, "a")
        good = registry.cert_state(ca.issuer_id, 1, "sha1")
        other = SyncDBHandler(url)

        def while_it_is_revoked(connection: Connection) -> None:
            connection.execute(text("UPDATE certificates SET status = 'pending'"))
            assert registry.cert_state_at_once(ca.issuer_id, 1, "sha1") == good

        other._db.run(while_it_is_revoked, write=True)
        [state, _] = registry.cert_state_at_once(ca.issuer_id, 1, "sha1")
        assert state.status is CertificateStatus.PENDING
        other.close()


class TestSyncSQLiteInMemory(BySyncDriver, ResponseStoreContract):
    @pytest.fixture
    def url(self) -> str:
        return "sqlite://"


@pytest.mark.xdist_group("postgresql")
class TestSyncPostgreSQL(OnPostgreSQL, BySyncDriver, OfADatabase):
    def test_connections_that_were_cut(
        self, registry: SyncDBHandler, url: str, ca: SampleCA
    ) -> None:
        ca.issue(registry, 1, "a")
        before = registry.cert_state(ca.issuer_id, 1)
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert registry.cert_state(ca.issuer_id, 1) == before


class TestAsyncSQLite(OnSQLite, ByAsyncDriver, OfADatabase):
    pass


@pytest.mark.xdist_group("postgresql")
class TestAsyncPostgreSQL(OnPostgreSQL, ByAsyncDriver, OfADatabase):
    pass
