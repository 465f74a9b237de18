"""From a plan to X.509 extensions (RFC 5280 §4.2)."""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from tiny_ca.domain.names import GeneralName, GeneralNameKind, SubjectName
from tiny_ca.domain.plan import CertificatePlan, KeyUsage, PublicationURLs

__all__ = [
    "authority_key_identifier",
    "distribution_point",
    "extensions_of",
    "uris",
    "x509_name",
]

Extension = tuple[x509.ExtensionType, bool]

_NO_KEY_USAGE = dict.fromkeys(
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
_NAME_ATTRIBUTES = (
    ("country", NameOID.COUNTRY_NAME),
    ("state", NameOID.STATE_OR_PROVINCE_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("organizational_unit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("common_name", NameOID.COMMON_NAME),
    ("email", NameOID.EMAIL_ADDRESS),
)


def x509_name(subject: SubjectName) -> x509.Name:
    """Encode a distinguished name, in the usual order of its attributes."""
    return x509.Name(
        [
            x509.NameAttribute(oid, value)
            for attribute, oid in _NAME_ATTRIBUTES
            if (value := getattr(subject, attribute)) is not None
        ]
    )


def _general_name(name: GeneralName) -> x509.GeneralName:
    match name.kind:
        case GeneralNameKind.DNS:
            return x509.DNSName(name.value)
        case GeneralNameKind.IP:
            return x509.IPAddress(ipaddress.ip_address(name.value))
        case GeneralNameKind.EMAIL:
            return x509.RFC822Name(name.value)


def _key_usage(usage: frozenset[KeyUsage]) -> x509.KeyUsage:
    return x509.KeyUsage(**_NO_KEY_USAGE | {bit.value: True for bit in usage})


def authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Point at the CA's key, by the identifier in its certificate (§4.2.1.1)."""
    try:
        ski = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        ski = x509.SubjectKeyIdentifier.from_public_key(ca.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)


def extensions_of(
    plan: CertificatePlan, public_key: Any, authority: x509.AuthorityKeyIdentifier | None
) -> Iterator[Extension]:
    """Give the extensions of a certificate, each with whether it is critical."""
    yield x509.BasicConstraints(plan.is_ca, plan.path_length), True
    yield _key_usage(plan.key_usage), True
    if plan.extended_key_usage:
        oids = [x509.ObjectIdentifier(purpose.value) for purpose in plan.extended_key_usage]
        yield x509.ExtendedKeyUsage(oids), False
    if plan.subject_alternative_names:
        # Critical only beside an empty subject (§4.2.1.6), and ours always have a name.
        names = [_general_name(name) for name in plan.subject_alternative_names]
        yield x509.SubjectAlternativeName(names), False
    yield x509.SubjectKeyIdentifier.from_public_key(public_key), False
    if authority is not None:
        yield authority, False
    yield from _pointers(plan.urls.of(plan.serial_number))


def distribution_point(urls: Iterable[str]) -> x509.DistributionPoint:
    """Say where one and the same CRL is (§4.2.1.13)."""
    return x509.DistributionPoint(uris(urls), None, None, None)


def uris(urls: Iterable[str]) -> list[x509.GeneralName]:
    """Make general names of URLs."""
    return [x509.UniformResourceIdentifier(url) for url in urls]


def _pointers(urls: PublicationURLs) -> Iterator[Extension]:
    if urls.crl:
        yield x509.CRLDistributionPoints([distribution_point(urls.crl)]), False
    if urls.delta:
        yield x509.FreshestCRL([distribution_point(urls.delta)]), False
    methods = {
        AuthorityInformationAccessOID.OCSP: urls.ocsp,
        AuthorityInformationAccessOID.CA_ISSUERS: urls.issuer,
    }
    descriptions = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, at in methods.items()
        for url in at
    ]
    if descriptions:
        yield x509.AuthorityInformationAccess(descriptions), False
