"""tiny_ca 0.1.1 asked too late, or not at all, whether a common name was free."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import event

from tests.regression.world import ROOT_CONFIG, World, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.errors import FileAlreadyExists, NotUniqueCertOwner
from tiny_ca.domain.keys import KeySpec


class CountingCrypto(CryptographyBackend):
    def __init__(self) -> None:
        self.keys_made = 0

    def generate_private_key(self, spec: KeySpec) -> Any:
        self.keys_made += 1
        return super().generate_private_key(spec)


class TestATakenName:
    """It was refused only when a key had been made, and three files were left."""

    def test_costs_no_key_and_leaves_no_file(self, world: World) -> None:
        crypto = CountingCrypto()
        with world.ca(crypto=crypto) as manager:
            manager.issue_certificate(leaf())
            made, before, rows = crypto.keys_made, world.tree(), world.rows()
            with pytest.raises(NotUniqueCertOwner) as caught:
                manager.issue_certificate(leaf())
            assert caught.value.common_name == "a.internal"
            assert crypto.keys_made == made == 2
            assert world.tree() == before
            assert world.rows() == rows

    def test_of_a_root_costs_no_key_either(self, world: World) -> None:
        crypto = CountingCrypto()
        with world.ca(crypto=crypto) as manager:
            before = world.tree()
            with pytest.raises(NotUniqueCertOwner):
                manager.create_self_signed_ca(ROOT_CONFIG)
            assert crypto.keys_made == 1
            assert world.tree() == before

    def test_nor_does_a_taken_folder(self, world: World) -> None:
        crypto = CountingCrypto()
        with world.ca(crypto=crypto) as manager:
            manager.issue_certificate(leaf(), uuid_str="mine")
            before = world.tree()
            with pytest.raises(FileAlreadyExists):
                manager.issue_certificate(leaf("b.internal"), uuid_str="mine")
            assert crypto.keys_made == 2
            assert world.tree() == before
            assert world.statuses("b.internal") == []


@pytest.mark.anyio
async def test_eight_tasks_registered_seven_certificates_for_one_name(world: World) -> None:
    outcomes: list[str] = []
    async with AsyncCertLifecycleManager(
        LocalStorage(world.base),
        db_handler=SyncDBHandler(world.url),
        limiter=anyio.CapacityLimiter(8),
    ) as manager:
        await manager.create_self_signed_ca(ROOT_CONFIG)

        async def issue() -> None:
            try:
                await manager.issue_certificate(leaf("wanted.internal"))
            except NotUniqueCertOwner:
                outcomes.append("refused")
            else:
                outcomes.append("issued")

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(issue)
    assert sorted(outcomes) == ["issued", *["refused"] * 7]
    assert world.statuses("wanted.internal") == ["valid"]
    # 0.1.1 raised MultipleResultsFound from then on.
    with closing(SyncDBHandler(world.url)) as handler:
        record = handler.get_by_name("wanted.internal")
    assert record is not None
    assert record.status is CertificateStatus.VALID


def test_an_expired_certificate_blocked_its_name_for_ever(world: World) -> None:
    clock = ManualClock()
    with world.ca(clock=clock) as manager:
        first, _, _ = manager.issue_certificate(leaf(days_valid=30))
        clock.advance(timedelta(days=29))
        with pytest.raises(NotUniqueCertOwner):
            manager.issue_certificate(leaf())
        clock.advance(timedelta(days=2))
        second, _, _ = manager.issue_certificate(leaf())
        assert manager.get_certificate_status(first.serial_number) is CertificateStatus.EXPIRED
        assert manager.verify_certificate(second)


def test_looking_up_a_name_scanned_the_table(manager: CertLifecycleManager, world: World) -> None:
    """641 ms at a million rows; the plan of the very statement says what a timing would not."""
    run: list[str] = []
    manager.issue_certificate(leaf())
    with closing(SyncDBHandler(world.url)) as handler:
        handler.close()
        event.listen(
            handler._db.engine, "connect", lambda driver, _: driver.set_trace_callback(run.append)
        )
        assert handler.get_by_name("a.internal") is not None
    [statement] = (one for one in run if one.startswith("SELECT"))
    with closing(sqlite3.connect(world.database)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    details = [row[-1] for row in plan]
    assert details
    assert all(detail.startswith("SEARCH") and "USING INDEX" in detail for detail in details), plan
