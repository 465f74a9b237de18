"""`ports.crypto.Crypto` by pyca/cryptography."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.adapters.outbound.crypto.extensions import x509_name
from tiny_ca.adapters.outbound.crypto.factory import CertificateFactory
from tiny_ca.adapters.outbound.crypto.keys import can_sign, generate_private_key, key_spec_of
from tiny_ca.adapters.outbound.crypto.loaders import CAMaterial
from tiny_ca.adapters.outbound.crypto.reading import check_readable, read_request
from tiny_ca.adapters.outbound.crypto.signing import (
    Signer,
    is_issued_by,
    sign_certificate,
    sign_draft,
    sign_request,
)
from tiny_ca.domain.errors import SigningError
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.ports.crypto import PrivateKey, ReceivedRequest
from tiny_ca.ports.issuer import issuer_id_of_key

__all__ = ["CryptographyBackend"]


class CryptographyBackend:
    """Makes keys, and issuers that hold theirs in memory."""

    def generate_private_key(self, spec: KeySpec) -> CertificateIssuerPrivateKeyTypes:
        """Make a key.  Raises `SigningError` when the backend lacks the algorithm."""
        return generate_private_key(spec)

    def sign_request(self, subject: SubjectName, key: PrivateKey) -> x509.CertificateSigningRequest:
        """Sign a PKCS #10 request with *key*.  Raises `SigningError` when it can't sign."""
        return sign_request(subject, _signer(key))

    def read_request(
        self, csr: x509.CertificateSigningRequest | bytes | str, *, for_ca: bool = False
    ) -> ReceivedRequest:
        """Read a request.  Raises `InvalidCSR`, `WeakKey`, `InvalidName`."""
        return read_request(csr, for_ca=for_ca)

    def key_spec(self, public_key: Any) -> KeySpec:
        """Say what kind of key it is.  Raises `WeakKey`."""
        return key_spec_of(public_key)

    def check_readable(self, certificate: x509.Certificate) -> None:
        """Check that key and extensions of a certificate can be read.  Raises `ErrorLoadCert`."""
        check_readable(certificate)

    def is_issued_by(self, certificate: x509.Certificate, ca: x509.Certificate) -> bool:
        """Whether *ca* has the name and the key that *certificate* was signed with."""
        return is_issued_by(certificate, ca)

    def issuer_id(self, subject: SubjectName, key: PrivateKey) -> str:
        """Give the registry's name for a CA to be."""
        return issuer_id_of_key(x509_name(subject), key.public_key())

    def self_sign(self, plan: CertificatePlan, key: PrivateKey) -> x509.Certificate:
        """Sign a CA's own certificate, checked against *plan*.  Raises `SigningError`."""
        return sign_certificate(Signer.of(_signer(key)), plan, key.public_key())

    def draft(
        self,
        plan: CertificatePlan,
        issuer: x509.Certificate | None,
        public_key: Any = None,
        subject: x509.Name | None = None,
    ) -> x509.Certificate:
        """Give a certificate that says what *plan* will, under the signature of nobody's key."""
        return sign_draft(plan, public_key, issuer, subject)

    def issuer(self, certificate: x509.Certificate, key: PrivateKey) -> CertificateFactory:
        """Make an issuer.  Raises `ErrorLoadCert` if it is no CA, or the key is not its key."""
        return CertificateFactory(CAMaterial(certificate, _signer(key)))


def _signer(key: PrivateKey) -> CertificateIssuerPrivateKeyTypes:
    if not can_sign(key):
        raise SigningError(
            f"A {type(key).__name__} can't sign: pass a private key of cryptography."
        )
    return key
