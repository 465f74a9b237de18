"""A certificate, read for a path: what can't be read is refused."""

import re
from enum import Enum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.lifetime import Validity

__all__ = ["EMPTY_NAME", "Link", "Role", "check_signature"]

E = TypeVar("E", bound=x509.ExtensionType)

EMPTY_NAME = x509.Name([]).public_bytes()


class Role(Enum):
    """Where in a path a certificate is."""

    TARGET = "target"
    INTERMEDIATE = "intermediate"
    ROOT = "root"


class Link:
    """One certificate of a path.  Raises `ValidationCertError` if it can't be read.

    *is_anchor*: it is trusted as it stands; a target can be, too.
    """

    def __init__(self, certificate: x509.Certificate, role: Role, *, is_anchor: bool) -> None:
        self.certificate = certificate
        self.role = role
        self.is_anchor = is_anchor
        try:
            self.subject = certificate.subject.public_bytes()
            self.issuer = certificate.issuer.public_bytes()
            self.extensions = {one.oid: one for one in certificate.extensions}
            self.public_key = certificate.public_key()
            self.spki = self.public_key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            # Nobody relies on the signature of what is trusted as it stands.
            self.signature_hash = None if is_anchor else certificate.signature_hash_algorithm
            self.validity = Validity(
                certificate.not_valid_before_utc, certificate.not_valid_after_utc
            )
        except UNREADABLE as error:
            raise ValidationCertError(
                f"The certificate with the serial number {certificate.serial_number:#x} "
                f"can't be read: {error}"
            ) from error

    @property
    def name(self) -> str:
        """Its subject and serial number, for messages."""
        subject = re.sub(r"\s", " ", self.certificate.subject.rfc4514_string())[:80]
        return f"{subject!r} ({self.certificate.serial_number:#x})"

    def get(self, kind: type[E]) -> E | None:
        """Give the value of an extension, if it is there."""
        found = self.extensions.get(kind.oid)
        return found.value if found is not None and isinstance(found.value, kind) else None

    def is_critical(self, kind: type[x509.ExtensionType]) -> bool:
        """Whether an extension is there and critical."""
        return kind.oid in self.extensions and self.extensions[kind.oid].critical

    @property
    def is_issuer(self) -> bool:
        """Whether it stands above another one."""
        return self.role is not Role.TARGET

    @property
    def entity(self) -> tuple[bytes, bytes]:
        """The name and the key, which a path never needs twice."""
        return self.subject, self.spki

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same (RFC 5280 §6.1)."""
        return self.subject == self.issuer

    @property
    def is_ca(self) -> bool:
        """Whether basic constraints say so (§4.2.1.9)."""
        constraints = self.get(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    @property
    def key_identifier(self) -> bytes | None:
        """The identifier of its key (§4.2.1.2)."""
        identifier = self.get(x509.SubjectKeyIdentifier)
        return None if identifier is None else identifier.digest

    @property
    def issuer_key_identifier(self) -> bytes | None:
        """The identifier of its issuer's key (§4.2.1.1)."""
        identifier = self.get(x509.AuthorityKeyIdentifier)
        return None if identifier is None else identifier.key_identifier


def check_signature(link: Link, issuer: Link) -> None:
    """Check that *issuer*'s key signed *link*.  Raises `ValidationCertError`."""
    try:
        link.certificate.verify_directly_issued_by(issuer.certificate)
    except InvalidSignature as error:
        raise ValidationCertError(f"The key of {issuer.name} did not sign {link.name}.") from error
    except UNREADABLE as error:
        # A signature that says two things of itself, or is of another kind than the key.
        raise ValidationCertError(
            f"The signature of {link.name} can't be verified: {error}"
        ) from error
