"""pyca/cryptography keeps the contracts of keys and issuers, with every algorithm."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tiny_ca.adapters.outbound.crypto import CAMaterial, CertificateFactory, CryptographyBackend
from tiny_ca.domain.crl import CRLPlan
from tiny_ca.domain.errors import SigningError
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.records import CRLStamp
from tiny_ca.ports.crypto import Crypto, PrivateKey
from tiny_ca.ports.issuer import Issuer
from tiny_ca.testing import CryptoContract, IssuerContract
from tiny_ca.testing.samples import (
    HOUR,
    NOW,
    SampleCA,
    leaf_plan,
    root_plan,
    sample_key,
    signed_crl,
)

SIGNATURES = {
    KeyAlgorithm.RSA: "sha256WithRSAEncryption",
    KeyAlgorithm.P256: "ecdsa-with-SHA256",
    KeyAlgorithm.P384: "ecdsa-with-SHA384",
    KeyAlgorithm.P521: "ecdsa-with-SHA512",
    KeyAlgorithm.ED25519: "1.3.101.112",
    KeyAlgorithm.ED448: "1.3.101.113",
    KeyAlgorithm.ML_DSA_44: "2.16.840.1.101.3.4.3.17",
    KeyAlgorithm.ML_DSA_65: "2.16.840.1.101.3.4.3.18",
    KeyAlgorithm.ML_DSA_87: "2.16.840.1.101.3.4.3.19",
}


def signature_of(signed: Any) -> str:
    oid = signed.signature_algorithm_oid
    name = oid._name
    return oid.dotted_string if oid.dotted_string in SIGNATURES.values() else name


@pytest.fixture(scope="module", params=[KeySpec(each) for each in KeyAlgorithm], ids=str)
def any_key_spec(request: pytest.FixtureRequest) -> KeySpec:
    return request.param


@pytest.fixture(scope="module")
def any_key(any_key_spec: KeySpec) -> PrivateKey:
    return CryptographyBackend().generate_private_key(any_key_spec)


class TestCryptographyBackend(CryptoContract):
    @pytest.fixture
    def crypto(self) -> Crypto:
        return CryptographyBackend()

    @pytest.fixture
    def key_spec(self, any_key_spec: KeySpec) -> KeySpec:
        return any_key_spec

    @pytest.fixture
    def key(self, any_key: PrivateKey) -> PrivateKey:
        return any_key

    def test_a_request_and_a_root_say_how_they_are_signed(
        self, crypto: Crypto, key_spec: KeySpec, key: PrivateKey, certificate: x509.Certificate
    ) -> None:
        expected = SIGNATURES[key_spec.algorithm]
        assert signature_of(certificate) == expected
        assert signature_of(crypto.sign_request(SubjectName("a"), key)) == expected


class TestCertificateFactory(IssuerContract):
    @pytest.fixture
    def issuer(self, any_key_spec: KeySpec, any_key: PrivateKey) -> Issuer:
        plan = replace(
            root_plan("Issuer", any_key_spec),
            subject=SubjectName("Issuer", "ACME", "Unit", "UA", "State", "Locality"),
        )
        certificate = CryptographyBackend().self_sign(plan, any_key)
        return CertificateFactory(CAMaterial(certificate, any_key))

    def test_a_certificate_and_a_crl_say_how_they_are_signed(
        self, issuer: Issuer, any_key_spec: KeySpec
    ) -> None:
        expected = SIGNATURES[any_key_spec.algorithm]
        certificate = issuer.sign_certificate(leaf_plan(), sample_key().public_key())
        assert signature_of(certificate) == expected
        assert signature_of(signed_crl(issuer, CRLPlan(CRLStamp(1, NOW, NOW + HOUR)))) == expected


class FaultyKey(ec.EllipticCurvePrivateKey):
    """A key in hardware that signs something else."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        return self._key.sign(bytes(data) + b"\0", signature_algorithm)

    def public_key(self) -> Any:
        return self._key.public_key()

    @property
    def curve(self) -> Any:
        return self._key.curve

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def exchange(self, algorithm: Any, peer_public_key: Any) -> bytes:
        raise NotImplementedError

    def private_numbers(self) -> Any:
        raise NotImplementedError

    def private_bytes(self, encoding: Any, *_: Any) -> bytes:
        raise NotImplementedError

    def __copy__(self) -> "FaultyKey":
        return self

    def __deepcopy__(self, memo: object) -> "FaultyKey":
        return self


class TestAFaultySignatureIsNotGivenOut:
    @pytest.fixture
    def issuer(self) -> Issuer:
        ca = SampleCA()
        return CryptographyBackend().issuer(ca.issuer.certificate, FaultyKey(ca.key))

    def test_of_a_certificate(self, issuer: Issuer) -> None:
        with pytest.raises(SigningError):
            issuer.sign_certificate(leaf_plan(), sample_key().public_key())

    def test_of_a_crl(self, issuer: Issuer) -> None:
        with pytest.raises(SigningError):
            signed_crl(issuer, CRLPlan(CRLStamp(1, NOW, NOW + HOUR)))

    def test_of_a_root(self) -> None:
        with pytest.raises(SigningError):
            CryptographyBackend().self_sign(root_plan(), FaultyKey(sample_key()))
