"""A backup is that of one moment, and whole, though others go on issuing."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.integration.backups import (
    check_restored,
    elsewhere,
    restored,
)
from tests.regression.world import (
    PROJECT,
    ROOT_CONFIG,
    Hook,
    World,
    fail,
    hooked,
    leaf,
)
from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    StorageError,
)
from tiny_ca.domain.revocation import CRLReason


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


class Busy:
    """Threads that do the same again and again until the end."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._runs: list[Future[None]] = []

    def keep(self, work: Callable[[int], object]) -> None:
        def run() -> None:
            for number in count():
                if self._is_over.is_set():
                    return
                work(number)

        self._runs.append(self._pool.submit(run))

    def end(self) -> None:
        self._is_over.set()
        self._pool.shutdown()
        for run in self._runs:
            run.result()


class TestWhileOthersIssue:
    def test_in_threads(self, world: World, archive: Path, tmp_path: Path) -> None:
        """New ones, rotated ones, and overwritten ones, into the same folder and another."""
        busy = Busy()
        with world.ca() as ca:
            serial = [ca.issue_certificate(leaf("rotated"))[0].serial_number]
            ca.issue_certificate(leaf("here"), "x", "here")
            ca.issue_certificate(leaf("there"), "x")

            def rotate(_: int) -> None:
                serial[0] = ca.rotate_certificate(serial[0], leaf("rotated"))[0].serial_number

            busy.keep(lambda n: ca.issue_certificate(leaf(f"n{n}"), "new"))
            busy.keep(rotate)
            busy.keep(lambda _: ca.issue_certificate(leaf("here"), "x", "here", is_overwrite=True))
            busy.keep(lambda _: ca.issue_certificate(leaf("there"), "x", is_overwrite=True))
            manifests = [ca.backup(archive.with_suffix(f".{n}")) for n in range(6)]
            busy.end()
        assert manifests[-1].certificates > manifests[0].certificates
        for n, manifest in enumerate(manifests):
            folder = tmp_path / f"restored-{n}"
            restored(archive.with_suffix(f".{n}"), folder).close()
            assert len(World(folder).rows()) == manifest.certificates
            names = check_restored(folder)
            assert "rotated" in names
            assert manifest.without_files == 0

    def test_by_another_process(self, world: World, db_url: str, tmp_path: Path) -> None:
        """On both databases: the other one neither waits nor is seen by halves."""
        with CertLifecycleManager(LocalStorage(world.base), db_handler=SyncDBHandler(db_url)) as ca:
            ca.create_self_signed_ca(ROOT_CONFIG)
            with _other_process(world.base, db_url) as issued:
                issued()
                before = ca.backup(tmp_path / "1.tar").certificates
                while issued() < before + 5:
                    pass
                after = ca.backup(tmp_path / "2.tar").certificates
            assert after >= before + 4
        for n, known in ((1, before), (2, after)):
            folder = tmp_path / f"restored-{n}"
            restored(tmp_path / f"{n}.tar", folder).close()
            rows = World(folder).rows()
            assert len(rows) == known
            check_restored(folder)

    def test_files_that_are_staged_still(self, world: World, archive: Path) -> None:
        """A valid row has its files in the backup, wherever they are at that moment."""
        hook = Hook("publish")
        storage = hooked(LocalStorage, hook)(world.base)
        with world.ca(storage=storage) as ca:
            hook.action = fail(StorageError("injected"))
            with pytest.raises(StorageError, match="injected"):
                ca.issue_certificate(leaf("late"), "x")
            assert len(world.staged()) == 1
            assert ca.backup(archive).without_files == 0
        folder = world.folder / "new"
        restored(archive, folder).close()
        assert check_restored(folder) == {"Test Root", "late"}

    @pytest.mark.parametrize("uuid", [None, "same"])
    def test_files_that_are_gone_when_their_turn_comes(
        self, world: World, archive: Path, uuid: str | None
    ) -> None:
        """Overwritten just after the snapshot: the old key is nowhere, so it is revoked."""
        hook = Hook("export_rows", after=True)
        with world.ca(db_handler=hooked(SyncDBHandler, hook)(world.url)) as ca:
            old, _, _ = ca.issue_certificate(leaf("a"), "x", uuid)
            hook.action = lambda: ca.issue_certificate(leaf("a"), "x", uuid, is_overwrite=True)
            assert ca.backup(archive).without_files == 0
        with world.manager(**elsewhere(world)) as new:
            report = new.restore(archive)
            new.open_ca()
            [again] = report.revoked_again
            assert (again.serial_number, again.reason) == (old.serial_number, CRLReason.SUPERSEDED)
            assert new.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED
            new.issue_certificate(leaf("a"))


OTHER = """
import sys
from tiny_ca import CertLifecycleManager, ClientConfig, LocalStorage, SyncDBHandler
ca = CertLifecycleManager(LocalStorage(sys.argv[1]), db_handler=SyncDBHandler(sys.argv[2]))
ca.open_ca()
for n in range(100_000):
    ca.issue_certificate(ClientConfig(common_name=f"n{n}", key_algorithm="p-256"), "other")
    print(n + 1, flush=True)
"""


@contextmanager
def _other_process(base: Path, url: str) -> Iterator[Callable[[], int]]:
    command = [sys.executable, "-c", OTHER, base, url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    try:
        yield lambda: int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()
