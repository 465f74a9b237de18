"""Certificates for keys that are certified already: renewals and co-signatures."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.regression.world import ROOT_CONFIG, World, leaf
from tiny_ca import (
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.domain.errors import (
    CertNotFound,
    IdempotencyConflict,
    InvalidName,
    InvalidRequest,
    NotUniqueCertOwner,
    ProfileViolation,
    ValidationCertError,
)
from tiny_ca.domain.profiles import Profile

WEB = Profile(
    name="web",
    extended_key_usage=("1.3.6.1.5.5.7.3.1",),
    max_validity=timedelta(days=90),
    default_validity=timedelta(days=30),
)
STRICTER = Profile(
    name="web",
    extended_key_usage=("1.3.6.1.5.5.7.3.1",),
    max_validity=timedelta(days=10),
    default_validity=timedelta(days=10),
)


@pytest.fixture
def ca(world: World, clock: ManualClock) -> Iterator[CertLifecycleManager]:
    with world.ca(clock=clock, profiles=[WEB]) as manager:
        yield manager


def partner(clock: ManualClock, **fields: object) -> tuple[CertLifecycleManager, x509.Certificate]:
    """Another CA, and a certificate of its."""
    other = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=clock)
    other.create_self_signed_ca(CAConfig(common_name="Partner", key_algorithm="p-256"))
    certificate, _, _ = other.issue_certificate(leaf("of.partner", **fields))
    return other, certificate


class TestRenew:
    def test_same_key_and_names_new_period(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        old, key, csr = ca.issue_certificate(
            leaf(is_server_cert=True, san_dns=["b.internal"], san_ip=["192.0.2.1"]), "services"
        )
        clock.advance(timedelta(days=300))
        new = ca.renew_certificate(old.serial_number, 100)
        assert new.public_key() == old.public_key()
        assert (new.subject, new.issuer) == (old.subject, old.issuer)
        assert new.not_valid_after_utc - new.not_valid_before_utc == timedelta(days=100)
        for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage, x509.KeyUsage):
            assert (
                new.extensions.get_extension_for_class(kind).value
                == old.extensions.get_extension_for_class(kind).value
            )
        # Others may still be serving the old one.
        assert ca.verify_certificate(old)
        assert ca.verify_certificate(new)
        (row,) = [row for row in world.rows() if row.serial_number == new.serial_number]
        folder = world.base / "services" / row.uuid
        held = load_pem_private_key((folder / "a.internal.key").read_bytes(), None)
        assert held.private_numbers() == key.private_numbers()
        assert x509.load_pem_x509_csr((folder / "a.internal.csr").read_bytes()) == csr

    def test_the_name_is_the_new_ones(self, ca: CertLifecycleManager) -> None:
        old, _, _ = ca.issue_certificate(leaf())
        new = ca.renew_certificate(old.serial_number)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())
        successor, _, _ = ca.rotate_certificate(new.serial_number, leaf())
        statuses = [ca.get_certificate_status(one.serial_number) for one in (old, new, successor)]
        valid, revoked = CertificateStatus.VALID, CertificateStatus.REVOKED
        assert statuses == [valid, revoked, valid]

    def test_an_expired_one(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        old, _, _ = ca.issue_certificate(leaf(days_valid=1))
        clock.advance(timedelta(days=5))
        assert ca.verify_certificate(ca.renew_certificate(old.serial_number))

    def test_of_a_csr(self, ca: CertLifecycleManager, world: World) -> None:
        _, _, csr = ca.issue_certificate(leaf("made.internal"))
        ca.revoke_certificate(ca.list_certificates(common_name="made.internal")[0].serial_number)
        signed = ca.sign_csr(csr, valid_for=timedelta(days=3))
        renewed = ca.renew_certificate(signed.serial_number, 5)
        assert renewed.public_key() == signed.public_key()
        (row,) = [row for row in world.rows() if row.serial_number == renewed.serial_number]
        kinds = {path.suffix for path in (world.base / row.uuid).iterdir()}
        assert kinds == {".pem", ".csr"}

    def test_the_profile_decides_anew(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        old, _, _ = ca.issue_certificate(leaf(profile="web"))
        assert ca.renew_certificate(old.serial_number, 90)
        with world.ca(clock=clock, profiles=[STRICTER]) as later:
            current = later.list_certificates(common_name="a.internal")[0].serial_number
            with pytest.raises(ProfileViolation, match="validity"):
                later.renew_certificate(current, 90)
            assert later.renew_certificate(current, 10)
        with world.ca(clock=clock) as without:
            current = without.list_certificates(common_name="a.internal")[0].serial_number
            with pytest.raises(InvalidRequest, match="no profile 'web'"):
                without.renew_certificate(current)

    def test_under_a_key_that_was_rolled_over(self, ca: CertLifecycleManager) -> None:
        old, _, _ = ca.issue_certificate(leaf())
        root = ca.factory.certificate
        ca.rollover_ca(ROOT_CONFIG)
        new = ca.renew_certificate(old.serial_number)
        assert new.public_key() == old.public_key()
        assert ca.get_cert_chain(new)[-1] == ca.factory.certificate != root
        assert ca.find_certificate("a.internal").serial_number == new.serial_number
        assert ca.under(root.serial_number).verify_certificate(old)

    def test_what_is_refused(self, ca: CertLifecycleManager) -> None:
        revoked, _, _ = ca.issue_certificate(leaf("revoked"))
        ca.revoke_certificate(revoked.serial_number)
        ca.issue_intermediate_ca("Sub", key_algorithm="p-256")
        sub = ca.under("Sub")
        others, _, _ = sub.issue_certificate(leaf("others"))
        for serial, match in (
            (revoked.serial_number, "revoked"),
            (others.serial_number, "Another CA"),
            (sub.factory.certificate.serial_number, "rolled|roll the CA over"),
        ):
            with pytest.raises(ValidationCertError, match=match):
                ca.renew_certificate(serial)
        with pytest.raises(CertNotFound):
            ca.renew_certificate(1)

    def test_an_idempotency_key(self, ca: CertLifecycleManager) -> None:
        old, _, _ = ca.issue_certificate(leaf())
        first = ca.renew_certificate(old.serial_number, idempotency_key="k")
        assert ca.renew_certificate(old.serial_number, idempotency_key="k") == first
        with pytest.raises(IdempotencyConflict):
            ca.renew_certificate(old.serial_number, 30, idempotency_key="k")

    def test_a_key_that_can_not_be_read_is_not_taken_for_none(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        old, _, _ = ca.issue_certificate(leaf())
        (row,) = [row for row in world.rows() if row.serial_number == old.serial_number]
        (world.base / row.uuid / "a.internal.key").write_text("garbage")
        with pytest.raises(Exception, match="can't be read"):
            ca.renew_certificate(old.serial_number)
        assert world.statuses("a.internal") == ["valid"]


class TestCosign:
    def test_key_and_names_under_our_name(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        _, theirs = partner(clock, is_server_cert=True)
        ours = ca.cosign_certificate(theirs)
        assert ours.public_key() == theirs.public_key()
        assert ours.issuer == ca.factory.certificate.subject
        assert ours.serial_number != theirs.serial_number
        assert ours.not_valid_after_utc == theirs.not_valid_after_utc
        assert ca.verify_certificate(ours)
        assert ca.revoke_certificate(ours.serial_number)

    def test_ends_with_theirs_at_any_fraction_of_a_second(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        _, theirs = partner(clock)
        clock.advance(timedelta(milliseconds=700))
        assert ca.cosign_certificate(theirs).not_valid_after_utc == theirs.not_valid_after_utc

    def test_from_a_moment_without_a_time_zone(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        _, theirs = partner(clock)
        with pytest.raises(InvalidRequest, match="time zone"):
            ca.cosign_certificate(theirs, valid_from=clock.now().replace(tzinfo=None))

    def test_by_a_profile(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        _, theirs = partner(clock, is_server_cert=True)
        with pytest.raises(ProfileViolation):
            ca.cosign_certificate(theirs, profile="web")
        assert ca.cosign_certificate(theirs, 30, profile="web")

    def test_what_is_refused(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        other, _ = partner(clock)
        with pytest.raises(InvalidRequest, match="cross-sign"):
            ca.cosign_certificate(other.factory.certificate)

    def test_a_subject_that_is_not_issued_here(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        name = x509.Name(
            [
                x509.NameAttribute(x509.NameOID.COMMON_NAME, "x"),
                x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, "1"),
            ]
        )
        other, theirs = partner(clock)
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(theirs.issuer)
            .public_key(theirs.public_key())
            .serial_number(5)
            .not_valid_before(theirs.not_valid_before_utc)
            .not_valid_after(theirs.not_valid_after_utc)
            .sign(other.factory._key, theirs.signature_hash_algorithm)
        )
        with pytest.raises(InvalidName, match=r"2\.5\.4\.5"):
            ca.cosign_certificate(signed)


class TestPlan:
    def test_shows_what_is_issued(self, ca: CertLifecycleManager, world: World) -> None:
        config = ClientConfig(common_name="a.internal", profile="web", key_algorithm="p-256")
        before = world.tree(), world.rows()
        preview = ca.plan(config)
        assert preview.is_allowed
        assert (world.tree(), world.rows()) == before
        certificate, _, _ = ca.issue_certificate(config)
        plan = preview.plan
        assert plan.validity.not_before == certificate.not_valid_before_utc
        assert plan.validity.not_after == certificate.not_valid_after_utc
        assert [name.value for name in plan.subject_alternative_names] == ["a.internal"]
        again = ca.plan(config)
        assert not again.is_allowed
        assert "active certificate" in again.problems[0]

    def test_names_every_problem(self, ca: CertLifecycleManager) -> None:
        config = ClientConfig(common_name="x", profile="user", days_valid=1000)
        problems = " ".join(ca.plan(config).problems)
        assert "validity" in problems
        assert "email" in problems
        assert ca.plan(ClientConfig(common_name="x", profile="nobody's")).problems

    def test_what_comes_of_an_unwritable_folder_is_not_its_matter(self, world: World) -> None:
        storage = LocalStorage(world.folder / "nowhere")
        with world.ca(storage=storage) as ca:
            assert ca.plan(leaf()).is_allowed
