"""From a plan to X.509 extensions (RFC 5280 §4.2)."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from tiny_ca.adapters.outbound.crypto import der
from tiny_ca.domain.name_constraints import NameForm, NameSubtree
from tiny_ca.domain.names import (
    SUBJECT_ATTRIBUTES,
    DirectoryBase,
    GeneralName,
    GeneralNameKind,
    SubjectName,
)
from tiny_ca.domain.plan import CertificatePlan, KeyUsage, PlannedConstraints, PublicationURLs

__all__ = [
    "authority_key_identifier",
    "distribution_point",
    "extension",
    "extensions_of",
    "uris",
    "x509_name",
]

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
_NAME_ATTRIBUTES = tuple(
    (attribute, x509.ObjectIdentifier(oid)) for attribute, oid in SUBJECT_ATTRIBUTES
)
# RFC 9608 §2: the extension's value is NULL.
_NO_REV_AVAIL = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.56"), b"\x05\x00")


_SUBTREES: dict[NameForm, Callable[[Any], x509.GeneralName]] = {
    NameForm.DNS: x509.DNSName,
    NameForm.IP: x509.IPAddress,
    NameForm.EMAIL: x509.RFC822Name,
    NameForm.URI: x509.UniformResourceIdentifier,
}


# Certificates of a CA differ in little; what they have in common is made once.
@lru_cache(1024)
def _part(oid: x509.ObjectIdentifier, value: str) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(oid, value)])


def x509_name(subject: SubjectName | DirectoryBase) -> x509.Name:
    """Encode a distinguished name, in the usual order of its attributes."""
    return x509.Name(
        [
            _part(oid, value)
            for attribute, oid in _NAME_ATTRIBUTES
            if (value := getattr(subject, attribute, None)) is not None
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
        case GeneralNameKind.URI:
            return x509.UniformResourceIdentifier(name.value)


@lru_cache(256)
def _uses(
    is_ca: bool,
    path_length: int | None,
    usage: frozenset[KeyUsage],
    purposes: tuple[str, ...],
    are_critical: bool,
) -> tuple[bytes, ...]:
    uses = [
        extension(x509.BasicConstraints(is_ca, path_length), critical=True),
        extension(
            x509.KeyUsage(**_NO_KEY_USAGE | {bit.value: True for bit in usage}), critical=True
        ),
    ]
    if purposes:
        oids = [x509.ObjectIdentifier(purpose) for purpose in purposes]
        uses.append(extension(x509.ExtendedKeyUsage(oids), critical=are_critical))
    return tuple(uses)


def extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    """Encode an extension (§4.1)."""
    return der.sequence(
        der.object_identifier(value.oid.dotted_string),
        der.boolean(True) if critical else b"",
        der.octet_string(value.public_bytes()),
    )


def authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Point at the CA's key, by the identifier in its certificate (§4.2.1.1)."""
    try:
        ski = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        ski = x509.SubjectKeyIdentifier.from_public_key(ca.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)


def extensions_of(
    plan: CertificatePlan, public_key: Any, authority: bytes | None
) -> Iterator[bytes]:
    """Encode the extensions of a certificate; *authority* is its encoded key identifier's."""
    yield from _uses(
        plan.is_ca,
        plan.path_length,
        plan.key_usage,
        plan.extended_key_usage,
        plan.is_extended_key_usage_critical,
    )
    if plan.subject_alternative_names:
        # Critical only beside an empty subject (§4.2.1.6), and ours always have a name.
        names = [_general_name(name) for name in plan.subject_alternative_names]
        yield extension(x509.SubjectAlternativeName(names))
    yield extension(x509.SubjectKeyIdentifier.from_public_key(public_key))
    if authority is not None:
        yield authority
    yield from _policies(plan)
    yield from _pointers(plan.urls.of(plan.serial_number))


def distribution_point(urls: Iterable[str]) -> x509.DistributionPoint:
    """Say where one and the same CRL is (§4.2.1.13)."""
    return x509.DistributionPoint(uris(urls), None, None, None)


def uris(urls: Iterable[str]) -> list[x509.GeneralName]:
    """Make general names of URLs."""
    return [x509.UniformResourceIdentifier(url) for url in urls]


def _policies(plan: CertificatePlan) -> Iterator[bytes]:
    if plan.policies:
        policies = [
            x509.PolicyInformation(x509.ObjectIdentifier(policy), None) for policy in plan.policies
        ]
        yield extension(x509.CertificatePolicies(policies))
    if plan.name_constraints is not None:
        # §4.2.1.10: critical.
        yield extension(_name_constraints(plan.name_constraints), critical=True)
    if plan.ocsp_no_check:
        yield extension(x509.OCSPNoCheck())
    if plan.no_rev_avail:
        yield extension(_NO_REV_AVAIL)


def _name_constraints(planned: PlannedConstraints) -> x509.NameConstraints:
    permitted, excluded = (
        [_subtree(base) for base in bases] or None
        for bases in (planned.permitted, planned.excluded)
    )
    return x509.NameConstraints(permitted, excluded)


def _subtree(subtree: NameSubtree | DirectoryBase) -> x509.GeneralName:
    if isinstance(subtree, DirectoryBase):
        return x509.DirectoryName(x509_name(subtree))
    base: Any = subtree.base
    return _SUBTREES[subtree.form](base)


@lru_cache(1024)
def _pointers(urls: PublicationURLs) -> tuple[bytes, ...]:
    pointers: list[x509.ExtensionType] = []
    if urls.crl:
        pointers.append(x509.CRLDistributionPoints([distribution_point(urls.crl)]))
    if urls.delta:
        pointers.append(x509.FreshestCRL([distribution_point(urls.delta)]))
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
        pointers.append(x509.AuthorityInformationAccess(descriptions))
    return tuple(extension(pointer) for pointer in pointers)
