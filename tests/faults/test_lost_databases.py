"""Databases that disappear under a running manager: everything is refused, nothing is guessed."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.faults.aftermath import OLD
from tests.faults.pki import Folder, certificate_in, leaf, manager_of, prepare
from tests.faults.servers import Restartable
from tiny_ca import CertLifecycleManager, LocalStorage, SyncDBHandler
from tiny_ca.domain.errors import RegistryError

Breaking = Callable[[Path], Iterator[None]]


@contextmanager
def moved_away(database: Path) -> Iterator[None]:
    hidden = database.rename(database.with_suffix(".hidden"))
    yield
    hidden.rename(database)


@contextmanager
def deleted(database: Path) -> Iterator[None]:
    """With a hard link to bring it back, as `cp --link` backups have one."""
    saved = database.with_suffix(".saved")
    os.link(database, saved)
    database.unlink()
    yield
    saved.rename(database)


@contextmanager
def replaced_by_garbage(database: Path) -> Iterator[None]:
    with moved_away(database):
        database.write_bytes(b"not a database" * 1000)
        yield


@contextmanager
def replaced_by_an_empty_one(database: Path) -> Iterator[None]:
    with moved_away(database):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE other (id INTEGER)")
        yield


@contextmanager
def without_its_table(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE certificates RENAME TO hidden")
    yield
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE hidden RENAME TO certificates")


@pytest.fixture
def folder(prepared: Folder, tmp_path: Path) -> Folder:
    return prepared.copy(tmp_path / "ca")


def files(folder: Folder) -> set[Path]:
    return {path for path in folder.base.rglob("*") if path.name != ".staging"}


def check_refused(manager: CertLifecycleManager, folder: Folder, *, also_reads: bool) -> None:
    """Every operation says that the registry failed, and leaves no file behind."""
    old = certificate_in(folder.base / "services" / "old")
    before, crl = files(folder), (folder.base / "crl.pem").read_bytes()
    writes: list[Callable[[], object]] = [
        lambda: manager.issue_certificate(leaf("lost.internal")),
        lambda: manager.issue_certificate(leaf(OLD), is_overwrite=True),
        lambda: manager.rotate_certificate(old.serial_number, leaf(OLD)),
        lambda: manager.revoke_certificate(old.serial_number),
        manager.generate_crl,
    ]
    reads: list[Callable[[], object]] = [
        lambda: manager.verify_certificate(old),
        lambda: manager.get_certificate_status(old.serial_number),
        manager.recover,
    ]
    for operation in writes + (reads if also_reads else []):
        with pytest.raises(RegistryError):
            operation()
    assert files(folder) == before
    assert (folder.base / "crl.pem").read_bytes() == crl


def check_works(manager: CertLifecycleManager, old: x509.Certificate) -> None:
    assert manager.verify_certificate(old)
    certificate, _, _ = manager.issue_certificate(leaf("back.internal"))
    assert manager.verify_certificate(certificate)
    assert manager.revoke_certificate(certificate.serial_number)
    assert certificate.serial_number in {entry.serial_number for entry in manager.generate_crl()}


@pytest.mark.parametrize("is_used", [True, False], ids=["connected", "idle"])
@pytest.mark.parametrize(
    "breaking",
    [moved_away, deleted, replaced_by_garbage, replaced_by_an_empty_one, without_its_table],
)
def test_a_file_that_goes_and_comes_back(
    folder: Folder, breaking: Callable[[Path], Iterator[None]], is_used: bool
) -> None:
    old = certificate_in(folder.base / "services" / "old")
    with manager_of(folder.path, opened=True) as manager:
        if not is_used:
            manager.close()
        with breaking(folder.path / "registry.db"):
            check_refused(manager, folder, also_reads=True)
        check_works(manager, old)
    with folder.manager() as manager:
        folder.check(manager)
        manager.open_ca()
        check_works(manager, old)


def test_a_file_that_is_gone_is_not_made_anew(folder: Folder) -> None:
    """An empty registry in its place would know nothing, and delete the log of the lost one."""
    database = folder.path / "registry.db"
    with manager_of(folder.path, opened=True) as manager:
        manager.issue_certificate(leaf("logged.internal"))
        log = (folder.path / "registry.db-wal").read_bytes()
        with moved_away(database):
            check_refused(manager, folder, also_reads=True)
            assert not database.exists()
            assert (folder.path / "registry.db-wal").read_bytes() == log


@contextmanager
def _managed(folder: Folder, url: str) -> Iterator[CertLifecycleManager]:
    storage = LocalStorage(folder.base)
    with CertLifecycleManager(storage, db_handler=SyncDBHandler(url)) as manager:
        manager.open_ca()
        yield manager


def test_a_database_that_can_only_be_read(folder: Folder) -> None:
    database = folder.path / "registry.db"
    old = certificate_in(folder.base / "services" / "old")
    with _managed(folder, f"sqlite:///file:{database}?mode=ro&uri=true") as manager:
        check_refused(manager, folder, also_reads=False)
        # Answers need no writing.
        assert manager.verify_certificate(old)
    with folder.manager() as manager:
        manager.open_ca()
        check_works(manager, old)


def test_a_database_that_another_one_holds(folder: Folder) -> None:
    database = folder.path / "registry.db"
    old = certificate_in(folder.base / "services" / "old")
    with ExitStack() as stack:
        manager = stack.enter_context(_managed(folder, f"sqlite:///{database}?timeout=0.1"))
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            check_refused(manager, folder, also_reads=False)
            assert manager.verify_certificate(old)
        check_works(manager, old)


def test_a_server_that_is_stopped(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with Restartable.started() as server:
        handler = SyncDBHandler(server.cluster.new_database())
        storage = LocalStorage(folder.base)
        with CertLifecycleManager(storage, db_handler=handler) as manager:
            prepare(manager)
            old = certificate_in(folder.base / "services" / "old")
            server.stop()
            check_refused(manager, folder, also_reads=True)
            server.start()
            check_works(manager, old)
            # Nobody called while it was away: nobody has to notice.
            server.restart()
            check_works(manager, old)
