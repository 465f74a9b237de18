"""A backup is restored into nothing, whole or not at all, and undoes no revocation."""

import io
import json
import os
import shutil
import signal
import sys
import tarfile
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.faults.pki import crl_number
from tests.integration.backups import check_restored, elsewhere, rows_of, tree
from tests.regression.world import ROOT_CONFIG, Hook, World, hooked, leaf, serials
from tiny_ca import (
    AsyncCertLifecycleManager,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    MemoryStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import BackupError, NotEmpty, TinyCAError
from tiny_ca.domain.revocation import CRLReason


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewritten(archive: Path, change: Callable[[Members], object]) -> Path:
    """Write an archive anew, changed."""
    with tarfile.open(archive) as tar:
        members = [(one, tar.extractfile(one).read()) for one in tar]
    change(members)
    with tarfile.open(archive, "w") as tar:
        for one, data in members:
            one.size = len(data) if one.isreg() else 0
            tar.addfile(one, io.BytesIO(data))
    return archive


def _flip(part: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        place = next(n for n, (one, _) in enumerate(members) if one.name.startswith(part))
        one, data = members[place]
        members[place] = one, data.replace(b"a", b"b", 1)

    return change


def _member(name: str, data: bytes = b"x", **fields: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        one = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(one, field, value)
        members.insert(0, (one, data))

    return change


def _manifest(**changes: object) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        one, data = members[-1]
        members[-1] = one, json.dumps(json.loads(data) | changes).encode()

    return change


TAMPERING: dict[str, Callable[[Members], object]] = {
    "a row": _flip("registry/certificates/"),
    "an issuer": _flip("registry/certificate_issuers/"),
    "a key": _flip("folders/"),
    "a CRL": _flip("crls/"),
    "a member is gone": lambda members: members.pop(2),
    "a member is twice there": lambda members: members.insert(2, members[2]),
    "two have changed places": lambda members: members.insert(2, members.pop(3)),
    "one was renamed": lambda members: setattr(members[2][0], "name", "folders/x/y.key"),
    "the manifest is gone": lambda members: members.pop(),
    "the manifest is not the last": lambda members: members.insert(0, members.pop()),
    "the manifest is no manifest": lambda members: members.append((members.pop()[0], b"[]")),
    "another format": _manifest(format=2),
    "another schema": _manifest(revision="9999"),
    "up and out": _member("folders/../../x"),
    "absolute": _member("/etc/x"),
    "a hidden folder": _member("folders/.staging/uuid/x"),
    "beside the folders": _member("x"),
    "no table's": _member("registry/x.jsonl"),
    "a link": _member("folders/a/b", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": _member("folders/a/b", type=tarfile.LNKTYPE, linkname="manifest.json"),
    "a device": _member("folders/a/b", type=tarfile.CHRTYPE),
    "a folder": _member("folders/a", type=tarfile.DIRTYPE),
}


class TestADamagedArchive:
    @pytest.fixture
    def sound(self, manager: CertLifecycleManager, archive: Path) -> Path:
        manager.issue_certificate(leaf())
        manager.generate_crl()
        manager.backup(archive)
        return archive

    def refused(self, world: World, archive: Path) -> None:
        with world.manager(**elsewhere(world)) as new:
            with pytest.raises(BackupError):
                new.restore(archive)
            assert rows_of(new) == {"certificates": []}
        assert not (world.folder / "new").exists()

    @pytest.mark.parametrize("what", TAMPERING)
    def test_is_refused(self, world: World, sound: Path, what: str) -> None:
        self.refused(world, rewritten(sound, TAMPERING[what]))

    def test_cut_off_anywhere(self, world: World, sound: Path) -> None:
        whole = sound.read_bytes()
        end = whole.rindex(b"}") + 1
        for length in (0, 1, 511, 512, 513, *range(1024, end, len(whole) // 20), end - 1):
            sound.write_bytes(whole[:length])
            self.refused(world, sound)

    def test_what_is_no_archive(self, world: World, archive: Path) -> None:
        archive.write_bytes(os.urandom(5000))
        self.refused(world, archive)

    def test_rewritten_without_a_change(self, world: World, sound: Path) -> None:
        """What the others are compared with."""
        with world.manager(**elsewhere(world)) as new:
            assert new.restore(rewritten(sound, len)).manifest.certificates == 2


class TestANewerCRL:
    """The story of a CA that forgot its revocations with yesterday's backup."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture(params=["passed", "lying there", "both"])
    def give(self, request: pytest.FixtureRequest, world: World) -> Any:
        """Let the restore know a CRL, one way or another; gives its arguments."""

        def given(crl: x509.CertificateRevocationList) -> dict[str, Any]:
            if request.param != "passed":
                (world.folder / "new").mkdir(mode=0o700)
                (world.folder / "new/crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
            return {} if request.param == "lying there" else {"crls": [crl]}

        return given

    def test_what_it_has_revoked_stays_revoked(
        self, world: World, archive: Path, give: Any, clock: ManualClock, caplog: Any
    ) -> None:
        with world.ca(clock=clock) as ca:
            known, _, _ = ca.issue_certificate(leaf("known"))
            held, _, _ = ca.issue_certificate(leaf("held"))
            final, _, _ = ca.issue_certificate(leaf("final"))
            ca.revoke_certificate(held.serial_number, x509.ReasonFlags.certificate_hold)
            ca.revoke_certificate(final.serial_number, x509.ReasonFlags.superseded)
            ca.generate_crl()
            ca.backup(archive)
            clock.advance(timedelta(hours=1))
            late, _, _ = ca.issue_certificate(leaf("late"))
            for one in (known, held, late):
                ca.revoke_certificate(one.serial_number, x509.ReasonFlags.key_compromise)
            clock.advance(timedelta(hours=1))
            for _ in range(5):
                crl = ca.generate_crl()
        arguments = give(crl)
        with world.manager(**elsewhere(world), clock=clock) as new:
            report = new.restore(archive, **arguments)
            new.open_ca()
            assert {
                (one.serial_number, one.was.value, one.reason) for one in report.revoked_again
            } == {
                (known.serial_number, "valid", CRLReason.KEY_COMPROMISE),
                (held.serial_number, "revoked", CRLReason.KEY_COMPROMISE),
                (late.serial_number, "unknown", CRLReason.KEY_COMPROMISE),
            }
            for one in (known, held, late):
                assert str(one.serial_number) in caplog.text
            statuses = [new.get_certificate_status(c.serial_number) for c in (known, held, late)]
            assert statuses == [CertificateStatus.REVOKED] * 3
            following = new.generate_crl()
            assert entries(following) == entries(crl)
            assert len(following) == 4
            assert crl_number(following) > crl_number(crl)
            # The name is free again, for its key is compromised.
            new.issue_certificate(leaf("known"))
        assert check_restored_crl(world) == crl_number(following)

    def test_what_it_lists_stays_listed_until_the_issuer_ends(
        self, world: World, archive: Path, clock: ManualClock
    ) -> None:
        """Nobody knows when a certificate ends that the backup does not have."""
        with world.ca(clock=clock) as ca:
            ca.backup(archive)
            late, _, _ = ca.issue_certificate(leaf("late", days_valid=1))
            ca.revoke_certificate(late.serial_number)
            crl = ca.generate_crl()
        with world.manager(**elsewhere(world), clock=clock) as new:
            new.restore(archive, crls=[crl])
            new.open_ca()
            for _ in range(3):
                clock.advance(timedelta(days=100))
                assert serials(new.generate_crl()) == {late.serial_number}

    def test_an_older_one_says_nothing(self, world: World, archive: Path, give: Any) -> None:
        """What was on hold then was released before the backup."""
        with world.ca() as ca:
            held, _, _ = ca.issue_certificate(leaf("held"))
            ca.revoke_certificate(held.serial_number, x509.ReasonFlags.certificate_hold)
            older = ca.generate_crl()
            ca.release_certificate(held.serial_number)
            ca.generate_crl()
            ca.backup(archive)
        arguments = give(older)
        with world.manager(**elsewhere(world)) as new:
            assert new.restore(archive, **arguments).revoked_again == ()
            new.open_ca()
            assert new.verify_certificate(held)

    def test_only_the_last_one_counts(self, world: World, archive: Path) -> None:
        with world.ca() as ca:
            held, _, _ = ca.issue_certificate(leaf("held"))
            ca.backup(archive)
            ca.revoke_certificate(held.serial_number, x509.ReasonFlags.certificate_hold)
            first = ca.generate_crl()
            ca.release_certificate(held.serial_number)
            second = ca.generate_crl()
        with world.manager(**elsewhere(world)) as new:
            assert new.restore(archive, crls=[second, first]).revoked_again == ()

    def test_one_that_was_published_while_the_backup_ran(
        self, world: World, archive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The archive itself has a CRL that is newer than its rows."""
        with world.ca() as ca:
            known, _, _ = ca.issue_certificate(leaf("known"))
            export = LocalStorage.export_crls

            def publish_first(storage: LocalStorage) -> Any:
                ca.revoke_certificate(known.serial_number)
                ca.generate_crl()
                return export(storage)

            with monkeypatch.context() as patched:
                patched.setattr(LocalStorage, "export_crls", publish_first)
                ca.backup(archive)
        with world.manager(**elsewhere(world)) as new:
            [again] = new.restore(archive).revoked_again
            assert again.serial_number == known.serial_number

    def test_of_another_ca(self, world: World, archive: Path, give: Any) -> None:
        """Of the same name even: only a signature counts, and none is passed over in silence."""
        with world.ca() as ca:
            ca.backup(archive)
        with world.manager(storage=MemoryStorage(), db_handler=SyncDBHandler("sqlite://")) as other:
            other.create_self_signed_ca(ROOT_CONFIG)
            foreign = other.generate_crl()
        arguments = give(foreign)
        with world.manager(**elsewhere(world)) as new:
            with pytest.raises(BackupError, match="signed"):
                new.restore(archive, **arguments)
            assert rows_of(new) == {"certificates": []}

    def test_numbers_are_skipped_without_one(
        self, world: World, archive: Path, clock: ManualClock
    ) -> None:
        """Nobody tells of the CRLs since the backup: no number of theirs is used again."""
        with world.ca(clock=clock) as ca:
            ca.generate_crl()
            ca.backup(archive)
            for _ in range(30):
                clock.advance(timedelta(seconds=1))
                last = ca.generate_crl()
        with world.manager(**elsewhere(world), clock=clock) as new:
            new.restore(archive)
            new.open_ca()
            assert crl_number(new.generate_crl()) > crl_number(last) + 900


def entries(crl: x509.CertificateRevocationList) -> set[tuple[int, Any, Any]]:
    return {
        (
            one.serial_number,
            one.revocation_date_utc,
            one.extensions.get_extension_for_class(x509.CRLReason).value.reason,
        )
        for one in crl
    }


def check_restored_crl(world: World) -> int:
    return crl_number(x509.load_pem_x509_crl((world.folder / "new/crl.pem").read_bytes()))


DEADLY = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def _is_deadly(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in DEADLY or (event == "open" and bool(arguments[2] & os.O_CREAT))


def dies(work: Callable[[], object]) -> bool:
    """Do *work* in a fork; tell if it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - must not return into pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(number: int, work: Callable[[], object]) -> Callable[[], object]:
    """Make *work* die at its *number*th change of files."""

    def run() -> None:
        changes = count(1)

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if _is_deadly(event, arguments) and next(changes) == number:
                die()

        sys.addaudithook(watch)
        work()

    return run


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
        expected.pop("crl.pem")
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
