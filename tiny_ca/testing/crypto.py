"""The contract of `ports.crypto.Crypto`."""

# ruff: noqa: S101

from dataclasses import replace

import pytest
from cryptography import x509

from tiny_ca.domain.errors import ErrorLoadCert, SigningError
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.plan import CertificatePlan, KeyUsage
from tiny_ca.ports.crypto import Crypto, PrivateKey
from tiny_ca.ports.issuer import Issuer, own_issuer_id
from tiny_ca.testing.issuer import assert_as_planned
from tiny_ca.testing.samples import (
    P256,
    damaged_certificates,
    leaf_plan,
    root_plan,
    sample_key,
)

__all__ = ["CryptoContract"]


class CryptoContract:
    """Proves a maker of keys and issuers.

    Subclass it as `class TestMyCrypto(CryptoContract)` and provide a fixture *crypto*.
    """

    @pytest.fixture
    def key_spec(self) -> KeySpec:
        """Give the kind of key to prove it with; override this to try others."""
        return P256

    @pytest.fixture
    def key(self, crypto: Crypto, key_spec: KeySpec) -> PrivateKey:
        """Give a key of the backend's."""
        return crypto.generate_private_key(key_spec)

    @pytest.fixture
    def plan(self, key_spec: KeySpec) -> CertificatePlan:
        """Give the plan of a CA with such a key."""
        return root_plan(key=key_spec)

    @pytest.fixture
    def certificate(
        self, crypto: Crypto, key: PrivateKey, plan: CertificatePlan
    ) -> x509.Certificate:
        """Give the CA's certificate."""
        return crypto.self_sign(plan, key)

    def test_is_a_crypto(self, crypto: Crypto) -> None:
        """It has every method of the port."""
        assert isinstance(crypto, Crypto)

    def test_a_draft_says_what_will_be_signed(
        self, crypto: Crypto, key: PrivateKey, plan: CertificatePlan, certificate: x509.Certificate
    ) -> None:
        """Octet for octet; the signature is nobody's."""
        issuer = crypto.issuer(certificate, key)
        public_key = sample_key().public_key()
        leaf = leaf_plan()
        draft = crypto.draft(leaf, certificate, public_key)
        signed = issuer.sign_certificate(leaf, public_key)
        assert draft.tbs_certificate_bytes == signed.tbs_certificate_bytes
        assert not crypto.is_issued_by(draft, certificate)

    def test_a_draft_of_a_root_signs_itself(
        self, crypto: Crypto, plan: CertificatePlan, certificate: x509.Certificate
    ) -> None:
        """By a key of the same kind: that is how a root is told."""
        draft = crypto.draft(plan, None)
        assert crypto.is_issued_by(draft, draft)
        assert not crypto.is_issued_by(draft, certificate)
        assert crypto.key_spec(draft.public_key()) == plan.key
        assert (draft.subject, draft.serial_number) == (certificate.subject, plan.serial_number)

    def test_a_draft_has_a_key_of_the_planned_kind(
        self, crypto: Crypto, plan: CertificatePlan, certificate: x509.Certificate
    ) -> None:
        """When it has none yet; and whatever subject it is given."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Other")])
        draft = crypto.draft(plan, certificate, None, subject)
        assert crypto.key_spec(draft.public_key()) == plan.key
        assert draft.subject == subject
        assert draft.public_key() != certificate.public_key()

    def test_each_key_is_another(self, crypto: Crypto, key_spec: KeySpec, key: PrivateKey) -> None:
        """Made of new random bits, of the length that was asked for."""
        other = crypto.generate_private_key(key_spec)
        assert other.public_key() != key.public_key()
        assert type(other) is type(key)
        assert getattr(key, "key_size", key_spec.rsa_bits) in (256, 384, 521, key_spec.rsa_bits)

    def test_sign_request(self, crypto: Crypto, key: PrivateKey) -> None:
        """It says subject and key, and proves possession of the key."""
        csr = crypto.sign_request(SubjectName("Läaf", country="UA"), key)
        assert csr.is_signature_valid
        assert csr.public_key() == key.public_key()
        assert csr.subject.rfc4514_string() == "CN=Läaf,C=UA"

    def test_self_sign(
        self, key: PrivateKey, plan: CertificatePlan, certificate: x509.Certificate
    ) -> None:
        """The certificate is as planned, and by its own key."""
        assert_as_planned(certificate, plan, key.public_key())
        assert certificate.issuer == certificate.subject
        certificate.verify_directly_issued_by(certificate)

    def test_what_can_not_be_written_is_not_signed(self, crypto: Crypto, key: PrivateKey) -> None:
        """A certificate has whole seconds: `SigningError` rather than another moment."""
        plan = root_plan()
        start = plan.validity.not_before.replace(microsecond=1)
        plan = replace(plan, validity=Validity(start, plan.validity.not_after))
        with pytest.raises(SigningError):
            crypto.self_sign(plan, key)

    def test_what_is_malformed_is_not_readable(
        self, crypto: Crypto, certificate: x509.Certificate
    ) -> None:
        """The key, an extension or a name: `ErrorLoadCert`, before anybody relies on them."""
        crypto.check_readable(certificate)
        for damaged in damaged_certificates():
            with pytest.raises(ErrorLoadCert):
                crypto.check_readable(damaged)

    def test_issuer_id(
        self, crypto: Crypto, key: PrivateKey, plan: CertificatePlan, certificate: x509.Certificate
    ) -> None:
        """It is known before the certificate is signed, and tells names and keys apart."""
        name = crypto.issuer_id(plan.subject, key)
        assert name == own_issuer_id(certificate) == crypto.issuer(certificate, key).issuer_id
        assert name != crypto.issuer_id(plan.subject, sample_key())
        assert name != crypto.issuer_id(SubjectName("Another CA"), key)

    def test_issuer(self, crypto: Crypto, key: PrivateKey, certificate: x509.Certificate) -> None:
        """It is the CA of the certificate, and signs with the key."""
        issuer = crypto.issuer(certificate, key)
        assert isinstance(issuer, Issuer)
        assert issuer.certificate == certificate
        issuer.verify(issuer.sign_certificate(leaf_plan(), sample_key().public_key()))

    def test_another_key_makes_no_issuer(
        self, crypto: Crypto, key_spec: KeySpec, certificate: x509.Certificate
    ) -> None:
        """Of the same kind or not: `ErrorLoadCert`."""
        for other in (crypto.generate_private_key(key_spec), sample_key()):
            with pytest.raises(ErrorLoadCert):
                crypto.issuer(certificate, other)

    def test_a_leaf_makes_no_issuer(
        self, crypto: Crypto, key: PrivateKey, certificate: x509.Certificate
    ) -> None:
        """`ErrorLoadCert`, though the key is its key."""
        issuer = crypto.issuer(certificate, key)
        leaf = issuer.sign_certificate(leaf_plan(), key.public_key())
        with pytest.raises(ErrorLoadCert):
            crypto.issuer(leaf, key)

    @pytest.mark.parametrize(
        "changes",
        [{"is_ca": False}, {"key_usage": frozenset({KeyUsage.DIGITAL_SIGNATURE})}],
        ids=["not cA", "no keyCertSign"],
    )
    def test_half_a_ca_makes_no_issuer(
        self, crypto: Crypto, key: PrivateKey, changes: dict[str, object]
    ) -> None:
        """RFC 5280 §4.2.1.9 asks for cA, §4.2.1.3 for keyCertSign: `ErrorLoadCert`."""
        certificate = crypto.self_sign(replace(root_plan(), **changes), key)  # type: ignore[arg-type]
        with pytest.raises(ErrorLoadCert):
            crypto.issuer(certificate, key)
