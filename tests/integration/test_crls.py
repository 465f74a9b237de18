"""CRLs of each kind: complete, delta, sharded; whose they are, and what they must not forget."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.regression.world import World, leaf
from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    CRLIndex,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    PublicationURLs,
)
from tiny_ca.application.crl_files import crl_file_name
from tiny_ca.async_lifecycle import AsyncCertLifecycleManager
from tiny_ca.domain.crl import Shard
from tiny_ca.domain.errors import (
    InvalidRequest,
    RegistryError,
    StorageError,
    ValidationCertError,
)
from tiny_ca.domain.records import PublishingLease
from tiny_ca.testing.samples import at_once

HOLD = x509.ReasonFlags.certificate_hold
SHARDS = 4
URLS = PublicationURLs(
    crl=("http://pki.test/crl-{shard}.crl",),
    delta=("http://pki.test/crl-{shard}-delta.crl",),
    crl_shards=SHARDS,
)


@pytest.fixture(params=["memory", "files"])
def ca(request: pytest.FixtureRequest, world: World, clock: ManualClock) -> Iterator[object]:
    if request.param == "files":
        with world.ca(clock=clock) as manager:
            yield manager
    else:
        manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=clock)
        manager.create_self_signed_ca(CAConfig(common_name="Test Root", key_algorithm="p-256"))
        yield manager


def issued(ca: CertLifecycleManager, *names: str) -> list[int]:
    return [ca.issue_certificate(leaf(name))[0].serial_number for name in names]


def listed(data: bytes | memoryview) -> dict[int, str]:
    """Serial numbers and reasons, as cryptography reads them."""
    found = {}
    for entry in x509.load_der_x509_crl(bytes(data)):
        reasons = [each.value.reason.value for each in entry.extensions if each.oid == REASON]
        found[entry.serial_number] = reasons[0] if reasons else "unspecified"
    return found


REASON = x509.CRLEntryExtensionOID.CRL_REASON


class TestDelta:
    def test_says_what_changed_since_the_complete_one(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        before, held, later = issued(ca, "before", "held", "later")
        ca.revoke_certificate(before)
        ca.revoke_certificate(held, HOLD)
        base = ca.publish_crl()
        assert listed(base.data) == {before: "unspecified", held: "certificateHold"}
        clock.advance(timedelta(minutes=1))
        ca.release_certificate(held)
        ca.revoke_certificate(later, x509.ReasonFlags.key_compromise)
        delta = ca.publish_crl(is_delta=True)
        # RFC 5280 §5.3.1: released holds are said to be removed, in delta CRLs alone.
        assert listed(delta.data) == {held: "removeFromCRL", later: "keyCompromise"}
        crl = x509.load_der_x509_crl(bytes(delta.data))
        indicator = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
        assert indicator.critical
        assert indicator.value.crl_number == base.stamp.number
        assert delta.stamp.number > base.stamp.number
        complete = ca.publish_crl()
        assert listed(complete.data) == {before: "unspecified", later: "keyCompromise"}
        assert listed(ca.publish_crl(is_delta=True).data) == {}

    def test_needs_a_complete_one(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="complete"):
            ca.publish_crl(is_delta=True)


class TestShards:
    @pytest.fixture
    def sharded(self, world: World) -> Iterator[CertLifecycleManager]:
        with world.ca(urls=URLS) as manager:
            yield manager

    def test_certificates_name_theirs(self, sharded: CertLifecycleManager) -> None:
        certificate, _, _ = sharded.issue_certificate(leaf())
        shard = Shard.of(certificate.serial_number, SHARDS)
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert points[0].full_name[0].value == f"http://pki.test/crl-{shard}.crl"
        freshest = certificate.extensions.get_extension_for_class(x509.FreshestCRL).value
        assert freshest[0].full_name[0].value == f"http://pki.test/crl-{shard}-delta.crl"

    def test_every_revoked_certificate_is_on_its_own_and_on_the_complete_one(
        self, sharded: CertLifecycleManager
    ) -> None:
        serials = issued(sharded, *(f"n{number}" for number in range(16)))
        for serial in serials:
            sharded.revoke_certificate(serial)
        found: set[int] = set()
        for index in range(SHARDS):
            published = sharded.publish_crl(shard=index)
            here = set(listed(published.data))
            expected = {one for one in serials if Shard.of(one, SHARDS).index == index}
            assert here == expected
            found |= here
            crl = x509.load_der_x509_crl(bytes(published.data))
            point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
            assert point.critical
            assert point.value.full_name[0].value.endswith(f"crl-{index}-of-{SHARDS}.crl")
        assert found == set(serials)
        assert set(listed(sharded.publish_crl().data)) == set(serials)

    def test_what_was_issued_before_there_were_shards_stays_answerable(self, world: World) -> None:
        with world.ca() as plain:
            (serial,) = issued(plain, "early")
        with world.manager(urls=URLS) as sharded:
            sharded.open_ca("Test Root")
            sharded.revoke_certificate(serial)
            assert set(listed(sharded.publish_crl().data)) == {serial}
            index = Shard.of(serial, SHARDS).index
            assert set(listed(sharded.publish_crl(shard=index).data)) == {serial}

    def test_a_shard_that_there_is_not(self, sharded: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest):
            sharded.publish_crl(shard=SHARDS)


class TestInvalidityDate:
    def test_is_said_and_kept(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        (serial,) = issued(ca, "a")
        since = clock.now() - timedelta(days=3)
        ca.revoke_certificate(serial, HOLD, invalidity_date=since)
        ca.revoke_certificate(serial, x509.ReasonFlags.key_compromise)
        (entry,) = ca.generate_crl()
        said = entry.extensions.get_extension_for_class(x509.InvalidityDate).value
        assert said.invalidity_date_utc == since.replace(microsecond=0)


class TestNothingVanishes:
    """Before a CRL replaces another one, what is missing from it needs a reason."""

    def test_a_row_that_was_lost(self, world: World) -> None:
        with world.ca() as ca:
            (serial,) = issued(ca, "a")
            ca.revoke_certificate(serial)
            ca.generate_crl()
            published = (world.base / "crl.der").read_bytes()
            with ca._handler._db.engine.begin() as connection:
                where = {"serial": str(serial)}
                connection.execute(sa.text("DELETE FROM revocations"))
                query = "DELETE FROM certificates WHERE serial_number = :serial"
                connection.execute(sa.text(query), where)
            with pytest.raises(RegistryError, match="would be missing"):
                ca.generate_crl()
            assert (world.base / "crl.der").read_bytes() == published

    def test_a_registry_older_than_what_was_published(self, world: World) -> None:
        with world.ca() as ca:
            ca.generate_crl()
            ca.generate_crl()
            with ca._handler._db.engine.begin() as connection:
                for statement in (
                    "DELETE FROM published_crls",
                    "UPDATE certificate_issuers SET drawn_crl_number = 0",
                ):
                    connection.execute(sa.text(statement))
            with pytest.raises(RegistryError, match="older than what was published"):
                ca.generate_crl()

    @pytest.mark.parametrize("damage", [b"", b"\x30\x03abc", "cut off", "a bit"])
    def test_a_last_one_that_is_damaged(self, world: World, damage: bytes | str) -> None:
        """Its copy is compared in its place; without that, too, there is no swap."""
        with world.ca() as ca:
            ca.revoke_certificate(issued(ca, "a")[0])
            whole = ca.generate_crl().public_bytes(Encoding.DER)
            broken = damage if isinstance(damage, bytes) else whole[:-9]
            if damage == "a bit":
                broken = whole[:-1] + bytes([whole[-1] ^ 1])
            (world.base / "crl.der").write_bytes(broken)
            assert len(ca.generate_crl()) == 1
            (world.base / "crl.der").write_bytes(broken)
            with ca._handler._db.engine.begin() as connection:
                connection.execute(sa.text("DELETE FROM revocations"))
            with pytest.raises(RegistryError, match="would be missing"):
                ca.generate_crl()
            (world.base / "crl.pem").write_bytes(b"")
            with pytest.raises(StorageError, match=r"damaged.*crl\.der"):
                ca.generate_crl()
            assert (world.base / "crl.der").read_bytes() == broken
            assert world.staged() == []

    def test_expiry_and_release_are_reasons(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        short, held = (
            ca.issue_certificate(leaf(name, days_valid=days))[0].serial_number
            for name, days in (("short", 1), ("held", 90))
        )
        ca.revoke_certificate(short)
        ca.revoke_certificate(held, HOLD)
        assert set(listed(ca.publish_crl().data)) == {short, held}
        ca.release_certificate(held)
        clock.advance(timedelta(days=2))
        # RFC 5280 §3.3: on one regularly scheduled CRL after its end.
        assert set(listed(ca.publish_crl().data)) == {short}
        clock.advance(timedelta(days=1))
        assert set(listed(ca.publish_crl().data)) == set()


class TestFilesOfManyIssuers:
    def test_each_has_its_own(self, ca: CertLifecycleManager) -> None:
        ca.issue_intermediate_ca("Sub", key_algorithm="p-256")
        sub = ca.under("Sub")
        (of_root,), (of_sub,) = issued(ca, "a"), issued(sub, "b")
        for manager, serial in ((ca, of_root), (sub, of_sub)):
            manager.revoke_certificate(serial)
        for manager in (ca, sub, ca, sub):
            manager.generate_crl()
        storage, services = ca._services.storage, ca._services
        for manager, serial in ((ca, of_root), (sub, of_sub)):
            name = crl_file_name(services, manager.factory.issuer_id)
            data = storage.read_crl(name)
            assert set(listed(data)) == {serial}
            manager.verify_crl(bytes(data))
        assert crl_file_name(services, ca.factory.issuer_id) == "crl"

    def test_a_new_root_takes_the_place_of_one_that_is_revoked(
        self, ca: CertLifecycleManager
    ) -> None:
        ca.generate_crl()
        config = CAConfig(common_name="Test Root", key_algorithm="p-256")
        ca.create_self_signed_ca(config, is_overwrite=True)
        ca.generate_crl()
        ca.verify_crl(bytes(ca._services.storage.read_crl("crl")))


class TestVerifyCRL:
    def test_current_or_not(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        crl = ca.generate_crl(days_valid=2)
        ca.verify_crl(crl)
        ca.verify_crl(crl.public_bytes(Encoding.DER))
        clock.advance(timedelta(days=2, seconds=1))
        with pytest.raises(ValidationCertError, match="next is due"):
            ca.verify_crl(crl)

    def test_of_another_ca(self, ca: CertLifecycleManager) -> None:
        other = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        other.create_self_signed_ca(CAConfig(common_name="Other", key_algorithm="p-256"))
        with pytest.raises(ValidationCertError):
            ca.verify_crl(other.generate_crl())

    def test_any_octet_changed(self, ca: CertLifecycleManager) -> None:
        ca.revoke_certificate(issued(ca, "a")[0])
        der = ca.generate_crl().public_bytes(Encoding.DER)
        for place in range(0, len(der), 7):
            changed = der[:place] + bytes([der[place] ^ 1]) + der[place + 1 :]
            with pytest.raises(ValidationCertError):
                ca.verify_crl(changed)


class TestCRLIndex:
    def test_answers_for_each(self, world: World) -> None:
        with world.ca() as ca:
            serials = issued(ca, *(f"n{number}" for number in range(12)))
            for serial in serials[:6]:
                ca.revoke_certificate(serial, x509.ReasonFlags.superseded)
            ca.generate_crl()
            root = ca.factory.certificate
        for path in (world.base / "crl.der", world.base / "crl.pem"):
            index = CRLIndex(path, root)
            assert len(index) == 6
            assert [serial in index for serial in serials] == [True] * 6 + [False] * 6
            assert index[serials[0]].revocation_reason.value == "superseded"
            with pytest.raises(KeyError):
                index[serials[7]]
            # The same low bits are not the same number.
            assert index.get(serials[0] + (1 << 100)) is None
            assert index.stamp.number == 1

    def test_of_what_was_just_published(self, ca: CertLifecycleManager) -> None:
        held, revoked = issued(ca, "held", "revoked")
        ca.revoke_certificate(held, HOLD)
        complete = ca.publish_crl()
        ca.release_certificate(held)
        ca.revoke_certificate(revoked)
        index = CRLIndex(complete.data, ca.factory.certificate)
        assert (held in index, revoked in index, index.base_number) == (True, False, None)
        delta = CRLIndex(ca.publish_crl(is_delta=True).data, ca.factory.certificate)
        assert delta.base_number == complete.stamp.number
        assert delta[held].revocation_reason.value == "removeFromCRL"
        assert revoked in delta

    def test_refuses_what_is_none(self, world: World, tmp_path: Path) -> None:
        with world.ca() as ca:
            der = ca.generate_crl().public_bytes(Encoding.DER)
            root = ca.factory.certificate
        with pytest.raises(ValidationCertError):
            CRLIndex(der[:-1] + bytes([der[-1] ^ 1]), root)
        with pytest.raises(ValidationCertError):
            CRLIndex(b"-----BEGIN CERTIFICATE-----\n", root)
        (tmp_path / "empty").write_bytes(b"")
        for path in (tmp_path / "empty", tmp_path / "nowhere"):
            with pytest.raises(StorageError):
                CRLIndex(path, root)


class TestPublishDue:
    def test_in_time_and_not_before(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        week, hours = timedelta(days=7), timedelta(hours=2)
        assert ca.crl_stamps() == {"crl": None}
        (first,) = ca.publish_due(week, ahead=hours)
        assert ca.crl_stamps() == {"crl": first.stamp}
        assert ca.publish_due(week, ahead=hours) == []
        clock.advance(week - hours * 5 / 4 - timedelta(seconds=1))
        assert ca.publish_due(week, ahead=hours) == []
        clock.advance(hours / 4 + timedelta(seconds=1))
        (second,) = ca.publish_due(week, ahead=hours)
        assert second.stamp.number > first.stamp.number
        # Early enough: there was none without a CRL that holds.
        assert second.stamp.this_update < first.stamp.next_update

    def test_a_clock_that_was_ahead(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        """A CRL that nobody believes yet is no reason to wait for its end."""
        clock.advance(timedelta(days=300))
        (ahead,) = ca.publish_due()
        clock.advance(timedelta(seconds=-30))
        # As clocks of several machines are apart.
        assert ca.publish_due() == []
        clock.advance(timedelta(days=-300))
        (now,) = ca.publish_due()
        assert now.stamp.number > ahead.stamp.number
        ca.verify_crl(now.data)
        assert ca.publish_due() == []

    def test_shards_and_deltas(self, world: World, clock: ManualClock) -> None:
        with world.ca(urls=URLS, clock=clock) as ca:
            names = [one.scope.name for one in ca.publish_due()]
            shards = [f"crl-{index}-of-{SHARDS}" for index in range(SHARDS)]
            assert names == ["crl", *shards, *(f"{name}-delta" for name in shards)]
            assert list(ca.crl_stamps()) == names
            clock.advance(timedelta(hours=5))
            assert [one.scope.is_delta for one in ca.publish_due()] == [True] * SHARDS

    def test_the_delta_from_before_there_were_shards(self, world: World) -> None:
        """Certificates that were issued then name it, and the complete CRL."""
        plain = PublicationURLs(crl=("http://a.test/crl",), delta=("http://a.test/delta",))
        with world.ca(urls=plain) as ca:
            (early,) = issued(ca, "early")
            ca.publish_due()
        with world.ca(urls=URLS) as ca:
            ca.publish_due()
            ca.revoke_certificate(early)
            published = {one.scope.name: one for one in ca.publish_due(after_revocation=True)}
            shard = f"crl-{Shard.of(early, SHARDS)}-delta"
            assert set(published) == {shard, "crl-delta"}
            assert set(listed(published["crl-delta"].data)) == {early}
            assert "crl-delta" in ca.crl_stamps()

    def test_one_that_is_refused_keeps_no_other_back(
        self, world: World, clock: ManualClock
    ) -> None:
        with world.ca(urls=URLS, clock=clock) as ca:
            issued(ca, "a")
            ca.publish_due()
            for extension in ("der", "pem"):
                (world.base / f"crl.{extension}").write_bytes(b"damaged")
            clock.advance(timedelta(days=7))
            former = ca.crl_stamps()
            responder = ca.ocsp_responder(delegated=False)
            with pytest.raises(StorageError, match="damaged"):
                ca.publish_due(responder=responder)
            unchanged = {name for name, stamp in ca.crl_stamps().items() if stamp == former[name]}
            assert unchanged == {"crl"}
            assert ca.published()[-1].missing == 0

    def test_a_delta_follows_its_base_whoever_published_that(
        self, world: World, clock: ManualClock
    ) -> None:
        urls = PublicationURLs(crl=("http://a.test/crl",), delta=("http://a.test/delta",))
        with world.ca(urls=urls, clock=clock) as ca:
            assert len(ca.publish_due()) == 2
            ca.publish_crl()
            (delta,) = ca.publish_due()
            assert delta.scope.is_delta
            assert ca.publish_due() == []

    @pytest.mark.parametrize(
        ("urls", "expected"),
        [
            (PublicationURLs(), {"crl"}),
            (
                PublicationURLs(crl=("http://a.test/crl",), delta=("http://a.test/delta",)),
                {"crl-delta"},
            ),
            (PublicationURLs(crl=("http://a.test/{shard}",), crl_shards=4), {"crl", "shard"}),
        ],
    )
    def test_after_a_revocation(
        self, world: World, urls: PublicationURLs, expected: set[str]
    ) -> None:
        with world.ca(urls=urls) as ca:
            (serial,) = issued(ca, "a")
            ca.publish_due()
            assert ca.publish_due(after_revocation=True) == []
            shard = f"crl-{Shard.of(serial, SHARDS)}"
            for change in (
                lambda: ca.revoke_certificate(serial, HOLD),
                lambda: ca.release_certificate(serial),
                lambda: ca.revoke_certificate(serial),
            ):
                change()
                assert ca.publish_due() == []
                names = {one.scope.name for one in ca.publish_due(after_revocation=True)}
                assert names == {shard if one == "shard" else one for one in expected}
                assert ca.publish_due(after_revocation=True) == []

    @pytest.mark.parametrize("threads", [4])
    def test_each_is_published_once_by_many_at_once(self, world: World, threads: int) -> None:
        with world.ca(urls=URLS) as ca:
            scopes = list(ca.crl_stamps())

            def publish(_: int) -> list[str]:
                with world.ca(urls=URLS) as mine:
                    return [one.scope.name for one in mine.publish_due()]

            results = at_once(threads, publish)
            # No error, and nothing twice: who finds it under way goes on to the next.
            names = [name for one in results for name in one]
            assert sorted(names) == sorted(scopes)
            numbers = [stamp.number for stamp in ca.crl_stamps().values() if stamp is not None]
            assert max(numbers) == len(scopes)
            ca.verify_crl((world.base / "crl.der").read_bytes())
            leases = sa.text("SELECT count(*) FROM publishing_leases")
            with ca._handler._db.engine.begin() as connection:
                assert connection.execute(leases).scalar() == 0

    def test_what_a_process_that_died_was_at(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        now = clock.now()
        of_the_dead = PublishingLease(
            ca.factory.issuer_id, "crl", "gone", now + timedelta(minutes=10)
        )
        assert ca._services.registry.begin_publishing(of_the_dead, now)
        assert ca.publish_due() == []
        clock.advance(timedelta(minutes=10))
        assert len(ca.publish_due()) == 1

    def test_responses_that_are_made_beforehand(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        (serial,) = issued(ca, "a")
        responder = ca.ocsp_responder(delegated=False)
        crl, responses = ca.published()
        assert (crl.name, crl.left) == ("crl", None)
        # The root has a row, too.
        assert (responses.name, responses.left, responses.missing) == ("ocsp-sha1", None, 2)
        ca.publish_due(responder=responder)
        crl, responses = ca.published()
        assert (crl.left, crl.missing) == (timedelta(days=7), 0)
        assert (responses.left, responses.missing) == (timedelta(hours=12), 0)
        ca.revoke_certificate(serial)
        assert [one.missing for one in ca.published()] == [0, 1]
        ca.publish_due(responder=responder, after_revocation=True)
        assert [one.missing for one in ca.published()] == [0, 0]
        clock.advance(timedelta(hours=13))
        crl, responses = ca.published(digests=("sha1",))
        assert (responses.left, responses.missing) == (None, 2)
        clock.advance(timedelta(days=7))
        assert ca.published()[0].left == timedelta(hours=-13)

    def test_a_schedule_that_can_not_be_kept(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="longer"):
            ca.publish_due(timedelta(hours=2), ahead=timedelta(hours=2))
        with pytest.raises(InvalidRequest, match="longer"):
            ca.publish_due(ahead=timedelta.max)


def test_both_faces(ca: CertLifecycleManager) -> None:
    asynchronous = AsyncCertLifecycleManager.wrapping(ca)

    async def publish() -> None:
        published = await asynchronous.publish_crl()
        await asynchronous.verify_crl(published.data)

    asyncio.run(publish())
