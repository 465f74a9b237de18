"""What tiny_ca 0.2 got wrong about lists and deleting."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.regression.world import PROJECT, ROOT_CONFIG, World, leaf, serials
from tiny_ca import CertificateStatus, CertLifecycleManager, ManualClock, StillNeeded
from tiny_ca.domain.errors import RegistryError

AFTER_ITS_END = timedelta(days=400)

DYING = """
import os, sys
from pathlib import Path
from datetime import datetime
from tests.regression.world import Hook, World, hooked
from tiny_ca import LocalStorage, ManualClock, SyncDBHandler

folder, now, number, port, method, when = sys.argv[1:]
world = World(Path(folder))
hook = Hook(method, after=when == "after")
storage = hooked(LocalStorage, hook) if port == "storage" else LocalStorage
handler = hooked(SyncDBHandler, hook) if port == "registry" else SyncDBHandler
clock = ManualClock(datetime.fromisoformat(now))
with world.ca(storage=storage(world.base), db_handler=handler(world.url), clock=clock) as manager:
    hook.action = lambda: os._exit(9)
    manager.delete_certificate(int(number))
"""


def test_deleting_dropped_a_revoked_certificate_from_the_crl(world: World) -> None:
    clock = ManualClock()
    with world.ca(clock=clock) as manager:
        certificate, _, _ = manager.issue_certificate(leaf(days_valid=10))
        number = certificate.serial_number
        manager.revoke_certificate(number)
        files = world.files()
        for days in (0, 9, 2):
            clock.advance(timedelta(days=days))
            with pytest.raises(StillNeeded) as caught:
                manager.delete_certificate(number)
            assert caught.value.until == certificate.not_valid_after_utc
            assert world.files() - {"crl.der", "crl.pem"} == files
        assert serials(manager.generate_crl()) == {number}
        assert manager.delete_certificate(number)
        assert serials(manager.generate_crl()) == set()


def test_deleting_forgot_valid_certificates(manager: CertLifecycleManager) -> None:
    certificate, _, _ = manager.issue_certificate(leaf())
    with pytest.raises(StillNeeded, match="valid"):
        manager.delete_certificate(certificate.serial_number)
    assert manager.verify_certificate(certificate)


@pytest.mark.parametrize("how", ["superseded", "deleted"])
def test_files_that_took_the_place_of_others_went_with_those(world: World, how: str) -> None:
    """`is_overwrite` may put another certificate into the folder of one that is still valid."""
    clock = ManualClock()
    with world.ca(clock=clock) as manager:
        first, _, _ = manager.issue_certificate(leaf("first", days_valid=1), uuid_str="place")
        manager.issue_certificate(leaf("second"), uuid_str="place", is_overwrite=True)
        if how == "superseded":
            manager.issue_certificate(leaf("first"), is_overwrite=True)
        else:
            clock.advance(timedelta(days=2))
            assert manager.delete_certificate(first.serial_number)
        assert {"place/second.pem", "place/second.key"} <= world.files()
        assert manager.examine().findings == ()


def test_an_expired_certificate_was_listed_as_valid_until_it_was_marked(world: World) -> None:
    clock = ManualClock()
    with world.ca(clock=clock) as manager:
        manager.issue_certificate(leaf(days_valid=1))
        clock.advance(timedelta(days=2))
        assert [one.common_name for one in manager.list_certificates("expired")] == ["a.internal"]
        assert [one.common_name for one in manager.list_certificates("valid")] == ["Test Root"]


def test_a_failing_database_was_an_empty_list(manager: CertLifecycleManager) -> None:
    with manager._handler._db.session() as session:
        session.execute(text("ALTER TABLE certificates RENAME TO lost"))
        session.commit()
    for call in (
        manager.list_certificates,
        manager.get_expiring_soon,
        manager.refresh_expired_statuses,
        lambda: manager.delete_certificate(1),
    ):
        with pytest.raises(RegistryError):
            call()


@pytest.mark.parametrize(
    ("port", "method", "when"),
    [
        ("registry", "delete", "before"),
        ("registry", "delete", "after"),
        ("storage", "delete", "after"),
        ("registry", "forget", "after"),
    ],
)
def test_a_death_left_a_folder_without_a_row(
    world: World, port: str, method: str, when: str
) -> None:
    with world.ca() as manager:
        certificate, _, _ = manager.issue_certificate(leaf(), "services", "mine")
        number = certificate.serial_number
    files = world.files()
    clock = ManualClock(datetime.now(UTC) + AFTER_ITS_END)
    arguments = (str(world.folder), clock.now().isoformat(), str(number), port, method, when)
    done = subprocess.run(
        [sys.executable, "-c", DYING, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    is_deleted = (method, when) != ("delete", "before")
    with world.ca(clock=clock) as manager:
        status = manager.get_certificate_status(number)
        assert status is (CertificateStatus.UNKNOWN if is_deleted else CertificateStatus.EXPIRED)
        kept = {name for name in files if "mine" not in name}
        assert world.files() == (kept if is_deleted else files)
        assert not any(manager.recover())
    assert ROOT_CONFIG.common_name in {row.common_name for row in world.rows()}
    assert world.staged() == []
