"""Certificates of others whose extensions can't be read: each operation has an error of ours."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.regression.world import ROOT_CONFIG
from tiny_ca import (
    CAFileLoader,
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.domain.errors import TinyCAError
from tiny_ca.domain.lifetime import Validity
from tiny_ca.ports.history import PastCertificate
from tiny_ca.testing.samples import sample_key

KEY: Any = sample_key()
START = datetime(2024, 1, 1, tzinfo=UTC)
SAN = x509.SubjectAlternativeName.oid
# What cryptography has an error of its own for, each.
EXTENSIONS = {
    "a TLS feature that nobody knows": (x509.TLSFeature.oid, b"\x30\x05\x02\x03\x4c\x4b\x40"),
    "an address of X.400": (SAN, b"\x30\x02\xa3\x00"),
    "octets that are no DER": (SAN, b"zz"),
    "a usage that contradicts itself": (x509.KeyUsage.oid, b"\x03\x02\x00\x01"),
}
OPERATIONS: dict[str, Callable[[CertLifecycleManager, x509.Certificate], Any]] = {
    "cosign": lambda ca, cert: ca.cosign_certificate(cert),
    "cross-sign": lambda ca, cert: ca.cross_sign_ca(cert),
    "import": lambda ca, cert: ca.import_ca(cert, KEY),
    "import above": lambda ca, cert: ca.import_ca(ca.factory.certificate, chain=[cert]),
    "chain": lambda ca, cert: ca.get_cert_chain(cert),
    "fullchain": lambda ca, cert: ca.export_fullchain(cert),
    "PKCS #7": lambda ca, cert: ca.export_pkcs7(cert),
    "PKCS #12": lambda ca, cert: ca.export_pkcs12(cert, password="a", chain=[cert]),
    "verify": lambda ca, cert: ca.verify_certificate(cert),
    "verify a path": lambda ca, cert: ca.verify_chain(cert, intermediates=[cert]),
    "verify a path of others": lambda ca, cert: ca.verify_chain(cert, roots=[cert]),
}


@pytest.fixture
def ca() -> CertLifecycleManager:
    manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    manager.create_self_signed_ca(ROOT_CONFIG)
    return manager


@pytest.fixture(params=EXTENSIONS.values(), ids=EXTENSIONS)
def malformed(request: pytest.FixtureRequest, ca: CertLifecycleManager) -> x509.Certificate:
    """One that the key of this CA has signed, elsewhere."""
    name = ca.factory.certificate.subject
    return (
        x509.CertificateBuilder(name, name, KEY.public_key(), 7, START, START + timedelta(10**4))
        .add_extension(x509.UnrecognizedExtension(*request.param), critical=False)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(ca.factory._key, SHA256())
    )


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_has_a_typed_error(
    ca: CertLifecycleManager,
    malformed: x509.Certificate,
    operation: Callable[[CertLifecycleManager, x509.Certificate], Any],
) -> None:
    with pytest.raises(TinyCAError):
        operation(ca, malformed)


def test_inspection_tells_the_rest(ca: CertLifecycleManager, malformed: x509.Certificate) -> None:
    details = ca.inspect_certificate(malformed)
    assert len(details.unreadable) == 1
    assert details.is_ca


def test_one_on_record_is_told_of_and_not_renewed(
    ca: CertLifecycleManager, malformed: x509.Certificate
) -> None:
    """As a history that was imported may have them."""
    past = PastCertificate(
        malformed.serial_number,
        ca.factory.issuer_id,
        "past",
        CertType.SERVICE,
        Validity(malformed.not_valid_before_utc, malformed.not_valid_after_utc),
        malformed,
    )
    ca._services.registry.record_past([past], START)
    assert ca.verify_certificate(malformed)
    with pytest.raises(TinyCAError):
        ca.renew_certificate(malformed.serial_number)
    assert ca.revoke_certificate(malformed.serial_number)
    assert ca.get_certificate_status(malformed.serial_number) is CertificateStatus.REVOKED


def test_as_a_ca_of_files(malformed: x509.Certificate, tmp_path: Path) -> None:
    pem, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    pem.write_bytes(malformed.public_bytes(Encoding.PEM))
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(TinyCAError, match="can't be read"):
        CAFileLoader(pem, key)
