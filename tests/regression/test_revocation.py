"""What tiny_ca 0.1.1 got wrong about revocation and CRLs."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tests.regression.world import ROOT_CONFIG, World, leaf, serials
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    SyncDBHandler,
)
from tiny_ca.domain.errors import InvalidRangeTimeCertificate, InvalidRevocationReason


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_remove_from_crl_was_taken_for_a_reason(manager: CertLifecycleManager) -> None:
    certificate, _, _ = manager.issue_certificate(leaf())
    with pytest.raises(InvalidRevocationReason):
        manager.revoke_certificate(certificate.serial_number, x509.ReasonFlags.remove_from_crl)
    assert manager.verify_certificate(certificate)


class TestCRL:
    def test_had_no_number(self, world: World) -> None:
        with world.ca() as manager:
            numbers = [_number(manager.generate_crl()) for _ in range(3)]
        with world.ca() as manager:
            numbers.append(_number(manager.generate_crl()))
        assert numbers == [1, 2, 3, 4]

    def test_had_no_authority_key_identifier(self, manager: CertLifecycleManager) -> None:
        crl = manager.generate_crl()
        ca = manager.factory.certificate
        aki = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        ski = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert aki.key_identifier == ski.digest
        assert crl.is_signature_valid(ca.public_key())

    def test_had_no_reasons(self, manager: CertLifecycleManager) -> None:
        given = set(x509.ReasonFlags) - {x509.ReasonFlags.remove_from_crl}
        expected = {}
        for number, reason in enumerate(sorted(given, key=lambda reason: reason.name)):
            certificate, _, _ = manager.issue_certificate(leaf(f"n{number}.internal"))
            manager.revoke_certificate(certificate.serial_number, reason)
            expected[certificate.serial_number] = reason
        found = {}
        for entry in manager.generate_crl():
            reasons = [extension.value.reason for extension in entry.extensions]
            # RFC 5280 §5.3.1: no extension rather than "unspecified".
            assert reasons != [x509.ReasonFlags.unspecified]
            found[entry.serial_number] = (reasons or [x509.ReasonFlags.unspecified])[0]
        assert found == expected

    def test_listed_what_other_issuers_revoked(self, world: World) -> None:
        other_files = LocalStorage(world.folder / "other")
        with world.ca() as one, world.manager(storage=other_files) as two:
            two.create_self_signed_ca(CAConfig(common_name="Other Root", key_algorithm="p-256"))
            revoked = {}
            for manager, name in ((one, "one.internal"), (two, "two.internal")):
                certificate, _, _ = manager.issue_certificate(leaf(name))
                manager.revoke_certificate(certificate.serial_number)
                revoked[name] = certificate.serial_number
            assert serials(one.generate_crl()) == {revoked["one.internal"]}
            assert serials(two.generate_crl()) == {revoked["two.internal"]}
            # Each issuer counts for itself.
            assert _number(one.generate_crl()) == _number(two.generate_crl()) == 2

    def test_of_two_keys_under_one_name_stay_apart(self, world: World) -> None:
        with world.ca() as manager:
            old, _, _ = manager.issue_certificate(leaf("old.internal"))
            manager.revoke_certificate(old.serial_number)
            manager.create_self_signed_ca(ROOT_CONFIG, is_overwrite=True)
            assert serials(manager.generate_crl()) == set()

    def test_dropped_entries_a_year_after_revocation(self, world: World) -> None:
        clock = ManualClock()
        with world.ca(clock=clock) as manager:
            certificate, _, _ = manager.issue_certificate(leaf(days_valid=1000))
            number = certificate.serial_number
            manager.revoke_certificate(number)
            for days in (364, 2, 600, 33):
                clock.advance(timedelta(days=days))
                assert serials(manager.generate_crl()) == {number}, clock.now()
            # It ended on day 1000.  The first CRL after that still shows it (RFC 5280 §3.3).
            clock.advance(timedelta(days=2))
            assert serials(manager.generate_crl()) == {number}
            clock.advance(timedelta(seconds=1))
            assert serials(manager.generate_crl()) == set()

    def test_says_how_long_it_is_valid(self, manager: CertLifecycleManager) -> None:
        for days in (1, 7, 30):
            crl = manager.generate_crl(days_valid=days)
            assert crl.next_update_utc - crl.last_update_utc == timedelta(days=days)

    @pytest.mark.parametrize("days", [0, -1, 10**10])
    def test_is_not_signed_for_no_time(
        self, manager: CertLifecycleManager, world: World, days: int
    ) -> None:
        with pytest.raises(InvalidRangeTimeCertificate):
            manager.generate_crl(days_valid=days)
        assert not (world.base / "crl.pem").exists()


@pytest.mark.anyio
async def test_the_async_crl_ignored_days_valid(world: World) -> None:
    async with AsyncCertLifecycleManager(
        LocalStorage(world.base), db_handler=SyncDBHandler(world.url)
    ) as manager:
        await manager.create_self_signed_ca(ROOT_CONFIG)
        crl = await manager.generate_crl(days_valid=9)
        assert crl.next_update_utc - crl.last_update_utc == timedelta(days=9)


def test_revocation_dates_are_whole_seconds_in_utc(world: World) -> None:
    clock = ManualClock(datetime(2030, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC))
    with world.ca(clock=clock) as manager:
        certificate, _, _ = manager.issue_certificate(leaf())
        manager.revoke_certificate(certificate.serial_number)
        (entry,) = manager.generate_crl()
        assert entry.revocation_date_utc == datetime(2030, 1, 1, 12, tzinfo=UTC)
        assert manager.get_certificate_status(certificate.serial_number) is (
            CertificateStatus.REVOKED
        )
