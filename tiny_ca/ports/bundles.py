"""Certificates and keys in the formats that other programs import."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["Bundle", "Bundles", "Protection"]


@dataclass(frozen=True, slots=True)
class Protection:
    """A password, and whether old readers have to understand what it encrypts.

    Raises `InvalidRequest` for an empty password, and one that is not UTF-8.
    """

    password: bytes = field(repr=False)
    is_compatible: bool = False

    def __post_init__(self) -> None:
        try:
            text = self.password.decode()
        except UnicodeDecodeError:
            text = ""
        if not text:
            # RFC 7292 §B.1: a password is text there, as BMPString.
            raise InvalidRequest("A password is text, as UTF-8, and not empty.") from None


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was read: a certificate, its private key if it is there, and other certificates."""

    certificate: x509.Certificate
    key: PrivateKey | None
    others: tuple[x509.Certificate, ...]


@runtime_checkable
class Bundles(Protocol):
    """Writes certificates, end entity's first, in formats that others read, and reads them."""

    def read(self, data: bytes, password: bytes | None) -> Bundle:
        """Read certificates and a private key: PEM, one after the other, or PKCS #12.

        The certificate is the key's, or else the first.  Raises `ErrorLoadCert` for octets
        that are neither, a wrong or missing password, and a key of none of the certificates.
        """
        ...

    def pem(self, certificates: Sequence[x509.Certificate]) -> bytes:
        """Give one PEM text (RFC 7468 §5) in the order given."""
        ...

    def pkcs7(self, certificates: Sequence[x509.Certificate], *, as_der: bool) -> bytes:
        """Give a certs-only SignedData (RFC 5652 §5.1), PEM unless *as_der*; 1 or more of them."""
        ...

    def pkcs12(
        self,
        certificates: Sequence[x509.Certificate],
        key: PrivateKey,
        name: str,
        protection: Protection | None,
    ) -> bytes:
        """Give a PKCS #12 (RFC 7292) of the first certificate, its *key*, and the others.

        In the clear without *protection*; with it AES-256 and a SHA-256 MAC, or what readers
        of 2010 understand.  Raises `InvalidRequest` for a key that does not belong to the
        first certificate, or that the format can't hold.
        """
        ...

    def java_truststore(
        self, certificates: Sequence[x509.Certificate], protection: Protection | None
    ) -> bytes:
        """Give a PKCS #12 whose certificates Java trusts, by their common names; 1 or more."""
        ...
