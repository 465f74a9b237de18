"""Certificates of any shape, and CRLs, as other CAs than ours make them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tiny_ca.adapters.outbound.crypto.keys import signature_hash

NOW = datetime(2030, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_SERIAL_NUMBERS = count(1000)
_NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)
CA_USAGE = ("key_cert_sign", "crl_sign")


@cache
def key_of(name: str) -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def usage(*bits: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{**_NO_USAGE, **dict.fromkeys(bits, True)})


def dn(*attributes: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(",".join(attributes)) if attributes else x509.Name([])


@dataclass(frozen=True)
class Node:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def name(self) -> x509.Name:
        return self.certificate.subject

    def crl(
        self,
        *revoked: "Node",
        number: int | None = 1,
        at: datetime = NOW - DAY,
        until: datetime | None = NOW + DAY,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
        key: Any = None,
    ) -> x509.CertificateRevocationList:
        all_of = [*extensions, *([] if number is None else [(x509.CRLNumber(number), False)])]
        return x509.CertificateRevocationListBuilder(
            issuer_name=self.name,
            last_update=at.replace(tzinfo=None),
            next_update=(until or NOW).replace(tzinfo=None),
            extensions=[x509.Extension(value.oid, critical, value) for value, critical in all_of],
            revoked_certificates=[
                x509.RevokedCertificateBuilder(
                    one.certificate.serial_number, at.replace(tzinfo=None)
                ).build()
                for one in revoked
            ],
        ).sign(key or self.key, hashes.SHA256())


def made(
    name: str | x509.Name,
    issuer: Node | None = None,
    *,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    key: Any = None,
    not_before: datetime = NOW - 30 * DAY,
    not_after: datetime = NOW + 30 * DAY,
    algorithm: Any = None,
    serial_number: int | None = None,
    leave_out: Iterable[type[x509.ExtensionType]] = (),
) -> Node:
    """Sign a certificate, with key identifiers unless they are left out."""
    subject = name if isinstance(name, x509.Name) else dn(f"CN={name}")
    key = key or key_of(subject.rfc4514_string())
    signer = key if issuer is None else issuer.key
    identifier = x509.SubjectKeyIdentifier.from_public_key
    builder = x509.CertificateBuilder(
        subject if issuer is None else issuer.name,
        subject,
        key.public_key(),
        serial_number or next(_SERIAL_NUMBERS),
        not_before.replace(tzinfo=None),
        not_after.replace(tzinfo=None),
    )
    identifiers: list[tuple[x509.ExtensionType, bool]] = [
        (identifier(key.public_key()), False),
        (
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                identifier(signer.public_key())
            ),
            False,
        ),
    ]
    for value, critical in (*extensions, *identifiers):
        if type(value) not in tuple(leave_out):
            builder = builder.add_extension(value, critical)
    return Node(builder.sign(signer, algorithm or signature_hash(signer)), key)


def ca(
    name: str | x509.Name,
    issuer: Node | None = None,
    *,
    path_length: int | None = None,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    bits: Iterable[str] = CA_USAGE,
    **fields: Any,
) -> Node:
    own = (
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (usage(*bits), True),
    )
    return made(name, issuer, extensions=(*own, *extensions), **fields)


def leaf(
    issuer: Node,
    *names: x509.GeneralName | str,
    name: str | x509.Name = "leaf",
    purposes: Iterable[x509.ObjectIdentifier] = (),
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    **fields: Any,
) -> Node:
    own: list[tuple[x509.ExtensionType, bool]] = [*extensions]
    if names:
        alternative = [x509.DNSName(one) if isinstance(one, str) else one for one in names]
        is_nameless = isinstance(name, x509.Name) and not list(name)
        own.append((x509.SubjectAlternativeName(alternative), is_nameless))
    if purposes:
        own.append((x509.ExtendedKeyUsage(list(purposes)), False))
    if not any(isinstance(value, x509.KeyUsage) for value, _ in own):
        own.append((usage("digital_signature"), True))
    return made(name, issuer, extensions=own, **fields)


def permit(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.NameConstraints(list(names), None), True


def exclude(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.NameConstraints(None, list(names)), True
