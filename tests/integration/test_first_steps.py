"""The thinnest path through all layers, on every database."""

from pathlib import Path

from cryptography import x509

from tiny_ca import (
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    SyncDBHandler,
)


def test_the_whole_life_of_a_certificate(tmp_path: Path, db_url: str) -> None:
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url)
    ) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        config = ClientConfig(common_name="a.internal", is_server_cert=True, key_algorithm="p-256")
        first, _, _ = ca.issue_certificate(config, cert_path="services")
        assert ca.verify_certificate(first)
        second, _, _ = ca.rotate_certificate(first.serial_number, config)
        assert ca.get_certificate_status(first.serial_number) is CertificateStatus.REVOKED
        assert ca.revoke_certificate(second.serial_number, x509.ReasonFlags.key_compromise)
        crl = ca.generate_crl()
        assert {entry.serial_number for entry in crl} == {first.serial_number, second.serial_number}
    assert len(list((tmp_path / "pki/services").glob("*/a.internal.key"))) == 2
