"""Keys and the signatures that need no issuer."""

from typing import Any, Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.ports.issuer import Issuer

__all__ = ["Crypto", "PrivateKey"]


class PrivateKey(Protocol):
    """A private key of any algorithm, as cryptography's classes give it."""

    def public_key(self) -> Any:
        """Give the public half."""
        ...

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:  # noqa: A002
        """Serialise the key, as cryptography's keys do."""
        ...


@runtime_checkable
class Crypto(Protocol):
    """Makes keys and what they sign for themselves."""

    def generate_private_key(self, spec: KeySpec) -> PrivateKey:
        """Make a key.  Raises `SigningError` when the backend can't make this kind."""
        ...

    def sign_request(self, subject: SubjectName, key: PrivateKey) -> x509.CertificateSigningRequest:
        """Sign a PKCS #10 request (RFC 2986) that proves possession of *key*."""
        ...

    def issuer_id(self, subject: SubjectName, key: PrivateKey) -> str:
        """Give the registry's name for a CA to be, as `own_issuer_id` will: 32 hex digits."""
        ...

    def self_sign(self, plan: CertificatePlan, key: PrivateKey) -> x509.Certificate:
        """Sign a CA's own certificate, checked against *plan*.

        Raises `SigningError` when what was signed is not what was planned.
        """
        ...

    def issuer(self, certificate: x509.Certificate, key: PrivateKey) -> Issuer:
        """Make an issuer.  Raises `ErrorLoadCert` if it is no CA, or the key is not its key."""
        ...
