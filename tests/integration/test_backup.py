"""One file holds a whole certificate authority."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tests.faults.pki import crl_number
from tests.integration.backups import (
    KINDS,
    Place,
    die_at,
    dies,
    elsewhere,
    restored,
    rows_of,
    tree,
)
from tests.regression.world import (
    ROOT_CONFIG,
    Hook,
    World,
    fail,
    hooked,
    leaf,
    serials,
)
from tests.support import PostgreSQL
from tiny_ca import (
    AsyncDBHandler,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    MemoryRegistry,
    MemoryStorage,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.archive import TarArchives
from tiny_ca.domain.errors import (
    DBNotInitedError,
    FileAlreadyExists,
    NotUniqueCertOwner,
    RegistryError,
    StorageError,
)
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.archive import Archives
from tiny_ca.ports.backup import BackupRegistry, BackupStorage
from tiny_ca.testing.samples import NOW, SampleCA


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


@pytest.mark.parametrize(
    ("source", "target"),
    [(one, other) for one in KINDS for other in KINDS if "async" not in one or one == other],
)
@pytest.mark.xdist_group("postgresql")
def test_everything_is_there_again(
    source: str, target: str, tmp_path: Path, archive: Path, request: pytest.FixtureRequest
) -> None:
    def postgresql() -> PostgreSQL:
        return request.getfixturevalue("postgresql")

    with Place(source, tmp_path / "old", postgresql).manager() as old:
        old.create_self_signed_ca(ROOT_CONFIG, "roots", "root")
        kept, _, _ = old.issue_certificate(leaf("kept"), "a/b", idempotency_key="once")
        gone, _, _ = old.issue_certificate(leaf("gone"), "a", "gone")
        held, _, _ = old.issue_certificate(leaf("held"))
        old.revoke_certificate(gone.serial_number)
        crl = old.generate_crl()
        old._services.registry.revoke(held.serial_number, CRLReason.CERTIFICATE_HOLD, NOW)
        manifest = old.backup(archive)
        rows = rows_of(old)
    with Place(target, tmp_path / "new", postgresql).manager() as new:
        report = new.restore(archive)
        assert (report.manifest, report.revoked_again) == (manifest, ())
        assert (manifest.certificates, manifest.without_files) == (4, 0)
        assert rows_of(new) == rows
        new.open_ca()
        assert new.verify_certificate(kept)
        statuses = [new.get_certificate_status(one.serial_number) for one in (gone, held)]
        assert statuses == [CertificateStatus.REVOKED] * 2
        again, key, _ = new.issue_certificate(leaf("kept"), "a/b", idempotency_key="once")
        assert again == kept
        assert key.public_key() == kept.public_key()
        with pytest.raises(NotUniqueCertOwner):
            new.issue_certificate(leaf("kept"))
        assert new.release_certificate(held.serial_number)
        if "memory" not in (source, target):
            assert tree(tmp_path / "new") == tree(tmp_path / "old")
        # The database counts on above the rows that it was given.
        new.issue_certificate(leaf("gone"), "a")
        following = new.generate_crl()
        assert serials(following) == {gone.serial_number}
        assert crl_number(following) > crl_number(crl)
        if target != "memory":
            assert not list((tmp_path / "new").glob(".restoring"))


@pytest.mark.parametrize("handler", [SyncDBHandler, AsyncDBHandler])
@pytest.mark.xdist_group("postgresql")
def test_rows_are_of_one_moment(db_url: str, handler: Callable[[str], Any]) -> None:
    """What is written between two of its tables is not in the second, and need not wait."""
    ca, other = SampleCA(), SyncDBHandler(db_url)
    ca.issue(other, 1, "a")
    other.next_crl_number(ca.issuer_id)
    found: dict[str, list[Any]] = {}

    def write(table: str, rows: Any) -> None:
        if not found:
            ca.issue(other, 2, "b")
            other.revoke(1, CRLReason.SUPERSEDED, NOW)
        found.setdefault(table, []).extend(rows)

    registry = handler(db_url)
    getattr(registry, "blocking", registry).export_rows(write)
    assert [row["drawn_crl_number"] for row in found["certificate_issuers"]] == [1]
    certificates = [(row["serial_number"], row["status"]) for row in found["certificates"]]
    assert certificates == [("1", "valid")]
    for one in (registry, other):
        one.close()


def test_what_0_1_1_has_left(world: World, archive: Path) -> None:
    """It recorded neither folder nor file name, and took anything for a uuid."""
    with world.ca() as ca:
        ca.issue_certificate(leaf("a"), "deep/er", "found")
        ca.issue_certificate(leaf("b"), "deep", "lost")
        with closing(sqlite3.connect(world.database)) as connection, connection:
            connection.execute("UPDATE certificates SET file_name = NULL, cert_path = NULL")
            connection.execute("UPDATE certificates SET uuid = '../x' WHERE uuid = 'lost'")
        assert ca.backup(archive).without_files == 1
    with world.manager(**elsewhere(world)) as new:
        new.restore(archive)
        new.open_ca()
    assert (world.folder / "new/deep/er/found/a.key").is_file()


class TestTheFile:
    def test_is_the_owners_alone(self, manager: CertLifecycleManager, archive: Path) -> None:
        manager.backup(archive)
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600

    def test_is_not_replaced_by_mistake(self, manager: CertLifecycleManager, archive: Path) -> None:
        archive.write_text("another")
        with pytest.raises(FileAlreadyExists):
            manager.backup(archive)
        assert archive.read_text() == "another"
        manager.backup(str(archive), is_overwrite=True)
        assert archive.stat().st_size > 1000

    def test_keys_are_in_it_as_they_are_stored(self, world: World, archive: Path) -> None:
        encryption = BestAvailableEncryption(b"passphrase")
        storage = LocalStorage(world.base, base_encryption_algorithm=encryption)
        with world.ca(storage=storage) as ca:
            ca.backup(archive)
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in archive.read_bytes()
        storage = LocalStorage(world.folder / "new/pki", base_encryption_algorithm=encryption)
        restored(archive, world.folder / "new", storage=storage).close()

    def test_a_kill_leaves_the_last_one(self, world: World, archive: Path) -> None:
        """Or the new one, whole; what is beside it is hidden, and the owner's alone."""
        with world.ca() as ca:
            ca.backup(archive)
            ca.issue_certificate(leaf("a"))
        number, counts = 0, []
        is_killed = True
        while is_killed:
            number += 1

            def run() -> None:
                with world.manager() as ca:
                    ca.backup(archive, is_overwrite=True)

            is_killed = dies(die_at(number, run))
            with world.manager(**elsewhere(world, f"new-{number}")) as new:
                counts.append(new.restore(archive).manifest.certificates)
            others = set(world.folder.glob(".*"))
            assert {stat.S_IMODE(path.stat().st_mode) for path in others} <= {0o600}
            assert all(path.name.endswith(".partial") for path in others)
        assert counts == sorted(counts)
        assert set(counts) == {1, 2}

    @pytest.mark.parametrize("method", ["export_rows", "export_folder", "export_crls"])
    def test_a_failure_leaves_nothing(self, world: World, archive: Path, method: str) -> None:
        hook = Hook(method)
        error = RegistryError("injected") if method == "export_rows" else StorageError("injected")
        options: dict[str, Any] = (
            {"db_handler": hooked(SyncDBHandler, hook)(world.url)}
            if method == "export_rows"
            else {"storage": hooked(LocalStorage, hook)(world.base)}
        )
        with world.ca(**options) as ca:
            before = world.tree()
            archive.write_text("the last one")
            hook.action = fail(error)
            with pytest.raises(type(error), match="injected"):
                ca.backup(archive, is_overwrite=True)
            assert archive.read_text() == "the last one"
            assert world.tree() == before | {archive.name}
            ca.backup(archive, is_overwrite=True)

    def test_a_folder_that_is_not_there(self, manager: CertLifecycleManager, archive: Path) -> None:
        with pytest.raises(StorageError):
            manager.backup(archive / "missing/backup.tar")
        with pytest.raises(StorageError):
            manager.restore(archive)

    def test_files_that_are_lost_are_said_to_be(
        self, world: World, archive: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with world.ca() as ca:
            ca.issue_certificate(leaf("a"), uuid_str="lost")
            LocalStorage(world.base).delete_certificate_folder("lost")
            assert ca.backup(archive).without_files == 1
        assert "1 valid certificates have no files" in caplog.text


class TestWhatCanNotBeCopied:
    def test_without_a_registry(self, world: World, archive: Path) -> None:
        manager = CertLifecycleManager(LocalStorage(world.base))
        for call in (manager.backup, manager.restore):
            with pytest.raises(DBNotInitedError):
                call(archive)

    def test_without_files(self, world: World, archive: Path) -> None:
        with world.manager(storage=NoStorage()) as ca:
            ca.create_self_signed_ca(ROOT_CONFIG)
            assert ca.backup(archive).without_files == 0
        with world.manager(**{**elsewhere(world), "storage": NoStorage()}) as new:
            assert new.restore(archive).manifest.certificates == 1

    def test_files_go_nowhere(
        self, manager: CertLifecycleManager, world: World, archive: Path
    ) -> None:
        manager.backup(archive)
        with world.manager(**{**elsewhere(world), "storage": NoStorage()}) as new:
            with pytest.raises(StorageError, match="NoStorage"):
                new.restore(archive)
            assert rows_of(new) == {"certificates": []}

    def test_ports(self, world: World) -> None:
        assert isinstance(TarArchives(), Archives)
        for registry in (MemoryRegistry(), SyncDBHandler("sqlite://")):
            assert isinstance(registry, BackupRegistry)
        for storage in (MemoryStorage(), LocalStorage(world.base), NoStorage()):
            assert isinstance(storage, BackupStorage)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.xdist_group("postgresql")
def test_rows_come_in_pages(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, archive: Path
) -> None:
    place = Place(kind, tmp_path / "old", lambda: request.getfixturevalue("postgresql"))
    with place.manager() as manager:
        registry, ca = manager._services.registry, SampleCA()
        registry.reserve([ca.reservation(n, f"n{n}") for n in range(1, 2502)])
        pages: list[int] = []

        def write(table: str, rows: Any) -> None:
            pages.extend([len(rows)] * (table == "certificates"))

        registry.export_rows(write)
        assert pages == [1000, 1000, 501]
        assert manager.backup(archive).certificates == 2501
