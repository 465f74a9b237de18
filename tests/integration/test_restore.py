"""A backup is restored into nothing, whole or not at all, and undoes no revocation."""

import errno
import os
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.backups import check_restored, die, die_at, dies, elsewhere, rows_of, tree
from tests.regression.world import ROOT_CONFIG, Hook, World, hooked, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    CertLifecycleManager,
    LocalStorage,
    MemoryStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.storage import backup as restoring
from tiny_ca.adapters.outbound.storage import files
from tiny_ca.domain.errors import NotEmpty, StorageError, TinyCAError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


class TestOnlyIntoNothing:
    def test_a_registry_with_rows(
        self, manager: CertLifecycleManager, world: World, archive: Path
    ) -> None:
        manager.backup(archive)
        options = elsewhere(world)
        with world.manager(**{**options, "storage": MemoryStorage()}) as other:
            other.create_self_signed_ca(ROOT_CONFIG)
        with world.manager(**options) as new:
            before = rows_of(new)
            with pytest.raises(NotEmpty, match="certificate"):
                new.restore(archive)
            assert rows_of(new) == before
        assert not (world.folder / "new").exists()

    @pytest.mark.parametrize("folder", ["someones", ".staging/uuid"])
    def test_a_folder_with_folders(
        self, manager: CertLifecycleManager, world: World, archive: Path, folder: str
    ) -> None:
        manager.backup(archive)
        (world.folder / "new" / folder).mkdir(parents=True)
        before = sorted((world.folder / "new").rglob("*"))
        with world.manager(**elsewhere(world)) as new:
            with pytest.raises(NotEmpty, match="folder"):
                new.restore(archive)
            assert rows_of(new) == {"certificates": []}
        assert sorted((world.folder / "new").rglob("*")) == before

    def test_where_it_was_restored_already(
        self, manager: CertLifecycleManager, world: World, archive: Path
    ) -> None:
        manager.backup(archive)
        with world.manager(**elsewhere(world)) as new:
            new.restore(archive)
            before = tree(world.folder / "new")
            with pytest.raises(NotEmpty, match="already"):
                new.restore(archive)
            assert tree(world.folder / "new") == before

    def test_a_registry_that_is_filled_meanwhile(self, world: World, archive: Path) -> None:
        """It is looked at once more in the transaction that writes."""
        options = elsewhere(world)
        with world.ca() as ca:
            ca.backup(archive)

        def fill() -> None:
            handler = SyncDBHandler(f"sqlite:///{world.folder / 'new.db'}")
            with CertLifecycleManager(MemoryStorage(), db_handler=handler) as other:
                other.create_self_signed_ca(ROOT_CONFIG)

        hook = Hook("check_empty", after=True, action=fill)
        options["storage"] = hooked(LocalStorage, hook)(world.folder / "new")
        with world.manager(**options) as new:
            with pytest.raises(NotEmpty, match="rows"):
                new.restore(archive)
            assert len(rows_of(new)["certificates"]) == 1
        assert not list((world.folder / "new").glob("*"))

    def test_two_at_once(self, world: World, archive: Path, db_url: str) -> None:
        """One of them does it, on both databases."""
        with world.manager(**elsewhere(world)) as manager:
            manager.create_self_signed_ca(ROOT_CONFIG)
            manager.backup(archive)
        base, results = archive.parent / "target", []

        def run() -> None:
            with CertLifecycleManager(LocalStorage(base), db_handler=SyncDBHandler(db_url)) as new:
                try:
                    results.append(new.restore(archive).manifest.certificates)
                except NotEmpty as error:
                    results.append(type(error))

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, results)) == sorted(map(str, [1, NotEmpty, NotEmpty]))


def test_killed_anywhere_it_is_done_or_not_begun(
    world: World, archive: Path, tmp_path: Path
) -> None:
    """Another call finishes it, and ends in the same."""
    with world.ca() as ca:
        for n, folder in enumerate(("a/b", None)):
            certificate, _, _ = ca.issue_certificate(leaf(f"n{n}"), folder)
        ca.generate_crl()
        ca.backup(archive)
        ca.revoke_certificate(certificate.serial_number)
        crl = ca.generate_crl()
        expected = tree(world.base)
        del expected["crl.pem"], expected["crl.der"]
    empty = World(tmp_path / "empty")
    empty.folder.mkdir()
    SyncDBHandler(empty.url).close()
    outcomes = set()
    number, is_killed = 0, True
    while is_killed:
        number += 1
        target = World(tmp_path / f"target-{number}")
        target.folder.mkdir()
        shutil.copy(empty.database, target.database)

        def restore(target: World = target) -> Any:
            with target.manager() as manager:
                return manager.restore(archive, crls=[crl])

        is_killed = dies(die_at(number, restore))
        rows, files = target.rows(), target.files() if target.base.exists() else set()
        is_committed = bool(rows)
        assert len(rows) in (0, 3)
        visible = {name for name in files if not name.startswith(".restoring")}
        assert is_committed or not visible
        outcomes.add((is_committed, len(visible)))
        try:
            report = restore()
        except NotEmpty:
            assert is_committed
        else:
            assert [one.serial_number for one in report.revoked_again] == [
                certificate.serial_number
            ]
        found = tree(target.base)
        assert found.pop("crl.pem") != crl.public_bytes(Encoding.PEM)
        del found["crl.der"]
        assert found == expected
        assert not (target.base / ".restoring").exists()
        assert check_restored(target.folder) == {"Test Root", "n0"}
    assert {is_committed for is_committed, _ in outcomes} == {False, True}
    assert len(outcomes) >= 4
    assert number > 25, number


def test_a_killed_one_is_in_nobodys_way(world: World, archive: Path) -> None:
    """Another CA may be made where a restore died before it was committed."""
    with world.ca() as ca:
        ca.backup(archive)
    target = World(world.folder / "target")
    target.folder.mkdir()
    hook = Hook("import_rows", action=die)

    def restore() -> Any:
        with target.manager(db_handler=hooked(SyncDBHandler, hook)(target.url)) as manager:
            return manager.restore(archive)

    assert dies(restore)
    assert list(target.base.glob(".restoring/ready-*"))
    assert target.rows() == []
    with target.manager() as manager:
        manager.create_self_signed_ca(ROOT_CONFIG)
        with pytest.raises(NotEmpty):
            manager.restore(archive)
        assert not any(manager.recover(timedelta(0)))


def full_at(number: int) -> Callable[..., None]:
    calls = count(1)

    def write(*arguments: Any, **options: Any) -> None:
        if next(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device", "leaf.key")
        files.write_new(*arguments, **options)

    return write


def test_a_full_disk_leaves_nothing(
    world: World, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt works."""
    with world.ca() as ca:
        ca.issue_certificate(leaf())
        ca.backup(archive)
    with world.manager(**elsewhere(world)) as new:
        for number in range(1, 6):
            with monkeypatch.context() as patched:
                patched.setattr(restoring, "write_new", full_at(number))
                with pytest.raises(StorageError, match="No space"):
                    new.restore(archive)
            assert not list((world.folder / "new").glob("*"))
            assert rows_of(new) == {"certificates": []}
        assert new.restore(archive).manifest.certificates == 2


def test_all_is_durable_before_it_counts(
    world: World, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and folder is synced before the tree is whole, and that before the rows."""
    with world.ca() as ca:
        ca.issue_certificate(leaf(), "a/b")
        ca.generate_crl()
        ca.backup(archive)
    base, done = world.folder / "new", []
    fsync, rename = os.fsync, os.rename

    def record_sync(descriptor: int) -> None:
        fsync(descriptor)
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    def record_rename(source: Path, destination: Path) -> None:
        rename(source, destination)
        done.append(f"renamed {Path(destination).name}")

    hook = Hook("import_rows", action=lambda: done.append("rows"))
    options = elsewhere(world)
    options["db_handler"] = hooked(SyncDBHandler, hook)(f"sqlite:///{world.folder / 'new.db'}")
    with world.manager(**options) as new, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", record_sync)
        patched.setattr(os, "rename", record_rename)
        new.restore(archive)
    whole = next(n for n, one in enumerate(done) if one.startswith("renamed ready-"))
    assert whole < done.index("rows")
    assert str(base / ".restoring") in done[whole : done.index("rows")]
    before = [Path(one) for one in done[:whole]]
    (growing,) = {path.parent for path in before if path.name == "crl.pem"}
    synced = {p.relative_to(growing).as_posix() for p in before if p.is_relative_to(growing)}
    folders = {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_dir()}
    assert set(tree(base)) | folders | {"."} <= synced


@pytest.mark.anyio
async def test_on_the_async_face(world: World, archive: Path) -> None:
    with world.ca() as ca:
        certificate, _, _ = ca.issue_certificate(leaf())
        await AsyncCertLifecycleManager.wrapping(ca).backup(archive)
    async with AsyncCertLifecycleManager(**elsewhere(world)) as new:
        report = await new.restore(archive)
        assert report.manifest.certificates == 2
        await new.open_ca()
        assert await new.verify_certificate(certificate)
        with pytest.raises(TinyCAError):
            await new.restore(archive)
