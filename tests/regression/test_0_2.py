"""What tiny_ca 0.2 does wrong with what it added, by its names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.regression.world import World, leaf, serials
from tiny_ca import (
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    CRLReason,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.domain.errors import InvalidRequest, StillNeeded, ValidationCertError


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[CertLifecycleManager]:
    with World(tmp_path).ca() as manager:
        yield manager


def test_a_renewed_certificate_was_never_registered(ca: CertLifecycleManager) -> None:
    old, _, _ = ca.issue_certificate(leaf())
    renewed = ca.renew_certificate(serial=old.serial_number, days_valid=30)
    assert ca.get_certificate_status(renewed.serial_number) is CertificateStatus.VALID
    ca.revoke_certificate(renewed.serial_number)
    assert renewed.serial_number in serials(ca.generate_crl())


def test_an_intermediate_was_never_registered(ca: CertLifecycleManager) -> None:
    certificate, _ = ca.issue_intermediate_ca("Sub", key_algorithm="p-256")
    assert ca.get_certificate_status(certificate.serial_number) is CertificateStatus.VALID
    ca.revoke_certificate(certificate.serial_number)
    assert certificate.serial_number in serials(ca.generate_crl())


def test_renewing_a_revoked_certificate_worked(ca: CertLifecycleManager) -> None:
    old, _, _ = ca.issue_certificate(leaf())
    ca.revoke_certificate(old.serial_number)
    with pytest.raises(ValidationCertError):
        ca.renew_certificate(old.serial_number)


def test_rotating_onto_anothers_name_revoked_that_one(ca: CertLifecycleManager) -> None:
    one, _, _ = ca.issue_certificate(leaf("one"))
    other, _, _ = ca.issue_certificate(leaf("other"))
    with pytest.raises(Exception, match="active certificate"):
        ca.rotate_certificate(one.serial_number, leaf("other"))
    for certificate in (one, other):
        assert ca.verify_certificate(certificate)


def test_co_signing_a_ca_kept_ca_true(ca: CertLifecycleManager) -> None:
    foreign = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    foreign.create_self_signed_ca(CAConfig(common_name="Foreign", key_algorithm="p-256"))
    with pytest.raises(InvalidRequest):
        ca.cosign_certificate(cert=foreign.factory.certificate, days_valid=30)


def test_deleting_dropped_a_revoked_certificate_from_the_crl(ca: CertLifecycleManager) -> None:
    certificate, _, _ = ca.issue_certificate(leaf())
    ca.revoke_certificate(certificate.serial_number, x509.ReasonFlags.key_compromise)
    with pytest.raises(StillNeeded):
        ca.delete_certificate(serial=certificate.serial_number)
    (entry,) = ca._services.registry.revoked(ca.factory.issuer_id)
    assert entry.revocation_reason is CRLReason.KEY_COMPROMISE


def test_pkcs12_without_a_password_was_silently_unencrypted(ca: CertLifecycleManager) -> None:
    certificate, key, _ = ca.issue_certificate(leaf())
    with pytest.raises(InvalidRequest, match="password"):
        ca.export_pkcs12(cert=certificate, private_key=key)
