"""What processes that died left behind is brought to its end (DESIGN, section 3)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.regression.world import PROJECT, ROOT_CONFIG, Hook, World, fail, hooked, leaf
from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    SyncDBHandler,
)
from tiny_ca.application.recover import Recovery
from tiny_ca.domain.errors import (
    FileAlreadyExists,
    NotUniqueCertOwner,
    RegistryError,
    ReservationLost,
    StorageError,
)

AT_ONCE = timedelta(0)
NOTHING = Recovery(published=0, abandoned=0, discarded=0)

# A death leaves no time for `except` and `finally`, so it takes a process of its own.
DYING = """
import os, sys
from pathlib import Path
from tests.regression.world import Hook, World, hooked, leaf
from tiny_ca import LocalStorage, SyncDBHandler

folder, port, method, after, operation = sys.argv[1:]
world = World(Path(folder))
hook = Hook(method, after=after == "after")
storage, handler = LocalStorage(world.base), SyncDBHandler(world.url)
if port == "storage":
    storage = hooked(LocalStorage, hook)(world.base)
else:
    handler = hooked(SyncDBHandler, hook)(world.url)
with world.ca(storage=storage, db_handler=handler) as manager:
    hook.action = lambda: os._exit(9)
    if operation == "rotate":
        (old,) = [row.serial_number for row in world.rows() if row.common_name == "a.internal"]
        manager.rotate_certificate(old, leaf())
    elif operation == "overwrite":
        manager.issue_certificate(leaf(), "services", "mine", is_overwrite=True)
    elif operation == "crl":
        manager.generate_crl()
    else:
        manager.issue_certificate(leaf(), "services", "mine")
"""


def die(world: World, port: str, when: str, method: str, operation: str = "issue") -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(world.folder), port, method, when, operation],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 9, done.stderr


def age(world: World, seconds: int = 600) -> None:
    """Make everything staged look older than a process may take."""
    for path in (world.base / ".staging").iterdir():
        before = path.stat().st_mtime - seconds
        os.utime(path, (before, before))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    with world.ca():
        pass
    return world


THREE_FILES = {f"services/mine/a.internal.{kind}" for kind in ("pem", "key", "csr")}


class TestADeathBeforeTheCommit:
    """Nobody has got the certificate, and nobody will."""

    @pytest.fixture(
        params=[
            ("registry", "after", "reserve"),
            ("storage", "before", "stage"),
            ("storage", "after", "stage"),
            ("registry", "before", "commit"),
        ],
        ids="-".join,
    )
    def dead(self, request: pytest.FixtureRequest, world: World) -> World:
        die(world, *request.param)
        return world

    def test_leaves_a_row_that_is_closed_when_it_is_old(self, dead: World) -> None:
        before = dead.files()
        assert dead.statuses("a.internal") == ["pending"]
        (row,) = [row for row in dead.rows() if row.status == "pending"]
        with dead.ca() as manager:
            # It may still be under way, for all that another process can tell.
            staged = dead.staged()
            assert manager.recover() == NOTHING
            assert dead.staged() == staged
            with pytest.raises(NotUniqueCertOwner):
                manager.issue_certificate(leaf())
            assert manager.recover(AT_ONCE) == Recovery(0, 1, len(staged))
            assert manager.recover(AT_ONCE) == NOTHING
            assert dead.statuses("a.internal") == ["abandoned"]
            assert dead.staged() == []
            assert dead.files() == before
            # A signature may exist: the serial number stays revocable, and on the CRL.
            assert manager.revoke_certificate(row.serial_number)
            assert [entry.serial_number for entry in manager.generate_crl()] == [row.serial_number]
            certificate, _, _ = manager.issue_certificate(leaf(), "services", "mine")
            assert certificate.serial_number != row.serial_number
            assert manager.verify_certificate(certificate)
        assert dead.files() == before | THREE_FILES | {"crl.der", "crl.pem"}


def test_a_death_in_a_rotation_leaves_the_old_one_valid(world: World) -> None:
    with world.ca() as manager:
        old, _, _ = manager.issue_certificate(leaf())
    before = world.files()
    die(world, "registry", "before", "commit", "rotate")
    with world.ca() as manager:
        assert manager.verify_certificate(old)
        assert manager.recover(AT_ONCE) == Recovery(0, 1, 1)
        assert manager.verify_certificate(old)
        assert world.files() == before
        manager.rotate_certificate(old.serial_number, leaf())
    assert world.statuses("a.internal") == ["revoked", "abandoned", "valid"]


class TestADeathAfterTheCommit:
    """The certificate is issued: its files appear, however young they are."""

    @pytest.mark.parametrize(
        "step", [("registry", "after", "commit"), ("storage", "before", "publish")], ids="-".join
    )
    def test_the_files_appear(self, world: World, step: tuple[str, str, str]) -> None:
        die(world, *step)
        before = world.files()
        assert world.statuses("a.internal") == ["valid"]
        with world.manager() as manager:
            assert manager.recover() == Recovery(1, 0, 0)
            assert world.files() == before | THREE_FILES
            assert world.staged() == []
            assert manager.recover(AT_ONCE) == NOTHING
            assert world.files() == before | THREE_FILES

    def test_the_first_operation_of_a_new_manager_recovers_by_itself(self, world: World) -> None:
        die(world, "registry", "after", "commit")
        (row,) = [row for row in world.rows() if row.common_name == "a.internal"]
        with world.manager() as manager:
            assert world.staged() == ["mine"]
            assert manager.get_certificate_status(row.serial_number) is CertificateStatus.VALID
            assert world.files() >= THREE_FILES

    def test_a_folder_half_way_through_its_replacement(self, world: World) -> None:
        with world.ca() as manager:
            old, _, _ = manager.issue_certificate(leaf(), "services", "mine")
        before = (world.base / "services/mine/a.internal.key").read_bytes()
        die(world, "registry", "after", "commit", "overwrite")
        # Where `publish` would be between its two renames.
        (world.base / "services/mine").rename(world.base / ".staging/mine:replaced")
        with world.ca() as manager:
            assert world.files() >= THREE_FILES
            assert (world.base / "services/mine/a.internal.key").read_bytes() != before
            assert world.staged() == []
            assert manager.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED
            assert manager.recover(AT_ONCE) == NOTHING


class TestWhatIsStagedWithoutARow:
    def test_is_removed_only_when_it_is_old(self, world: World) -> None:
        orphan = world.base / ".staging" / "orphan"
        orphan.mkdir(parents=True)
        (orphan / "a.key").touch()
        with world.ca() as manager:
            assert manager.recover() == NOTHING
            assert world.staged() == ["orphan"]
            age(world)
            assert manager.recover() == Recovery(0, 0, 1)
            assert manager.recover() == NOTHING
        assert world.staged() == []

    def test_a_crl_that_was_never_swapped_in(self, world: World) -> None:
        die(world, "storage", "after", "stage_crl", "crl")
        assert len(world.staged()) == 1
        with world.ca() as manager:
            assert len(world.staged()) == 1
            age(world)
            assert manager.recover() == Recovery(0, 0, 1)
            assert world.staged() == []
            number = manager.generate_crl().extensions[1].value.crl_number
            # The number that the dead process drew is not used again.
            assert number == 2

    def test_a_pending_row_keeps_its_folder_however_old_it_is(self, world: World) -> None:
        die(world, "storage", "after", "stage")
        age(world)
        with world.ca() as manager:
            assert manager.recover() == NOTHING
            assert world.staged() == ["mine"]


class TestRecoveringWhatIsUnderWay:
    """A limit that is too short costs the issue, and never its consistency."""

    def test_the_issue_notices(self, world: World) -> None:
        hook = Hook("stage", after=True)
        storage = hooked(LocalStorage, hook)(world.base)
        with world.ca(storage=storage) as manager, world.ca() as other:
            before = world.files()
            hook.action = lambda: other.recover(AT_ONCE)
            with pytest.raises(ReservationLost):
                manager.issue_certificate(leaf())
            assert world.files() == before
            assert world.statuses("a.internal") == ["abandoned"]
            manager.recover(AT_ONCE)
            assert world.staged() == []
            assert manager.verify_certificate(manager.issue_certificate(leaf())[0])

    def test_two_that_publish_the_same_files(self, world: World) -> None:
        hook = Hook("publish")
        storage = hooked(LocalStorage, hook)(world.base)
        with world.ca(storage=storage) as manager, world.ca() as other:
            hook.action = lambda: other.recover(AT_ONCE)
            certificate, _, _ = manager.issue_certificate(leaf(), "services", "mine")
            assert manager.verify_certificate(certificate)
        assert world.files() >= THREE_FILES


class TestARecoveryThatFails:
    @pytest.fixture
    def hook(self) -> Hook:
        return Hook("leftovers")

    @pytest.fixture
    def manager(self, world: World, hook: Hook) -> Iterator[CertLifecycleManager]:
        hook.action = fail(StorageError("injected"))
        with world.manager(storage=hooked(LocalStorage, hook)(world.base)) as manager:
            yield manager

    def test_stops_the_first_operation_and_the_next_one_tries_again(
        self, manager: CertLifecycleManager, world: World
    ) -> None:
        die(world, "registry", "after", "commit")
        with pytest.raises(StorageError, match="injected"):
            manager.open_ca()
        assert world.staged() == ["mine"]
        manager.open_ca()
        assert world.files() >= THREE_FILES

    def test_a_broken_database_is_no_reason_to_discard(self, world: World) -> None:
        hook = Hook("page")
        die(world, "registry", "after", "commit")
        with world.manager(db_handler=hooked(SyncDBHandler, hook)(world.url)) as manager:
            hook.action = fail(RegistryError("injected"))
            with pytest.raises(RegistryError, match="injected"):
                manager.recover(AT_ONCE)
            assert world.staged() == ["mine"]


class TestInMemory:
    """The same rules hold for the fakes that embedders test with."""

    def test_forward(self) -> None:
        hook = Hook("publish")
        storage = hooked(MemoryStorage, hook)()
        with CertLifecycleManager(storage, db_handler=MemoryRegistry()) as manager:
            manager.create_self_signed_ca(ROOT_CONFIG)
            hook.action = fail(StorageError("injected"))
            with pytest.raises(StorageError, match="injected"):
                manager.issue_certificate(leaf(), uuid_str="mine")
            assert manager.recover() == Recovery(1, 0, 0)
            assert manager.recover() == NOTHING

    def test_back(self) -> None:
        clock, hook = ManualClock(), Hook("reserve", after=True)
        registry = hooked(MemoryRegistry, hook)()
        with CertLifecycleManager(MemoryStorage(), db_handler=registry, clock=clock) as manager:
            manager.create_self_signed_ca(ROOT_CONFIG)
            hook.action = fail(KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                manager.issue_certificate(leaf())
            clock.advance(timedelta(minutes=4))
            assert manager.recover() == NOTHING
            clock.advance(timedelta(minutes=2))
            assert manager.recover() == Recovery(0, 1, 0)
            assert manager.recover() == NOTHING
            manager.issue_certificate(leaf())


class TestAFolderThatSeveralRowsName:
    """Which row a staged folder belongs to is said by the certificate in it."""

    def test_a_refused_issue_does_not_cost_the_committed_one_its_files(self, world: World) -> None:
        die(world, "registry", "after", "commit")
        storage = LocalStorage(world.base)
        with world.manager(storage=storage) as manager:
            manager.open_ca()
            # As it is when the other process dies while this one has long recovered.
            published = world.base / "services/mine"
            published.rename(world.base / ".staging/mine")
            with pytest.raises(FileAlreadyExists):
                manager.issue_certificate(leaf("other.internal"), "services", "mine")
            assert manager.recover(AT_ONCE).published == 1
        assert world.staged() == []
        assert world.files() >= THREE_FILES

    def test_an_overwrite_that_died_does_not_replace_what_it_would_have(self, world: World) -> None:
        with world.manager() as manager:
            manager.open_ca()
            old, _, _ = manager.issue_certificate(leaf(), "services", "mine")
        die(world, "storage", "after", "stage", "overwrite")
        with world.manager() as manager:
            assert manager.recover(AT_ONCE).discarded == 1
            manager.open_ca()
            assert manager.verify_certificate(old)
        pem = world.base / "services/mine/a.internal.pem"
        assert x509.load_pem_x509_certificate(pem.read_bytes()) == old
