"""What is signed is looked at before it is given out, and the factory of 0.1 still signs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.regression.world import World, leaf, serials
from tiny_ca import (
    CAConfig,
    CertificateFactory,
    CertLifecycleManager,
    CertType,
    KeyAlgorithm,
)
from tiny_ca.adapters.outbound.crypto import CAMaterial, CryptographyBackend
from tiny_ca.domain.errors import (
    ErrorLoadCert,
    SigningError,
    ValidationCertError,
)
from tiny_ca.domain.keys import KeySpec


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


class ForgetfulKey(ed25519.Ed25519PrivateKey):
    """A key, as of a module in hardware, that signs something else when it is told to."""

    def __init__(self) -> None:
        self._key = ed25519.Ed25519PrivateKey.generate()
        self.is_faulty = False

    def public_key(self) -> ed25519.Ed25519PublicKey:
        return self._key.public_key()

    def private_bytes_raw(self) -> bytes:
        return self._key.private_bytes_raw()

    def private_bytes(self, *arguments: Any) -> bytes:
        return self._key.private_bytes(*arguments)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(bytes(data) + b"!" * self.is_faulty)

    def __copy__(self) -> "ForgetfulKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "ForgetfulKey":
        return self


class ForgetfulCrypto(CryptographyBackend):
    """Makes the CA's key a forgetful one."""

    def __init__(self) -> None:
        self.key = ForgetfulKey()

    def generate_private_key(self, spec: KeySpec) -> Any:
        if spec.algorithm is KeyAlgorithm.ED25519:
            return self.key
        return super().generate_private_key(spec)


class TestASignatureThatIsNotWhatWasPlanned:
    @pytest.fixture
    def crypto(self) -> ForgetfulCrypto:
        return ForgetfulCrypto()

    @pytest.fixture
    def ca(self, world: World, crypto: ForgetfulCrypto) -> Iterator[CertLifecycleManager]:
        with world.manager(crypto=crypto) as manager:
            config = CAConfig(common_name="Root", key_algorithm=KeyAlgorithm.ED25519)
            manager.create_self_signed_ca(config)
            yield manager

    def test_on_a_certificate(
        self, ca: CertLifecycleManager, crypto: ForgetfulCrypto, world: World
    ) -> None:
        before = world.tree()
        crypto.key.is_faulty = True
        with pytest.raises(SigningError):
            ca.issue_certificate(leaf())
        assert world.tree() == before
        assert world.statuses("a.internal") == ["abandoned"]
        crypto.key.is_faulty = False
        assert ca.verify_certificate(ca.issue_certificate(leaf())[0])

    def test_on_a_root(self, ca: CertLifecycleManager, crypto: ForgetfulCrypto) -> None:
        first = ca.factory.certificate
        crypto.key.is_faulty = True
        config = CAConfig(common_name="Root", key_algorithm=KeyAlgorithm.ED25519)
        with pytest.raises(SigningError):
            ca.create_self_signed_ca(config, is_overwrite=True)
        crypto.key.is_faulty = False
        assert ca.factory.certificate == first
        assert ca.verify_certificate(first)

    def test_on_a_crl(
        self, ca: CertLifecycleManager, crypto: ForgetfulCrypto, world: World
    ) -> None:
        crypto.key.is_faulty = True
        with pytest.raises(SigningError):
            ca.generate_crl()
        assert not (world.base / "crl.pem").exists()
        assert world.staged() == []


class TestCertificateFactory:
    """The methods of tiny_ca 0.1, which keep no record."""

    @pytest.fixture
    def factory(self) -> CertificateFactory:
        root, key = CertificateFactory.build_self_signed_ca(
            "Own Root", "Own", "FI", days_valid=100, key_algorithm=KeyAlgorithm.P256
        )
        return CertificateFactory(CAMaterial(root, key))

    def test_build_self_signed_ca(self, factory: CertificateFactory) -> None:
        root = factory.certificate
        assert root.subject == root.issuer
        assert root.subject.rfc4514_string() == "CN=Own Root,O=Own,C=FI"
        assert root.not_valid_after_utc - root.not_valid_before_utc == timedelta(days=100)
        assert root.extensions.get_extension_for_class(x509.BasicConstraints).critical
        root.verify_directly_issued_by(root)

    def test_build_self_signed_ca_as_0_1_called_it(self) -> None:
        root, key = CertificateFactory.build_self_signed_ca()
        assert root.subject.rfc4514_string() == "CN=Internal CA,O=My Company,C=UA"
        assert key.key_size == 2048

    def test_issue_certificate(self, factory: CertificateFactory) -> None:
        certificate, key, csr = factory.issue_certificate(
            "a.internal",
            CertType.DEVICE,
            days_valid=10,
            is_server_cert=True,
            san_dns=["b.internal"],
            san_ip=["10.0.0.1"],
            key_algorithm=KeyAlgorithm.P256,
        )
        assert key.public_key() == certificate.public_key() == csr.public_key()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["a.internal", "b.internal"]
        assert certificate.issuer == factory.certificate.subject
        factory.validate_cert(certificate)

    def test_validate_cert(self, factory: CertificateFactory) -> None:
        start = datetime.now(UTC) + timedelta(days=1)
        future, _, _ = factory.issue_certificate(
            "a.internal", valid_from=start, days_valid=1, key_algorithm=KeyAlgorithm.P256
        )
        with pytest.raises(ValidationCertError, match="valid from"):
            factory.validate_cert(future)
        foreign, _ = CertificateFactory.build_self_signed_ca(key_algorithm=KeyAlgorithm.P256)
        with pytest.raises(ValidationCertError, match="issuer"):
            factory.validate_cert(foreign)

    def test_build_crl(self, factory: CertificateFactory) -> None:
        since = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        rows = [
            SimpleNamespace(serial_number="5", revocation_date=since, revocation_reason=None),
            SimpleNamespace(
                serial_number=6, revocation_date=since, revocation_reason="keyCompromise"
            ),
            SimpleNamespace(serial_number=7, revocation_date=None),
        ]
        crl = factory.build_crl(rows, days_valid=3, crl_number=9)
        assert serials(crl) == {5, 6}
        assert _number(crl) == 9
        assert crl.next_update_utc - crl.last_update_utc == timedelta(days=3)
        assert crl.is_signature_valid(factory.certificate.public_key())

    def test_of_a_leaf(self, factory: CertificateFactory) -> None:
        certificate, key, _ = factory.issue_certificate(
            "a.internal", key_algorithm=KeyAlgorithm.P256
        )
        with pytest.raises(ErrorLoadCert, match="not a CA"):
            CertificateFactory(CAMaterial(certificate, key))
