"""A CA that signs."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, BinaryIO, Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.crl import CRLPlan
from tiny_ca.domain.crl_reader import CRLReader
from tiny_ca.domain.names import CertificateInfo
from tiny_ca.domain.plan import CertificatePlan

__all__ = [
    "MALFORMED",
    "Issuer",
    "is_ca",
    "is_self_issued",
    "issuer_id_of",
    "issuer_id_of_key",
    "key_identifier",
    "names_issuer_key",
    "own_issuer_id",
]

MALFORMED = (KeyError, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What reading a certificate's extensions raises."""


@runtime_checkable
class Issuer(Protocol):
    """One CA: its certificate, and the use of its private key."""

    @property
    def certificate(self) -> x509.Certificate:
        """The CA's certificate."""
        ...

    @property
    def issuer_id(self) -> str:
        """The registry's name for this CA, as `own_issuer_id` gives it."""
        ...

    @property
    def info(self) -> CertificateInfo:
        """What subjects inherit from the CA's own subject."""
        ...

    def sign_certificate(
        self, plan: CertificatePlan, public_key: Any, subject: x509.Name | None = None
    ) -> x509.Certificate:
        """Sign what is planned for *public_key*, and check the result.

        *subject* stands in place of the plan's: another CA's, as that encodes it (RFC 5280
        §4.1.2.6 wants both encoded alike).

        Raises `SigningError` when what was signed is not what was planned.
        """
        ...

    def sign_crl(self, plan: CRLPlan, entries: Iterable[bytes], file: BinaryIO) -> None:
        """Write a signed CRL of this issuer (RFC 5280 §5), DER, into an empty *file*.

        *entries* are encoded ones, whole ones one after the other in each part; they are read
        once and not kept.  Raises `SigningError` when the key can't sign.
        """
        ...

    def verify_crl(self, data: bytes | memoryview) -> CRLReader:
        """Check that this CA signed the CRL *data*, DER, and give what it says.

        Raises `ValidationCertError`.  Neither its dates nor its entries are looked at.
        """
        ...

    def verify(self, certificate: x509.Certificate) -> None:
        """Check that this CA signed *certificate*.  Raises `ValidationCertError`."""
        ...


def _issuer_id(name: x509.Name, key_identifier: bytes) -> str:
    # A name alone does not tell a CA from its successor under a new key.
    return hashlib.sha256(name.public_bytes() + key_identifier).hexdigest()[:32]


def key_identifier(public_key: Any) -> bytes:
    """Give a key's identifier as RFC 5280 §4.2.1.2 (1) makes it: 20 octets."""
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest


def issuer_id_of_key(name: x509.Name, public_key: Any) -> str:
    """Give the id of the CA of this name whose certificate identifies its key as RFC 5280 does."""
    return _issuer_id(name, key_identifier(public_key))


# A process asks about the same few CAs for every certificate that they sign.
@lru_cache(maxsize=256)
def own_issuer_id(certificate: x509.Certificate) -> str:
    """Give the id of the CA that *certificate* is of: 32 hex digits."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return issuer_id_of_key(certificate.subject, certificate.public_key())
    return _issuer_id(certificate.subject, extension.value.digest)


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether *certificate* says that it is a CA's (RFC 5280 §4.2.1.9)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, *MALFORMED):
        return False
    return found.value.ca


@lru_cache(maxsize=256)
def issuer_id_of(certificate: x509.Certificate) -> str:
    """Give the id of the CA that signed *certificate*, from what it says itself."""
    identifier = _issuer_key_identifier(certificate)
    if identifier is None and certificate.issuer == certificate.subject:
        return own_issuer_id(certificate)
    return _issuer_id(certificate.issuer, identifier or b"")


def _issuer_key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return extension.value.key_identifier


def names_issuer_key(certificate: x509.Certificate) -> bool:
    """Whether *certificate* says by which key of its issuer's it was signed."""
    return _issuer_key_identifier(certificate) is not None


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether *certificate* says that its own key signed it, as a root's does."""
    return issuer_id_of(certificate) == own_issuer_id(certificate)
