"""Building and signing certificates and requests: the only caller of their `sign`."""

from functools import cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.adapters.outbound.crypto.extensions import (
    authority_key_identifier,
    extensions_of,
    x509_name,
)
from tiny_ca.adapters.outbound.crypto.keys import (
    generate_private_key,
    key_spec_of,
    signature_hash,
)
from tiny_ca.domain.errors import SigningError
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.plan import CertificatePlan

__all__ = ["is_issued_by", "sign_certificate", "sign_draft", "sign_request"]


def sign_certificate(
    plan: CertificatePlan,
    public_key: Any,
    issuer_key: CertificateIssuerPrivateKeyTypes,
    issuer: x509.Certificate | None,
    authority: x509.AuthorityKeyIdentifier | None,
    subject: x509.Name | None = None,
) -> x509.Certificate:
    """Sign *plan* for *public_key*, self-signed when *issuer* is `None`, and check the result.

    *subject*: another CA's, as it encodes it itself; `None`: the plan's.

    Raises `SigningError` when the key can't sign, or the result is not what was planned.
    """
    subject = subject or x509_name(plan.subject)
    extensions = _extensions(plan, public_key, authority)
    certificate = _sign(plan, public_key, issuer_key, issuer, subject, extensions)
    # A certificate that says anything else than its row in the registry can't be answered for.
    is_as_planned = (
        certificate.serial_number == plan.serial_number
        and certificate.subject == subject
        and certificate.not_valid_before_utc == plan.validity.not_before
        and certificate.not_valid_after_utc == plan.validity.not_after
        and list(certificate.extensions) == extensions
        and certificate.public_key() == public_key
    )
    if not is_as_planned:
        raise SigningError("What was signed differs from what was planned; it was discarded.")
    try:
        # A faulty RSA-CRT signature would give the CA's key away.
        certificate.verify_directly_issued_by(certificate if issuer is None else issuer)
    except (InvalidSignature, TypeError, ValueError) as error:
        raise SigningError("The new signature does not verify; it was discarded.") from error
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
    signer, authority = plan.key, None
    if issuer is not None:
        # The algorithm is part of what is signed; the length of an RSA key is not.
        signer = KeySpec(key_spec_of(issuer.public_key()).algorithm)
        authority = authority_key_identifier(issuer)
    return _sign(
        plan,
        public_key,
        _nobodys_key(signer),
        issuer,
        subject or x509_name(plan.subject),
        _extensions(plan, public_key, authority),
    )


@cache
def _nobodys_key(spec: KeySpec) -> CertificateIssuerPrivateKeyTypes:
    return generate_private_key(spec)


def _extensions(
    plan: CertificatePlan, public_key: Any, authority: x509.AuthorityKeyIdentifier | None
) -> list[x509.Extension[x509.ExtensionType]]:
    return [
        x509.Extension(extension.oid, critical, extension)
        for extension, critical in extensions_of(plan, public_key, authority)
    ]


def _sign(
    plan: CertificatePlan,
    public_key: Any,
    key: CertificateIssuerPrivateKeyTypes,
    issuer: x509.Certificate | None,
    subject: x509.Name,
    extensions: list[x509.Extension[x509.ExtensionType]],
) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        issuer_name=subject if issuer is None else issuer.subject,
        subject_name=subject,
        public_key=public_key,
        serial_number=plan.serial_number,
        not_valid_before=plan.validity.not_before.replace(tzinfo=None),
        not_valid_after=plan.validity.not_after.replace(tzinfo=None),
        extensions=extensions,
    )
    try:
        return builder.sign(key, signature_hash(key))
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
