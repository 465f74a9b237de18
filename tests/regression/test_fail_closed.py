"""tiny_ca 0.1.1 took a database that failed for one that had nothing to say."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg
import pytest
from cryptography import x509

from tests.regression.world import ROOT_CONFIG, Hook, World, hooked, leaf, locked, serials
from tests.support import PostgreSQL
from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    KeyAlgorithm,
    SyncDBHandler,
)
from tiny_ca.domain.errors import RegistryError, TinyCAError, ValidationCertError


def test_verifying_a_valid_certificate_on_sqlite_raised_type_error(
    manager: CertLifecycleManager,
) -> None:
    """SQLite gave naive datetimes back, and they were compared with aware ones."""
    certificate, _, _ = manager.issue_certificate(leaf())
    assert manager.verify_certificate(certificate) is True


def test_a_certificate_that_the_registry_never_saw_verified(manager: CertLifecycleManager) -> None:
    stranger, _, _ = manager.factory.issue_certificate(
        "stranger.internal", key_algorithm=KeyAlgorithm.P256
    )
    manager.factory.validate_cert(stranger)
    with pytest.raises(ValidationCertError, match="does not know"):
        manager.verify_certificate(stranger)
    assert manager.get_certificate_status(stranger.serial_number) is CertificateStatus.UNKNOWN


def _delete(world: World) -> None:
    for path in world.folder.glob("registry.db*"):
        path.unlink()


def _replace_by_garbage(world: World) -> None:
    _delete(world)
    world.database.write_bytes(b"not a database " * 1000)


def _drop_the_table(world: World) -> None:
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("DROP TABLE certificates")


def _truncate(world: World) -> None:
    _delete(world)
    world.database.touch()


@contextmanager
def _damaged(
    world: World, damage: Callable[[World], None], *, reconnects: bool
) -> Iterator[tuple[CertLifecycleManager, x509.Certificate]]:
    with world.ca() as manager:
        certificate, _, _ = manager.issue_certificate(leaf("revoked.internal"))
        manager.revoke_certificate(certificate.serial_number)
        assert serials(manager.generate_crl()) == {certificate.serial_number}
        if reconnects:
            manager.close()
        damage(world)
        yield manager, certificate


Broken = tuple[CertLifecycleManager, x509.Certificate]


class TestWithTheDatabaseBroken:
    """A revoked certificate verified, the CRL came out empty, and issuing reported success."""

    @pytest.fixture(params=[_delete, _replace_by_garbage, _truncate, _drop_the_table])
    def broken(self, request: pytest.FixtureRequest, world: World) -> Iterator[Broken]:
        with _damaged(world, request.param, reconnects=True) as broken:
            yield broken

    def test_verifying_raises(self, broken: Broken) -> None:
        manager, revoked = broken
        with pytest.raises(RegistryError):
            manager.verify_certificate(revoked)

    def test_a_status_is_not_unknown(self, broken: Broken) -> None:
        manager, revoked = broken
        with pytest.raises(RegistryError):
            manager.get_certificate_status(revoked.serial_number)

    def test_revoking_raises(self, broken: Broken) -> None:
        manager, revoked = broken
        with pytest.raises(RegistryError):
            manager.revoke_certificate(revoked.serial_number)

    def test_the_last_crl_stays(self, broken: Broken, world: World) -> None:
        manager, _ = broken
        before = (world.base / "crl.pem").read_bytes()
        with pytest.raises(RegistryError):
            manager.generate_crl()
        assert (world.base / "crl.pem").read_bytes() == before
        assert world.staged() == []

    def test_nothing_is_issued(self, broken: Broken, world: World) -> None:
        manager, _ = broken
        before = world.tree()
        with pytest.raises(RegistryError):
            manager.issue_certificate(leaf("new.internal"))
        with pytest.raises(RegistryError):
            manager.issue_certificate(leaf("revoked.internal"), is_overwrite=True)
        assert world.tree() == before


def test_a_table_that_is_dropped_under_an_open_connection(world: World) -> None:
    with _damaged(world, _drop_the_table, reconnects=False) as (manager, revoked):
        for operation in (
            lambda: manager.verify_certificate(revoked),
            manager.generate_crl,
            lambda: manager.issue_certificate(leaf("new.internal")),
        ):
            with pytest.raises(RegistryError):
                operation()


@pytest.mark.parametrize("damage", [_delete, _replace_by_garbage])
def test_a_file_that_goes_away_under_an_open_connection(
    world: World, damage: Callable[[World], None]
) -> None:
    with _damaged(world, damage, reconnects=False) as (manager, _), pytest.raises(RegistryError):
        manager.issue_certificate(leaf("new.internal"))


def test_with_a_read_only_database_issuing_reported_success(world: World) -> None:
    with world.ca() as manager:
        revoked, _, _ = manager.issue_certificate(leaf("revoked.internal"))
        valid, _, _ = manager.issue_certificate(leaf("valid.internal"))
        manager.revoke_certificate(revoked.serial_number)
    read_only = SyncDBHandler(f"sqlite:///file:{world.database}?mode=ro&uri=true")
    with world.ca(db_handler=read_only) as manager:
        before = world.tree()
        for operation in (
            lambda: manager.issue_certificate(leaf("new.internal")),
            lambda: manager.rotate_certificate(valid.serial_number, leaf("valid.internal")),
            lambda: manager.revoke_certificate(valid.serial_number),
            manager.generate_crl,
        ):
            with pytest.raises(RegistryError):
                operation()
        with pytest.raises(ValidationCertError, match="revoked"):
            manager.verify_certificate(revoked)
        # Reading is all that this needs, so it goes on.
        assert manager.verify_certificate(valid)
        assert world.tree() == before


def test_with_postgresql_gone_nothing_verifies_and_nothing_is_issued(
    postgresql: PostgreSQL, world: World
) -> None:
    url = postgresql.new_database()
    handler = SyncDBHandler(url)
    with world.manager(db_handler=handler) as manager:
        manager.create_self_signed_ca(ROOT_CONFIG)
        certificate, _, _ = manager.issue_certificate(leaf())
        manager.close()
        _drop_database(url)
        before = world.tree()
        for operation in (
            lambda: manager.verify_certificate(certificate),
            lambda: manager.issue_certificate(leaf("new.internal")),
            manager.generate_crl,
        ):
            with pytest.raises(RegistryError):
                operation()
        assert world.tree() == before


def _drop_database(url: str) -> None:
    server, _, name = url.replace("+psycopg", "").rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class TestWithTheDatabaseLocked:
    """Past the busy timeout a certificate was handed out that has no row."""

    @pytest.fixture
    def world(self, world: World) -> World:
        world.query = "?timeout=0.2"
        return world

    def test_there_is_no_certificate_and_no_file(self, world: World) -> None:
        with world.ca() as manager:
            before = world.tree()
            with locked(world.database), pytest.raises(RegistryError, match="locked"):
                manager.issue_certificate(leaf())
            assert world.tree() == before
            assert world.statuses("a.internal") == []
            certificate, _, _ = manager.issue_certificate(leaf())
            assert manager.verify_certificate(certificate)

    def test_a_lock_that_comes_after_the_reservation(self, world: World) -> None:
        hook = Hook("reserve", after=True)
        with world.ca(db_handler=hooked(SyncDBHandler, hook)(world.url)) as manager:
            before = world.files()
            lock = locked(world.database)
            hook.action = lock.__enter__
            with pytest.raises(RegistryError, match="locked") as caught:
                manager.issue_certificate(leaf())
            lock.__exit__(None, None, None)
            # Neither could the row be closed: the error says so, and recovery closes it.
            assert any("recover" in note for note in caught.value.__notes__)
            assert world.files() == before
            assert world.statuses("a.internal") == ["pending"]
            manager.recover(older_than=timedelta(0))
            assert world.staged() == []
            certificate, _, _ = manager.issue_certificate(leaf())
            assert manager.verify_certificate(certificate)
            assert world.statuses("a.internal") == ["abandoned", "valid"]

    def test_the_crl_stays(self, world: World) -> None:
        with world.ca() as manager:
            manager.generate_crl()
            before = (world.base / "crl.pem").read_bytes()
            with locked(world.database), pytest.raises(TinyCAError):
                manager.generate_crl()
            assert (world.base / "crl.pem").read_bytes() == before
            manager.generate_crl()
