"""Lists, expiry, deleting and revoking many, through both faces and on real databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection, insert

from tests.regression.world import ROOT_CONFIG, Hook, World, fail, hooked, leaf, serials
from tiny_ca import (
    AsyncCertLifecycleManager,
    AsyncDBHandler,
    BulkRevocation,
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    NoStorage,
    StillNeeded,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.db.bulk import overdue_query, revocable_query
from tiny_ca.adapters.outbound.db.schema import certificates, issuers
from tiny_ca.adapters.outbound.db.selection import expiring_query, page_query
from tiny_ca.application.recover import Recovery
from tiny_ca.domain.catalogue import CertificateFilter, RevokedBatch
from tiny_ca.domain.errors import (
    DBNotInitedError,
    InvalidRequest,
    InvalidRevocationReason,
    RegistryError,
    StorageError,
)

DAY = timedelta(days=1)
SUPERSEDED = x509.ReasonFlags.superseded


@pytest.fixture
def ca(clock: ManualClock, db_url: str) -> Iterator[CertLifecycleManager]:
    """On SQLite and PostgreSQL: ten services that end one day after the other, and a device."""
    registry = SyncDBHandler(db_url)
    with CertLifecycleManager(NoStorage(), db_handler=registry, clock=clock) as manager:
        manager.create_self_signed_ca(ROOT_CONFIG)
        manager.issue_many([leaf(f"n{i}.internal", days_valid=i) for i in range(1, 11)])
        manager.issue_certificate(leaf("sensor", serial_type=CertType.DEVICE))
        yield manager


def names(records: list) -> list[str]:
    return [record.common_name.removesuffix(".internal") for record in records]


class TestLists:
    def test_as_tiny_ca_0_2_has_it(self, ca: CertLifecycleManager) -> None:
        assert names(ca.list_certificates(limit=3)) == ["sensor", "n10", "n9"]
        assert names(ca.list_certificates("valid", "SVC", 2, 3)) == ["n7", "n6"]
        for word in ("device", "DEV", CertType.DEVICE):
            assert names(ca.list_certificates(key_type=word)) == ["sensor"]
        assert names(ca.list_certificates(key_type="ca")) == [ROOT_CONFIG.common_name]
        assert ca.list_certificates(limit=0) == []

    def test_past_what_databases_count_to(self, ca: CertLifecycleManager) -> None:
        everything = ca.list_certificates(limit=10**30)
        assert len(everything) == 12
        assert ca.list_certificates(after=10**30, limit=20) == everything
        assert ca.list_certificates(after=-(10**30)) == []
        assert ca.list_certificates(offset=10**30) == []

    def test_text_that_is_none(self, ca: CertLifecycleManager) -> None:
        # What Python makes of an argument that is not UTF-8.
        name = "caf\udce9"
        with pytest.raises(InvalidRequest):
            ca.list_certificates(exact_name=name)
        with pytest.raises(InvalidRequest):
            ca.find_certificate(name)
        with pytest.raises(InvalidRequest):
            ca.revoke_many(issuer_id=name)
        assert len(ca.list_certificates("valid")) == 12

    def test_a_status_is_that_of_now(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        clock.advance(2 * DAY + timedelta(seconds=1))
        for _ in range(2):
            assert names(ca.list_certificates("expired")) == ["n2", "n1"]
            assert len(ca.list_certificates(CertificateStatus.VALID)) == 10
            ca.refresh_expired_statuses()

    def test_page_after_page(self, ca: CertLifecycleManager) -> None:
        pages, after = [], None
        while page := ca.list_certificates(limit=5, after=after):
            pages.append(page)
            after = page[-1]
        assert [len(page) for page in pages] == [5, 5, 2]
        together = [record for page in pages for record in page]
        assert together == ca.list_certificates() == list(ca.iter_certificates())
        assert ca.list_certificates(limit=5, after=pages[0][-1].position) == pages[1]
        assert len(list(ca.iter_certificates("valid", "service"))) == 10

    def test_filters(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        now = clock.now()
        assert names(ca.list_certificates(common_name="n1*")) == ["n10", "n1"]
        ends = {"expires_from": now + 3 * DAY, "expires_before": now + 5 * DAY}
        assert names(ca.list_certificates(**ends)) == ["n4", "n3"]
        clock.advance(DAY)
        ca.issue_certificate(leaf("late"))
        assert names(ca.list_certificates(issued_from=now + DAY)) == ["late"]
        assert len(ca.list_certificates(issued_before=now + DAY)) == 12
        assert len(ca.list_certificates(issuer_id=ca.factory.issuer_id)) == 13
        assert ca.list_certificates(issuer_id="0" * 32) == []

    @pytest.mark.parametrize(
        "question",
        [
            {"status": "good"},
            {"status": CertificateStatus.UNKNOWN},
            {"key_type": "toaster"},
            {"limit": -1},
            {"issued_from": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))},
            {"offset": -1},
            {"issued_from": datetime(2030, 1, 1)},
        ],
    )
    def test_a_question_that_means_nothing(self, question: dict) -> None:
        ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
        with pytest.raises(InvalidRequest):
            ca.list_certificates(**question)

    def test_without_a_registry(self) -> None:
        ca = CertLifecycleManager(NoStorage())
        for call in (
            ca.list_certificates,
            ca.iter_certificates,
            ca.get_expiring_soon,
            ca.refresh_expired_statuses,
            lambda: ca.delete_certificate(1),
            lambda: ca.revoke_many([1]),
        ):
            with pytest.raises(DBNotInitedError):
                call()


class TestExpiry:
    def test_soon(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        assert names(ca.get_expiring_soon(3)) == ["n1", "n2", "n3"]
        first = ca.get_expiring_soon(limit=6)
        assert names(first) == [f"n{i}" for i in range(1, 7)]
        assert names(ca.get_expiring_soon(limit=6, after=first[-1])) == ["n7", "n8", "n9", "n10"]
        clock.advance(DAY + timedelta(seconds=1))
        ca.revoke_certificate(first[2].serial_number)
        assert names(ca.get_expiring_soon(3)) == ["n2", "n4"]
        assert len(ca.get_expiring_soon(10**9)) == 10
        with pytest.raises(InvalidRequest):
            ca.get_expiring_soon(-1)

    def test_refresh(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        assert ca.refresh_expired_statuses() == 0
        clock.advance(5 * DAY + timedelta(seconds=1))
        assert [ca.refresh_expired_statuses() for _ in range(2)] == [5, 0]
        ca.issue_certificate(leaf("n1.internal"))


class TestRevokeMany:
    def test_by_serials(self, ca: CertLifecycleManager) -> None:
        numbers = [record.serial_number for record in ca.list_certificates(key_type="service")]
        ca.revoke_certificate(numbers[0])
        asked = [*numbers[:3], numbers[1], 12345]
        planned = ca.revoke_many(asked, SUPERSEDED, dry_run=True)
        assert planned == BulkRevocation(
            (numbers[2], numbers[1]), (numbers[0],), (12345,), is_dry_run=True
        )
        assert len(ca.list_certificates("revoked")) == 1
        done = ca.revoke_many(asked, SUPERSEDED)
        assert (done.revoked, done.unknown) == (planned.revoked, planned.unknown)
        again = ca.revoke_many(asked, x509.ReasonFlags.key_compromise)
        assert (again.revoked, set(again.already_revoked)) == ((), set(numbers[:3]))
        assert serials(ca.generate_crl()) == set(numbers[:3])

    def test_by_query(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        clock.advance(DAY + timedelta(seconds=1))
        report = ca.revoke_many(common_name="n*.internal", key_type="service")
        # What is over needs none.
        assert len(report.revoked) == 9
        everything = ca.revoke_many(issuer_id=ca.factory.issuer_id)
        assert (len(everything.revoked), len(everything.already_revoked)) == (1, 9)
        assert names(ca.list_certificates("valid")) == [ROOT_CONFIG.common_name]

    def test_a_wildcard_alone(self, ca: CertLifecycleManager) -> None:
        wildcard, _, _ = ca.issue_certificate(leaf("*.internal"))
        assert len(ca.revoke_many(common_name="*.internal", dry_run=True).revoked) > 1
        assert ca.revoke_many(common_name="[*].internal").revoked == (wildcard.serial_number,)

    def test_what_somebody_typed_is_no_pattern(self, ca: CertLifecycleManager) -> None:
        wildcard, _, _ = ca.issue_certificate(leaf("*.internal"))
        typed = "*.internal"
        assert names(ca.list_certificates(exact_name=typed)) == ["*"]
        assert names(ca.iter_certificates(exact_name=typed)) == ["*"]
        assert ca.list_certificates(exact_name="*") == []
        assert ca.revoke_many(exact_name=typed).revoked == (wildcard.serial_number,)
        for call in (ca.list_certificates, ca.revoke_many):
            with pytest.raises(InvalidRequest, match="one of them"):
                call(common_name="n1", exact_name="n1")

    def test_of_nothing_in_particular(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="which"):
            ca.revoke_many()
        with pytest.raises(InvalidRevocationReason):
            ca.revoke_many([1], x509.ReasonFlags.remove_from_crl)
        assert ca.revoke_many([]) == BulkRevocation((), (), (), is_dry_run=False)

    def test_what_failed_half_way_is_gone_on_with(self, world: World) -> None:
        hook = Hook("revoke_many")
        registry = hooked(SyncDBHandler, hook)(world.url)
        fill(registry, 2500)
        asked = list(range(1, 2501))
        with world.manager(storage=NoStorage(), db_handler=registry) as manager:
            hook.action = lambda: setattr(hook, "action", fail(RegistryError("gone")))
            with pytest.raises(RegistryError, match="gone"):
                manager.revoke_many(asked, SUPERSEDED)
            report = manager.revoke_many(asked, SUPERSEDED)
            assert (len(report.already_revoked), len(report.revoked)) == (1000, 1500)

    def test_a_thousand_at_once(self, world: World) -> None:
        batches: list[int] = []

        class Counting(SyncDBHandler):
            def revoke_many(self, *which: Any, **options: Any) -> RevokedBatch:
                batch = super().revoke_many(*which, **options)
                batches.append(len(batch.revoked))
                return batch

        registry = Counting(world.url)
        fill(registry, 5000)
        with world.manager(storage=NoStorage(), db_handler=registry) as manager:
            report = manager.revoke_many(range(1, 5001), SUPERSEDED)
        assert len(report.revoked) == 5000
        # After a full batch one looks whether more has these numbers, under other issuers.
        assert batches == [1000, 0] * 5


def fill(registry: SyncDBHandler, count: int) -> None:
    """Write valid rows past the library, whose certificates nobody looks at."""
    now = datetime.now(UTC).replace(microsecond=0)

    def write(connection: Connection) -> None:
        connection.execute(insert(issuers).values(id="0" * 32))
        rows = [
            {
                "serial_number": str(number),
                "issuer_id": "0" * 32,
                "common_name": f"n{number}.internal",
                "name_claim": f"n{number}.internal",
                "status": "valid",
                "cert_type": "SVC",
                "not_before": now,
                "not_after": now + DAY,
                "created_at": now,
                "certificate_pem": "",
            }
            for number in range(1, count + 1)
        ]
        connection.execute(insert(certificates), rows)

    registry._db.run(write, write=True)


class TestDelete:
    def over(self, world: World, clock: ManualClock) -> int:
        """Issue a certificate into `services/mine`, and let it end."""
        with world.ca(clock=clock) as manager:
            certificate, _, _ = manager.issue_certificate(leaf(days_valid=1), "services", "mine")
        clock.advance(2 * DAY)
        return certificate.serial_number

    def test_its_record_and_its_folder(self, world: World, clock: ManualClock) -> None:
        number = self.over(world, clock)
        with world.ca(clock=clock) as manager:
            assert manager.delete_certificate(number) is True
            assert manager.delete_certificate(number) is False
            assert manager.get_certificate_status(number) is CertificateStatus.UNKNOWN
            assert not [name for name in world.files() if "mine" in name]
            assert world.staged() == []
            manager.issue_certificate(leaf(), "services", "mine")

    def test_a_folder_that_is_anothers_by_now(self, world: World, clock: ManualClock) -> None:
        number = self.over(world, clock)
        with world.ca(clock=clock) as manager:
            manager.issue_certificate(leaf(), "services", "mine", is_overwrite=True)
            before = world.files()
            assert manager.delete_certificate(number)
            assert manager.recover() == Recovery(0, 0, 0, 0)
        assert world.files() == before

    def test_a_row_of_0_1_does_not_say_where(self, world: World, clock: ManualClock) -> None:
        numbers = [self.over(world, clock)]
        with world.ca(clock=clock) as manager:
            certificate, _, _ = manager.issue_certificate(leaf("b", days_valid=1), "x/y", "other")
            numbers.append(certificate.serial_number)
            clock.advance(2 * DAY)
            with manager._handler._db.session() as session:
                session.execute(certificates.update().values(cert_path=None, file_name=None))
                session.commit()
            assert manager.delete_certificate(numbers[0])
            assert manager.delete_certificate(numbers[1], cert_path="x/y")
        assert not [name for name in world.files() if "mine" in name or "other" in name]

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("method", ["delete", "forget"])
    def test_what_fails_is_finished_by_recover(
        self, world: World, clock: ManualClock, method: str, when: str
    ) -> None:
        number = self.over(world, clock)
        hook = Hook(method, after=when == "after", action=fail(RegistryError("gone")))
        handler = hooked(SyncDBHandler, hook)(world.url)
        with world.ca(clock=clock, db_handler=handler) as manager:
            with pytest.raises(RegistryError, match="gone"):
                manager.delete_certificate(number)
        is_deleted = (method, when) != ("delete", "before")
        with world.ca(clock=clock) as manager:
            status = manager.get_certificate_status(number)
            assert (status is CertificateStatus.UNKNOWN) is is_deleted
            assert bool([name for name in world.files() if "mine" in name]) is not is_deleted
            assert manager.recover() == Recovery(0, 0, 0, 0)

    def test_a_folder_that_can_not_be_removed(self, world: World, clock: ManualClock) -> None:
        number = self.over(world, clock)
        hook = Hook("delete", action=fail(StorageError("full")))
        with world.ca(clock=clock, storage=hooked(LocalStorage, hook)(world.base)) as manager:
            with pytest.raises(StorageError, match="full"):
                manager.delete_certificate(number)
            assert [name for name in world.files() if "mine" in name]
            assert manager.recover() == Recovery(0, 0, 0, 1)
            assert not [name for name in world.files() if "mine" in name]

    def test_a_ca(self, world: World, clock: ManualClock) -> None:
        number = self.over(world, clock)
        with world.ca(clock=clock) as manager:
            root = manager.factory.certificate.serial_number
            with pytest.raises(StillNeeded, match="valid"):
                manager.delete_certificate(root)
            clock.advance(4000 * DAY)
            with pytest.raises(StillNeeded, match="CA's"):
                manager.delete_certificate(root)
            assert manager.delete_certificate(number)
            assert manager.delete_certificate(root)
        assert world.files() == set()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_async_face(world: World) -> None:
    handler = AsyncDBHandler(f"sqlite+aiosqlite:///{world.database}")
    async with AsyncCertLifecycleManager(MemoryStorage(), db_handler=handler) as ca:
        await ca.create_self_signed_ca(ROOT_CONFIG)
        await ca.issue_many([leaf(f"n{i}") for i in range(3)])
        listed = await ca.list_certificates("valid", limit=2)
        assert [record.common_name for record in listed] == ["n2", "n1"]
        found = [record.common_name async for record in ca.iter_certificates(key_type="service")]
        assert found == ["n2", "n1", "n0"]
        assert (await ca.get_expiring_soon(400))[0].common_name == "n0"
        assert await ca.refresh_expired_statuses() == 0
        report = await ca.revoke_many(common_name="n*")
        assert len(report.revoked) == 3
        with pytest.raises(StillNeeded):
            await ca.delete_certificate(report.revoked[0])
        assert len(await handler.list_all("revoked", "service", 2, 1)) == 2
        assert await handler.get_expiring(30) == []
        assert await handler.update_status_expired() == 0
        assert await handler.delete_by_uuid("none") is False


def test_the_handlers_names_of_0_2(db_url: str) -> None:
    handler = SyncDBHandler(db_url)
    clock = ManualClock(datetime.now(UTC) - 10 * DAY)
    ca = CertLifecycleManager(NoStorage(), db_handler=handler, clock=clock)
    ca.create_self_signed_ca(ROOT_CONFIG)
    ca.issue_certificate(leaf("over", days_valid=5), uuid_str="mine")
    ca.issue_certificate(leaf("soon", days_valid=20), uuid_str="other")
    assert names(handler.get_expiring()) == ["soon"]
    assert names(handler.list_all("expired")) == ["over"]
    assert handler.update_status_expired() == 1
    assert names(handler.list_all(key_type="service", limit=1, offset=1)) == ["over"]
    with pytest.raises(StillNeeded):
        handler.delete_by_uuid("other")
    assert handler.delete_by_uuid("mine") is True
    assert handler.delete_by_uuid("mine") is False
    handler.close()


NOW = datetime(2030, 1, 1, tzinfo=UTC)
ISSUER = {"issuer_id": "0" * 32}
VALID, EXPIRED = CertificateStatus.VALID, CertificateStatus.EXPIRED
PAGES = {
    "the next": ({}, "INTEGER PRIMARY KEY (rowid<?)"),
    "valid": ({"status": VALID}, "ix_certificates_valid (id<?)"),
    "revoked": ({"status": CertificateStatus.REVOKED}, "not_valid (status=? AND id<?)"),
    "expired": ({"status": EXPIRED}, "ix_certificates_valid_until (not_after<?)"),
    "of an issuer": (ISSUER, "issuer_id_id (issuer_id=? AND id<?)"),
    "valid, of an issuer": ({**ISSUER, "status": VALID}, "issuer_id_id (issuer_id=? AND id<?)"),
    "of a type": (
        {"cert_types": frozenset({CertType.DEVICE})},
        "cert_type_id (cert_type=? AND id<?)",
    ),
    "of a name": ({"common_name": "a"}, "common_name_id (common_name=? AND id<?)"),
    "of names": ({"common_name": "a*"}, "common_name_id (common_name>? AND common_name<?)"),
    "issued": (
        {"issued_from": NOW, "issued_before": NOW + DAY},
        "created_at_id (created_at>? AND created_at<?)",
    ),
    "ending, valid": (
        {"status": VALID, "expires_from": NOW, "expires_before": NOW + DAY},
        "ix_certificates_valid_until (not_after>? AND not_after<?)",
    ),
    "of a folder": ({"uuid": "u"}, "ix_certificates_uuid (uuid=?"),
    "of serial numbers": ({"serial_numbers": (1, 2)}, "(serial_number=?"),
}


class TestPlans:
    """SQLite finds what is asked for by an index, and never looks at every row."""

    @pytest.fixture
    def handler(self, world: World) -> Iterator[SyncDBHandler]:
        made = SyncDBHandler(world.url)
        fill(made, 2000)
        yield made
        made.close()

    def plan(self, handler: SyncDBHandler, query: object) -> list[str]:
        compiled = query.compile(handler._db.engine, compile_kwargs={"literal_binds": True})
        explain = f"EXPLAIN QUERY PLAN {compiled}"
        rows = handler._db.run(lambda connection: connection.exec_driver_sql(explain).all())
        return [row[3] for row in rows]

    @pytest.mark.parametrize("which", PAGES)
    def test_a_page(self, handler: SyncDBHandler, which: str) -> None:
        fields, expected = PAGES[which]
        query = page_query(CertificateFilter(**fields), NOW, 100, 1000, 0, "sqlite")
        plan = self.plan(handler, query)
        assert any(expected in step for step in plan), plan
        assert not [step for step in plan if step.startswith("SCAN certificates")]

    def test_what_ends(self, handler: SyncDBHandler) -> None:
        queries = [
            expiring_query(NOW, NOW + DAY, 100, None),
            expiring_query(NOW, NOW + DAY, 100, (NOW, 5)),
            overdue_query(NOW, 100),
        ]
        for query in queries:
            [step] = self.plan(handler, query)
            assert "ix_certificates_valid_until (not_after" in step

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"serial_numbers": (1, 2)}, "(serial_number=?"),
            (ISSUER, "issuer_id_id (issuer_id=? AND id>? AND id<?)"),
            ({"common_name": "a*"}, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ],
    )
    def test_what_is_revoked(self, handler: SyncDBHandler, fields: dict, expected: str) -> None:
        query = revocable_query(CertificateFilter(**fields), NOW, 100, 5, "sqlite")
        assert expected in self.plan(handler, query)[0]
