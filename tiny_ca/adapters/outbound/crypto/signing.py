"""Building and signing certificates and requests: the only caller of their `sign`."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tiny_ca.adapters.outbound.crypto import der
from tiny_ca.adapters.outbound.crypto.extensions import (
    authority_key_identifier,
    extension,
    extensions_of,
    x509_name,
)
from tiny_ca.adapters.outbound.crypto.keys import (
    generate_private_key,
    key_spec_of,
    signature_hash,
)
from tiny_ca.adapters.outbound.crypto.signatures import (
    sign_octets,
    signature_algorithm,
    verify_octets,
)
from tiny_ca.domain.errors import SigningError
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.plan import CertificatePlan

__all__ = ["Signer", "is_issued_by", "sign_certificate", "sign_draft", "sign_request"]

_VERSION_3 = der.explicit(0, der.integer(2))


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, and what all certificates that it signs have in common."""

    key: CertificateIssuerPrivateKeyTypes
    public_key: Any
    algorithm: bytes
    name: bytes | None
    """Of the issuer, encoded; `None`: the subject's own."""
    authority: bytes | None

    @classmethod
    def of(
        cls, key: CertificateIssuerPrivateKeyTypes, ca: x509.Certificate | None = None
    ) -> "Signer":
        """Sign with *key*, in the name of *ca* or in the subject's own."""
        return cls(
            key=key,
            public_key=key.public_key(),
            algorithm=signature_algorithm(key),
            name=None if ca is None else ca.subject.public_bytes(),
            authority=None if ca is None else extension(authority_key_identifier(ca)),
        )


def sign_certificate(
    signer: Signer, plan: CertificatePlan, public_key: Any, subject: x509.Name | None = None
) -> x509.Certificate:
    """Sign *plan* for *public_key*, and check the result.

    *subject*: another CA's, as it encodes it itself; `None`: the plan's.

    Raises `SigningError` when the key can't sign, or the result is not what was planned.
    """
    certificate, to_be_signed = _sign(signer, plan, public_key, subject)
    # A certificate that says anything else than its row in the registry can't be answered for.
    is_as_planned = (
        certificate.serial_number == plan.serial_number
        and certificate.not_valid_before_utc == plan.validity.not_before
        and certificate.not_valid_after_utc == plan.validity.not_after
    )
    if not is_as_planned:
        raise SigningError("What was signed differs from what was planned; it was discarded.")
    # A faulty signature may give the CA's key away.
    verify_octets(signer.public_key, certificate.signature, to_be_signed)
    return certificate


def sign_draft(
    plan: CertificatePlan,
    public_key: Any,
    issuer: x509.Certificate | None,
    subject: x509.Name | None = None,
) -> x509.Certificate:
    """Sign what `sign_certificate` would, with a key that is nobody's.

    Without a *public_key*, for one of the planned kind; without an *issuer*, by that itself.
    Raises `SigningError`, `WeakKey`.
    """
    if public_key is None:
        public_key = _nobodys_key(plan.key).public_key()
    spec = plan.key
    if issuer is not None:
        # The algorithm is part of what is signed; the length of an RSA key is not.
        spec = KeySpec(key_spec_of(issuer.public_key()).algorithm)
    signer = Signer.of(_nobodys_key(spec), issuer)
    return _sign(signer, plan, public_key, subject)[0]


@cache
def _nobodys_key(spec: KeySpec) -> CertificateIssuerPrivateKeyTypes:
    return generate_private_key(spec)


def _sign(
    signer: Signer, plan: CertificatePlan, public_key: Any, subject: x509.Name | None
) -> tuple[x509.Certificate, bytes]:
    """Give the certificate, and what was signed of it.

    RFC 5280 §4.1.  Written here: cryptography's builder takes three times as long, since it
    encodes anew what all certificates of a CA have in common.
    """
    name = (subject or x509_name(plan.subject)).public_bytes()
    try:
        to_be_signed = der.sequence(
            _VERSION_3,
            der.integer(plan.serial_number),
            signer.algorithm,
            name if signer.name is None else signer.name,
            der.sequence(der.time(plan.validity.not_before), der.time(plan.validity.not_after)),
            name,
            public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            der.explicit(3, der.sequence(*extensions_of(plan, public_key, signer.authority))),
        )
        signature = der.bit_string(sign_octets(signer.key, to_be_signed))
        certificate = der.sequence(to_be_signed, signer.algorithm, signature)
        return x509.load_der_x509_certificate(certificate), to_be_signed
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"The CA's key did not sign: {error}") from error


def is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Whether *ca* has the name and the key that *certificate* was signed with."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        return False
    return True


def sign_request(
    subject: SubjectName, key: CertificateIssuerPrivateKeyTypes
) -> x509.CertificateSigningRequest:
    """Sign a PKCS #10 request (RFC 2986) with *key*.  Raises `SigningError` if it can't sign."""
    builder = x509.CertificateSigningRequestBuilder(x509_name(subject))
    try:
        return builder.sign(key, signature_hash(key))
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"The key did not sign its request: {error}") from error
