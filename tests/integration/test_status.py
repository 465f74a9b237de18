"""What is said of a certificate: its status, whether it verifies, what CRLs say."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from tests.regression.world import ROOT_CONFIG, Hook, World, fail, hooked, leaf, serials
from tiny_ca import (
    CertificateFactory,
    CertificateStatus,
    CertLifecycleManager,
    ManualClock,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    NotOnHold,
    NotUniqueCertOwner,
    RegistryError,
    StorageError,
    ValidationCertError,
)
from tiny_ca.domain.planning import plan_issuance
from tiny_ca.domain.profiles import flag_profile
from tiny_ca.domain.requests import Authority

HOLD = x509.ReasonFlags.certificate_hold


COMPROMISE = x509.ReasonFlags.key_compromise


def _reasons(crl: x509.CertificateRevocationList) -> dict[int, x509.ReasonFlags]:
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in crl
    }


class TestStatus:
    def test_of_every_kind(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        seen = {}
        for name, days in (("valid", 300), ("revoked", 300), ("expired", 3)):
            certificate, _, _ = ca.issue_certificate(leaf(f"{name}.internal", days_valid=days))
            seen[name] = certificate.serial_number
        ca.revoke_certificate(seen["revoked"])
        hook = Hook("reserve", after=True)
        with world.ca(db_handler=hooked(SyncDBHandler, hook)(world.url), clock=clock) as dying:
            for name in ("abandoned", "pending"):
                hook.action = fail(KeyboardInterrupt())
                with pytest.raises(KeyboardInterrupt):
                    dying.issue_certificate(leaf(f"{name}.internal"))
                seen[name] = world.rows()[-1].serial_number
                if name == "abandoned":
                    clock.advance(timedelta(days=5))
                    assert ca.recover().abandoned == 1
        seen["unknown"] = 4711
        assert {name: ca.get_certificate_status(number) for name, number in seen.items()} == {
            name: CertificateStatus(name) for name in seen
        }

    def test_changes_with_the_second(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        certificate, _, _ = ca.issue_certificate(leaf(days_valid=1))
        number = certificate.serial_number
        clock.set(certificate.not_valid_after_utc + timedelta(microseconds=999_999))
        assert ca.get_certificate_status(number) is CertificateStatus.VALID
        assert ca.verify_certificate(certificate)
        clock.advance(timedelta(microseconds=1))
        assert ca.get_certificate_status(number) is CertificateStatus.EXPIRED
        with pytest.raises(ValidationCertError, match="validity"):
            ca.verify_certificate(certificate)

    def test_a_revoked_certificate_does_not_expire(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = ca.issue_certificate(leaf(days_valid=1))
        ca.revoke_certificate(certificate.serial_number)
        clock.advance(timedelta(days=9))
        status = ca.get_certificate_status(certificate.serial_number)
        assert status is CertificateStatus.REVOKED


def _twin(factory: CertificateFactory, certificate: x509.Certificate) -> x509.Certificate:
    plan = plan_issuance(
        leaf("evil.internal").to_request(flag_profile()),
        authority=Authority(factory.info, factory.validity),
        now=certificate.not_valid_before_utc,
        random_bits=0,
    )
    twin = replace(plan, serial_number=certificate.serial_number)
    return factory.sign_certificate(twin, certificate.public_key())


class TestVerify:
    def test_the_root_itself(self, ca: CertLifecycleManager) -> None:
        assert ca.verify_certificate(ca.factory.certificate)

    def test_not_before_its_time(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        start = clock.now() + timedelta(days=2)
        certificate, _, _ = ca.issue_certificate(leaf(valid_from=start))
        with pytest.raises(ValidationCertError, match="validity"):
            ca.verify_certificate(certificate)
        clock.set(start)
        assert ca.verify_certificate(certificate)

    def test_not_of_another_ca(self, ca: CertLifecycleManager, world: World) -> None:
        other = World(world.folder / "other")
        other.folder.mkdir()
        with other.manager() as foreign:
            # The same name, so that the signature has to tell them apart.
            foreign.create_self_signed_ca(ROOT_CONFIG)
            certificate, _, _ = foreign.issue_certificate(leaf())
        with pytest.raises(ValidationCertError, match="did not sign"):
            ca.verify_certificate(certificate)

    def test_not_another_one_with_its_serial_number(self, ca: CertLifecycleManager) -> None:
        """The CA's own key signed both; only one of them is on record."""
        certificate, _, _ = ca.issue_certificate(leaf())
        twin = _twin(ca.factory, certificate)
        ca.factory.verify(twin)
        with pytest.raises(ValidationCertError, match="another certificate"):
            ca.verify_certificate(twin)


class TestRevoke:
    def test_an_unknown_certificate(self, ca: CertLifecycleManager) -> None:
        assert ca.revoke_certificate(4711) is False
        assert ca.release_certificate(4711) is False

    def test_twice_keeps_the_first_reason_and_date(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        number, since = certificate.serial_number, clock.now()
        assert ca.revoke_certificate(number, COMPROMISE) is True
        clock.advance(timedelta(hours=1))
        assert ca.revoke_certificate(number, x509.ReasonFlags.superseded) is True
        crl = ca.generate_crl()
        assert _reasons(crl) == {number: COMPROMISE}
        assert crl[0].revocation_date_utc == since

    def test_frees_the_name(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        ca.revoke_certificate(certificate.serial_number)
        ca.issue_certificate(leaf())

    def test_the_root_itself(self, ca: CertLifecycleManager) -> None:
        root = ca.factory.certificate
        assert ca.revoke_certificate(root.serial_number, x509.ReasonFlags.ca_compromise)
        with pytest.raises(ValidationCertError, match="revoked"):
            ca.verify_certificate(root)

    def test_on_hold_and_released(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        number = certificate.serial_number
        assert ca.revoke_certificate(number, HOLD)
        with pytest.raises(ValidationCertError, match="revoked"):
            ca.verify_certificate(certificate)
        assert _reasons(ca.generate_crl()) == {number: HOLD}
        assert ca.release_certificate(number) is True
        assert ca.verify_certificate(certificate)
        assert serials(ca.generate_crl()) == set()
        with pytest.raises(NotOnHold):
            ca.release_certificate(number)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())

    def test_a_hold_becomes_final_and_keeps_its_date(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        number, since = certificate.serial_number, clock.now()
        ca.revoke_certificate(number, HOLD)
        clock.advance(timedelta(days=1))
        ca.revoke_certificate(number, COMPROMISE)
        crl = ca.generate_crl()
        assert _reasons(crl) == {number: COMPROMISE}
        assert crl[0].revocation_date_utc == since
        with pytest.raises(NotOnHold):
            ca.release_certificate(number)

    def test_released_after_its_name_was_taken(self, ca: CertLifecycleManager) -> None:
        first, _, _ = ca.issue_certificate(leaf())
        ca.revoke_certificate(first.serial_number, HOLD)
        second, _, _ = ca.issue_certificate(leaf())
        assert ca.release_certificate(first.serial_number)
        assert ca.verify_certificate(first)
        assert ca.verify_certificate(second)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())


class TestCRL:
    def test_that_lost_the_race_leaves_the_newer_one(self, world: World) -> None:
        hook = Hook("crl_entries")
        slow_registry = hooked(SyncDBHandler, hook)(world.url)
        with world.ca() as fast, world.ca(db_handler=slow_registry) as slow:
            certificate, _, _ = fast.issue_certificate(leaf())

            def overtake() -> None:
                fast.revoke_certificate(certificate.serial_number)
                fast.generate_crl()

            hook.action = overtake
            with pytest.raises(RegistryError, match="higher number"):
                slow.generate_crl()
            published = x509.load_pem_x509_crl((world.base / "crl.pem").read_bytes())
            assert serials(published) == {certificate.serial_number}
            assert world.staged() == []
            assert _number(slow.generate_crl()) == 3

    def test_that_could_not_be_put_in_place(self, world: World) -> None:
        with world.ca() as manager:
            manager.generate_crl()
            (world.base / "crl.pem").rename(world.base / "kept")
            (world.base / "crl.pem").mkdir()
            with pytest.raises(StorageError):
                manager.generate_crl()
            assert world.staged() == []
            (world.base / "crl.pem").rmdir()
            assert _number(manager.generate_crl()) == 3

    def test_that_could_not_be_recorded(self, world: World) -> None:
        hook = Hook("publish_crl")
        with world.ca(db_handler=hooked(SyncDBHandler, hook)(world.url)) as manager:
            hook.action = fail(RegistryError("injected"))
            with pytest.raises(RegistryError, match="injected"):
                manager.generate_crl()
            assert not (world.base / "crl.pem").exists()
            assert world.staged() == []


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_nothing_verifies_under_a_ca_that_is_revoked(manager: CertLifecycleManager) -> None:
    """RFC 5280 §6.1.3 (a)(3) holds for every certificate of the path."""
    certificate, _, _ = manager.issue_certificate(leaf())
    assert manager.verify_certificate(certificate)
    assert manager.factory is not None
    manager.revoke_certificate(manager.factory.certificate.serial_number)
    with pytest.raises(ValidationCertError, match="issuer"):
        manager.verify_certificate(certificate)
