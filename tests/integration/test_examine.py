"""Registry against files against CRLs: all that is wrong is found, and little is repaired."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding

from tests.integration.test_tls_values import issue
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    Examination,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    Problem,
    PublicationURLs,
    SyncDBHandler,
)
from tiny_ca.domain.crl import CRLScope, Shard

URLS = PublicationURLs(
    crl=("http://pki.example/crl-{shard}.crl",),
    delta=("http://pki.example/crl-{shard}-delta.crl",),
    crl_shards=2,
)


class World:
    def __init__(self, folder: Path) -> None:
        self.base = folder / "pki"
        self.db = folder / "registry.db"
        self.clock = ManualClock()

    def manager(self, **settings: object) -> CertLifecycleManager:
        return CertLifecycleManager(
            settings.pop("storage", LocalStorage(self.base)),
            db_handler=SyncDBHandler(f"sqlite:///{self.db}"),
            clock=self.clock,
            **settings,
        )

    def sql(self, statement: str) -> None:
        with sqlite3.connect(self.db) as connection:
            connection.execute(statement)
        connection.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ca(world: World) -> Iterator[CertLifecycleManager]:
    with world.manager() as made:
        made.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        yield made


def problems(examination: Examination) -> list[tuple[Problem, bool]]:
    return [(one.problem, one.is_repaired) for one in examination.findings]


def found(ca: CertLifecycleManager, *expected: Problem, repaired: bool) -> Examination:
    """Check that it is found, by looking alone, and what comes of repairing it."""
    looked = ca.examine()
    assert problems(looked) == [(problem, False) for problem in expected]
    assert not looked.is_sound
    assert problems(ca.examine()) == problems(looked)
    fixed = ca.examine(fix=True)
    assert problems(fixed) == [(problem, repaired) for problem in expected]
    assert fixed.is_sound is repaired
    again = [] if repaired else problems(looked)
    assert problems(ca.examine()) == again
    return fixed


class TestSound:
    def test_nothing_is_wrong(self, ca: CertLifecycleManager, world: World) -> None:
        first = issue(ca, "a.example")
        issue(ca, "b.example", cert_path="web", uuid_str="b")
        ca.sign_csr(first.paths[".csr"].read_bytes(), common_name="c.example")
        ca.revoke_certificate(first.serial_number)
        ca.publish_crl()
        before = {path: path.read_bytes() for path in world.base.rglob("*") if path.is_file()}
        for fix in (False, True):
            examination = ca.examine(fix=fix)
            assert examination == Examination((), certificates=3, files=4, crls=1)
            assert examination.is_sound
        after = {path: path.read_bytes() for path in world.base.rglob("*") if path.is_file()}
        assert after == before

    def test_files_of_what_is_no_longer_valid_may_go(self, ca: CertLifecycleManager) -> None:
        first = issue(ca, "a.example")
        ca.revoke_certificate(first.serial_number)
        for path in first.paths.values():
            path.unlink()
        issue(ca, "b.example", days_valid=1).paths[".pem"].unlink()
        ca._services.clock.advance(timedelta(days=2))
        assert ca.examine().findings == ()

    def test_live_files_beside(self, ca: CertLifecycleManager, world: World) -> None:
        issue(ca, "a.example").write_live(world.base)
        assert ca.examine().findings == ()

    def test_the_archive_of_what_was_deleted(self, ca: CertLifecycleManager, world: World) -> None:
        issued = issue(ca, "a.example", days_valid=1)
        issued.write_live(world.base)
        world.clock.advance(timedelta(days=2))
        ca.refresh_expired_statuses()
        assert ca.delete_certificate(issued.serial_number)
        assert ca.examine().findings == ()

    def test_what_waits_to_be_published_is_not_missing(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        issued = issue(ca, "a.example", uuid_str="a")
        (world.base / ".staging").mkdir(exist_ok=True)
        (world.base / "a").rename(world.base / ".staging/a")
        assert ca.examine(fix=True).findings == ()
        ca.recover()
        assert issued.paths[".key"].exists()

    def test_in_memory_files_are_not_looked_at(self) -> None:
        with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as ca:
            ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
            ca.publish_crl()
            examination = ca.examine()
        assert examination.is_sound
        assert (examination.certificates, examination.crls) == (1, 1)
        assert "MemoryStorage" in (examination.unexamined or "")

    @pytest.mark.anyio
    async def test_async(self, ca: CertLifecycleManager) -> None:
        assert (await AsyncCertLifecycleManager.wrapping(ca).examine()).is_sound


class TestFiles:
    def test_a_certificate_is_missing(self, ca: CertLifecycleManager) -> None:
        issued = issue(ca, "a.example")
        issued.paths[".pem"].unlink()
        fixed = found(ca, Problem.FILES_MISSING, repaired=True)
        assert fixed.findings[0].serial_number == issued.serial_number
        assert "'a.example' has no file" in fixed.findings[0].text
        assert issued.paths[".pem"].read_bytes() == issued.cert_pem.bytes()
        assert ca.get_issued(issued.serial_number).private_key_pem == issued.private_key_pem

    def test_a_whole_folder_is_missing(self, ca: CertLifecycleManager) -> None:
        issued = issue(ca, "a.example", cert_path="deep/down")
        for path in issued.paths.values():
            path.unlink()
        issued.paths[".pem"].parent.rmdir()
        found(ca, Problem.FILES_MISSING, repaired=True)
        assert [path.name for path in issued.paths[".pem"].parent.iterdir()] == ["a.example.pem"]

    def test_a_damaged_one_is_left_alone(self, ca: CertLifecycleManager) -> None:
        path = issue(ca, "a.example").paths[".pem"]
        path.write_text("damaged")
        found(ca, Problem.FILES_UNREADABLE, repaired=False)
        assert path.read_text() == "damaged"

    def test_under_another_passphrase(self, world: World) -> None:
        encryption = BestAvailableEncryption(b"right")
        storage = LocalStorage(world.base, base_encryption_algorithm=encryption)
        with world.manager(storage=storage) as ca:
            ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
            assert ca.examine().is_sound
        with world.manager() as ca:
            found(ca, Problem.FILES_UNREADABLE, repaired=False)

    def test_another_certificate_is_in_its_place(self, ca: CertLifecycleManager) -> None:
        first, second = issue(ca, "a.example"), issue(ca, "b.example")
        second.cert_pem.write_to_path(first.paths[".pem"])
        found(ca, Problem.OTHER_CERTIFICATE, repaired=False)

    def test_another_key_is_in_its_place(self, ca: CertLifecycleManager) -> None:
        first, second = issue(ca, "a.example"), issue(ca, "b.example")
        second.private_key_pem.write_to_path(first.paths[".key"])
        found(ca, Problem.WRONG_KEY, repaired=False)
        assert first.paths[".key"].read_bytes() == second.private_key_pem.bytes()

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
    def test_others_may_read_a_key(self, ca: CertLifecycleManager, mode: int) -> None:
        key = issue(ca, "a.example").paths[".key"]
        key.chmod(mode)
        found(ca, Problem.EXPOSED_KEY, repaired=True)
        assert key.stat().st_mode & 0o777 == 0o600

    def test_others_may_read_a_live_key(self, ca: CertLifecycleManager, world: World) -> None:
        key = issue(ca, "a.example").write_live(world.base) / "privkey.pem"
        key.chmod(0o640)
        found(ca, Problem.EXPOSED_KEY, repaired=True)
        assert key.stat().st_mode & 0o777 == 0o600

    def test_a_certificate_that_nobody_recorded(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        assert ca.factory is not None
        apart = CertLifecycleManager(LocalStorage(world.base), ca.factory, clock=world.clock)
        unknown = issue(apart, "shadow.example")
        fixed = found(ca, Problem.UNKNOWN_CERTIFICATE, repaired=False)
        assert fixed.findings[0].serial_number == unknown.serial_number
        assert fixed.findings[0].where == str(unknown.paths[".pem"])

    def test_a_row_without_a_certificate(self, ca: CertLifecycleManager, world: World) -> None:
        issued = issue(ca, "a.example")
        for path in issued.paths.values():
            path.unlink()
        world.sql("UPDATE certificates SET certificate_pem = NULL WHERE common_name = 'a.example'")
        found(ca, Problem.ROW_WITHOUT_CERTIFICATE, repaired=False)

    def test_what_can_not_be_repaired_says_why(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        issued = issue(ca, "a.example", cert_path="web")
        for path in issued.paths.values():
            path.unlink()
        folder = issued.paths[".pem"].parent
        folder.rmdir()
        folder.write_text("in the way")
        [finding] = ca.examine(fix=True).findings
        assert not finding.is_repaired
        assert "Not repaired:" in finding.text
        assert folder.read_text() == "in the way"


class TestCRLs:
    def files(self, world: World, name: str = "crl") -> tuple[Path, Path]:
        return world.base / f"{name}.der", world.base / f"{name}.pem"

    def publish(self, ca: CertLifecycleManager, name: str) -> int:
        issued = issue(ca, name)
        ca.revoke_certificate(issued.serial_number)
        ca.generate_crl(days_valid=3)
        return issued.serial_number

    def serials(self, world: World) -> set[int]:
        der, pem = (path.read_bytes() for path in self.files(world))
        crl = x509.load_der_x509_crl(der)
        assert x509.load_pem_x509_crl(pem) == crl
        return {entry.serial_number for entry in crl}

    def test_one_that_was_never_published_is_nobodys_loss(self, ca: CertLifecycleManager) -> None:
        ca.revoke_certificate(issue(ca, "a.example").serial_number)
        assert ca.examine() == Examination((), certificates=1, files=2, crls=0)

    def test_unless_certificates_say_where_it_is(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        urls = PublicationURLs(crl=("http://pki.example/crl.crl",))
        with world.manager(urls=urls) as told:
            told.open_ca()
            found(told, Problem.CRL_MISSING, Problem.CRL_MISSING, repaired=True)

    def test_both_files_are_gone(self, ca: CertLifecycleManager, world: World) -> None:
        revoked = self.publish(ca, "a.example")
        for path in self.files(world):
            path.unlink()
        found(ca, Problem.CRL_MISSING, Problem.CRL_MISSING, repaired=True)
        assert self.serials(world) == {revoked}
        assert ca.crl_stamps()["crl"].number == 2

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize("damage", ["removed", "truncated", "a bit"])
    def test_one_file_is_gone_or_damaged(
        self, ca: CertLifecycleManager, world: World, which: int, damage: str
    ) -> None:
        revoked = self.publish(ca, "a.example")
        path = self.files(world)[which]
        data = path.read_bytes()
        if damage == "removed":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(data[: len(data) // 2])
        else:
            changed = bytearray(
                x509.load_pem_x509_crl(data).public_bytes(Encoding.DER) if which else data
            )
            changed[-3] ^= 1
            path.write_bytes(bytes(changed))
        problem = Problem.CRL_MISSING if damage == "removed" else Problem.CRL_DAMAGED
        found(ca, problem, repaired=True)
        assert self.serials(world) == {revoked}

    def test_both_are_damaged(self, ca: CertLifecycleManager, world: World) -> None:
        self.publish(ca, "a.example")
        for path in self.files(world):
            path.write_text("damaged")
        found(ca, Problem.CRL_DAMAGED, Problem.CRL_DAMAGED, repaired=False)
        assert [path.read_text() for path in self.files(world)] == ["damaged"] * 2

    def test_older_ones(self, ca: CertLifecycleManager, world: World) -> None:
        first = self.publish(ca, "a.example")
        older = [path.read_bytes() for path in self.files(world)]
        second = self.publish(ca, "b.example")
        for path, data in zip(self.files(world), older, strict=True):
            path.write_bytes(data)
        found(ca, Problem.CRL_OLDER, Problem.CRL_OLDER, repaired=True)
        assert self.serials(world) == {first, second}

    @pytest.mark.parametrize("number", [0, 1])
    def test_newer_ones_than_the_registrys(
        self, ca: CertLifecycleManager, world: World, number: int
    ) -> None:
        for name in ("a.example", "b.example"):
            self.publish(ca, name)
        world.sql(f"UPDATE published_crls SET number = {number}")
        found(ca, Problem.CRL_NEWER, Problem.CRL_NEWER, repaired=False)

    def test_one_that_is_over(self, ca: CertLifecycleManager, world: World) -> None:
        revoked = self.publish(ca, "a.example")
        world.clock.advance(timedelta(days=3, seconds=1))
        found(ca, Problem.CRL_EXPIRED, Problem.CRL_EXPIRED, repaired=True)
        assert self.serials(world) == {revoked}
        stamp = ca.crl_stamps()["crl"]
        assert stamp.next_update - stamp.this_update == timedelta(days=3)

    def test_another_cas(self, ca: CertLifecycleManager, world: World, tmp_path: Path) -> None:
        self.publish(ca, "a.example")
        other = World(tmp_path / "other")
        other.base.parent.mkdir()
        with other.manager() as made:
            made.create_self_signed_ca(CAConfig(common_name="Other", key_algorithm="p-256"))
            made.publish_crl()
        for path, theirs in zip(self.files(world), self.files(other), strict=True):
            path.write_bytes(theirs.read_bytes())
        found(ca, Problem.CRL_FOREIGN, Problem.CRL_FOREIGN, repaired=True)

    def test_one_signed_by_a_namesakes_key(self, ca: CertLifecycleManager, world: World) -> None:
        self.publish(ca, "a.example")
        der = bytearray(self.files(world)[0].read_bytes())
        der[-1] ^= 1
        self.files(world)[0].write_bytes(bytes(der))
        found(ca, Problem.CRL_DAMAGED, repaired=True)

    @pytest.mark.parametrize("scope", [CRLScope(is_delta=True), CRLScope(Shard(0, 2))])
    def test_a_part_is_no_replacement_for_the_whole(
        self, ca: CertLifecycleManager, world: World, scope: CRLScope
    ) -> None:
        with world.manager(urls=URLS) as told:
            told.open_ca()
            told.revoke_certificate(issue(told, "a.example").serial_number)
            told.publish_due()
            assert told.examine().is_sound
            names = {path.name for path in world.base.glob("crl*.der")}
            assert {"crl.der", "crl-0-of-2.der", "crl-0-of-2-delta.der"} <= names
            part = scope.name if scope.shard else "crl-0-of-2-delta"
            for path, theirs in zip(self.files(world), self.files(world, part), strict=True):
                path.write_bytes(theirs.read_bytes())
            found(told, *[Problem.CRL_OF_OTHER_SCOPE] * 2, repaired=True)

    def test_each_part_is_looked_at(self, ca: CertLifecycleManager, world: World) -> None:
        with world.manager(urls=URLS) as told:
            told.open_ca()
            told.publish_due()
            count = told.examine().crls
            assert count == 5
            for path in (*self.files(world, "crl-1-of-2"), *self.files(world, "crl-0-of-2-delta")):
                path.unlink()
            found(told, *[Problem.CRL_MISSING] * 4, repaired=True)

    def test_of_a_ca_whose_key_is_elsewhere(self, ca: CertLifecycleManager, world: World) -> None:
        ca.issue_intermediate_ca("Middle", key_algorithm="p-256", uuid_str="middle")
        middle = ca.under("Middle")
        ca.publish_crl()
        middle.publish_crl()
        assert ca.examine().crls == 2
        (world.base / f"crl-{middle.factory.issuer_id}.der").unlink()
        (world.base / "middle/ca.key").rename(world.base.parent / "offline.key")
        [finding] = ca.examine(fix=True).findings
        assert not finding.is_repaired
        assert "does not hold the private key" in finding.text
        (world.base.parent / "offline.key").rename(world.base / "middle/ca.key")
        assert problems(ca.examine(fix=True)) == [(Problem.CRL_MISSING, True)]
        assert ca.examine().is_sound


def test_rows_of_many_pages(world: World) -> None:
    with world.manager() as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        config = ClientConfig(
            common_name="a", key_algorithm="p-256", profile="short-lived", san_dns=["a.example"]
        )
        ca.issue_many([config] * 501)
        examination = ca.examine()
    assert (examination.certificates, examination.files) == (502, 502)
    assert examination.is_sound


class Asked(SyncDBHandler):
    """A registry that counts how often it is asked for a single row."""

    count = 0

    def get_by_serial(self, serial: int, issuer_id: str | None = None) -> object:
        self.count += 1
        return super().get_by_serial(serial, issuer_id)


def test_rows_of_files_are_read_by_pages(world: World) -> None:
    registry = Asked(f"sqlite:///{world.db}")
    with CertLifecycleManager(LocalStorage(world.base), db_handler=registry) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        ca.issue_many(
            [ClientConfig(common_name=f"n{n}.test", key_algorithm="p-256") for n in range(30)]
        )
        registry.count = 0
        examination = ca.examine()
    assert (examination.is_sound, examination.files) == (True, 31)
    assert registry.count == 0
