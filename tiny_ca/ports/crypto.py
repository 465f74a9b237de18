"""Keys and the signatures that need no issuer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.names import GeneralName, SubjectName
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.ports.issuer import Issuer

__all__ = ["Crypto", "PrivateKey", "ReceivedRequest"]


class PrivateKey(Protocol):
    """A private key of any algorithm, as cryptography's classes give it."""

    def public_key(self) -> Any:
        """Give the public half."""
        ...

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:  # noqa: A002
        """Serialise the key, as cryptography's keys do."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """What a certification request (RFC 2986) asks for; possession of its key is proved."""

    csr: x509.CertificateSigningRequest
    public_key: Any
    key: KeySpec
    subject: Mapping[str, str]
    """By attribute, of `SUBJECT_ATTRIBUTES`; the first value of each."""
    names: tuple[GeneralName, ...]
    others: tuple[str, ...]
    """What it asks for beside: attributes, kinds of names, extensions and uses, as text."""


@runtime_checkable
class Crypto(Protocol):
    """Makes keys and what they sign for themselves."""

    def generate_private_key(self, spec: KeySpec) -> PrivateKey:
        """Make a key.  Raises `SigningError` when the backend can't make this kind."""
        ...

    def sign_request(self, subject: SubjectName, key: PrivateKey) -> x509.CertificateSigningRequest:
        """Sign a PKCS #10 request (RFC 2986) that proves possession of *key*."""
        ...

    def read_request(
        self, csr: x509.CertificateSigningRequest | bytes | str, *, for_ca: bool = False
    ) -> ReceivedRequest:
        """Read a request, PEM or DER, and check that its key is sound and its requester's.

        Raises `InvalidCSR`: over 64 KiB (told before it is parsed), malformed, not signed by
        its own key, more than 100 names, or CA:TRUE unless *for_ca*.  Raises `WeakKey`, and
        `InvalidName` for a name that can't be certified.
        """
        ...

    def key_spec(self, public_key: Any) -> KeySpec:
        """Say what kind of key it is.

        Raises `WeakKey` for one that is too short, known to be broken, or of a kind that is
        not certified here.
        """
        ...

    def check_readable(self, certificate: x509.Certificate) -> None:
        """Check that key and extensions of somebody else's certificate can be read.

        Raises `ErrorLoadCert`: they are malformed, or the key is of an unknown kind.
        """
        ...

    def is_issued_by(self, certificate: x509.Certificate, ca: x509.Certificate) -> bool:
        """Whether *ca* has the name and the key that *certificate* was signed with."""
        ...

    def issuer_id(self, subject: SubjectName, key: PrivateKey) -> str:
        """Give the registry's name for a CA to be, as `own_issuer_id` will: 32 hex digits."""
        ...

    def self_sign(self, plan: CertificatePlan, key: PrivateKey) -> x509.Certificate:
        """Sign a CA's own certificate, checked against *plan*.

        Raises `SigningError` when what was signed is not what was planned.
        """
        ...

    def draft(
        self,
        plan: CertificatePlan,
        issuer: x509.Certificate | None,
        public_key: Any = None,
        subject: x509.Name | None = None,
    ) -> x509.Certificate:
        """Give a certificate that says what *plan* will, under the signature of nobody's key.

        What is signed (RFC 5280 §4.1.1.1, tbsCertificate) is octet for octet what *issuer*
        would sign; without a *public_key* it has a key of the planned kind.  Without an
        *issuer* it is self-signed, by that key.  *subject* is as in `Issuer.sign_certificate`.
        The keys that take the real ones' place are made once and never leave.  Raises
        `SigningError`, and `WeakKey` when the issuer's key is of a kind that is not made here.
        """
        ...

    def issuer(self, certificate: x509.Certificate, key: PrivateKey) -> Issuer:
        """Make an issuer.  Raises `ErrorLoadCert` if it is no CA, or the key is not its key."""
        ...
