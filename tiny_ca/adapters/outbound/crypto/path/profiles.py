"""What certificates should look like: RFC 5280 §4, and the Baseline Requirements."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiny_ca.adapters.outbound.crypto.path.links import EMPTY_NAME, Link, Role
from tiny_ca.adapters.outbound.crypto.path.rules import RULES_OF_PATHS, Rule
from tiny_ca.domain.paths import Conformance

__all__ = ["RULES"]


def _is_there_but_not_critical(kind: type[x509.ExtensionType], link: Link) -> bool:
    return kind.oid in link.extensions and not link.is_critical(kind)


def _has_no_issuer_key_identifier(link: Link) -> bool:
    # An issuer's key needs no finding where the search ends, or where it is the same.
    return link.issuer_key_identifier is None and not link.is_anchor and not link.is_self_issued


def _is_mute(link: Link) -> bool:
    is_named_otherwise = link.is_critical(x509.SubjectAlternativeName) and not link.is_ca
    return link.subject == EMPTY_NAME and not is_named_otherwise


def _signs_but_is_no_ca(link: Link) -> bool:
    usage = link.get(x509.KeyUsage)
    return usage is not None and usage.key_cert_sign and not link.is_ca


def _has_a_vain_path_length(link: Link) -> bool:
    constraints, usage = link.get(x509.BasicConstraints), link.get(x509.KeyUsage)
    if constraints is None or constraints.path_length is None:
        return False
    return not constraints.ca or (usage is not None and not usage.key_cert_sign)


def _has_an_explicit_curve(link: Link) -> bool:
    if not isinstance(link.public_key, ec.EllipticCurvePublicKey):
        return False
    # cryptography reads explicit parameters, and writes the name of the curve that they are.
    start = link.spki.index(b"\x30", 1)
    named = link.spki[start : start + 2 + link.spki[start + 1]]
    return named not in link.certificate.tbs_certificate_bytes


_NEVER_CRITICAL = (
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.AuthorityInformationAccess,
)
_RFC5280 = (
    Rule(
        "RFC 5280 §4.1.2.1",
        "has extensions, and is not of version 3",
        lambda link: link.certificate.version is not x509.Version.v3 and bool(link.extensions),
    ),
    Rule(
        "RFC 5280 §4.1.2.2",
        "has a serial number that is not of 1-20 octets and positive",
        lambda link: (
            link.role is not Role.ROOT and not 0 < link.certificate.serial_number < 1 << 159
        ),
    ),
    Rule("RFC 5280 §4.1.2.4", "names no issuer", lambda link: link.issuer == EMPTY_NAME),
    Rule(
        "RFC 5280 §4.1.2.6",
        "has an empty subject, and no critical alternative that could stand for it",
        _is_mute,
    ),
    Rule("RFC 5480 §2.1.1", "has a key on a curve without a name", _has_an_explicit_curve),
    Rule("RFC 5280 §4.2.1.1", "does not identify its issuer's key", _has_no_issuer_key_identifier),
    Rule(
        "RFC 5280 §4.2.1.1, §4.2.1.2, §4.2.2.1",
        "has a critical extension that must not be critical",
        lambda link: any(link.is_critical(kind) for kind in _NEVER_CRITICAL),
    ),
    Rule(
        "RFC 5280 §4.2.1.2",
        "is a CA's and does not identify its key",
        lambda link: link.is_issuer and link.key_identifier is None,
    ),
    Rule("RFC 5280 §4.2.1.3", "may sign certificates, and is not a CA's", _signs_but_is_no_ca),
    Rule("RFC 5280 §4.2.1.9", "limits a path that it can't begin", _has_a_vain_path_length),
    Rule(
        "RFC 5280 §4.2.1.9",
        "is a CA's whose basic constraints are not critical",
        lambda link: link.is_issuer and _is_there_but_not_critical(x509.BasicConstraints, link),
    ),
    Rule(
        "RFC 5280 §4.2.1.10",
        "has name constraints, and is not a CA's",
        lambda link: link.get(x509.NameConstraints) is not None and not link.is_ca,
    ),
    Rule(
        "RFC 5280 §4.2.1.11",
        "has policy constraints that are not critical",
        lambda link: _is_there_but_not_critical(x509.PolicyConstraints, link),
    ),
)

_NAME_CONSTRAINTS_ARE_CRITICAL = Rule(
    "RFC 5280 §4.2.1.10",
    "has name constraints that are not critical",
    lambda link: _is_there_but_not_critical(x509.NameConstraints, link),
)


def _has_a_foreign_key(link: Link) -> bool:
    match link.public_key:
        case rsa.RSAPublicKey():
            return link.public_key.key_size % 8 != 0
        case ec.EllipticCurvePublicKey():
            return not isinstance(link.public_key.curve, (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))
    return True


def _has_a_foreign_common_name(link: Link) -> bool:
    common_names = link.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = link.get(x509.SubjectAlternativeName)
    known = {str(name.value) for name in names} if names is not None else set()
    return not link.is_issuer and any(one.value not in known for one in common_names)


def _has_a_wrong_purpose(link: Link) -> bool:
    usage = link.get(x509.ExtendedKeyUsage)
    if link.role is Role.ROOT:
        return usage is not None
    if link.role is Role.INTERMEDIATE:
        return False
    return (
        usage is None
        or link.is_critical(x509.ExtendedKeyUsage)
        or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
    )


def _identifies_its_key_otherwise(link: Link) -> bool:
    authority = link.get(x509.AuthorityKeyIdentifier)
    if link.role is not Role.ROOT or authority is None or not link.is_self_issued:
        return False
    return (
        authority.key_identifier != link.key_identifier
        or authority.authority_cert_issuer is not None
    )


_WEBPKI = (
    Rule(
        "BR 7.1.1",
        "is not of version 3",
        lambda link: link.certificate.version is not x509.Version.v3,
    ),
    Rule("BR 7.1.3.1", "has a key of another kind than public CAs use", _has_a_foreign_key),
    Rule("BR 7.1.2.1.3", "identifies its own key by something else", _identifies_its_key_otherwise),
    Rule(
        "BR 7.1.2.7.8",
        "is a CA's",
        lambda link: not link.is_issuer and link.is_ca,
    ),
    Rule(
        "BR 7.1.2.7.12",
        "has a critical subject alternative name beside its subject",
        lambda link: (
            not link.is_issuer
            and link.subject != EMPTY_NAME
            and link.is_critical(x509.SubjectAlternativeName)
        ),
    ),
    Rule(
        "BR 7.1.4.3",
        "has a common name that is none of its other names",
        _has_a_foreign_common_name,
    ),
    Rule("BR 7.1.2.7.10, 7.1.2.1.2", "does not list purposes as it must", _has_a_wrong_purpose),
)

RULES = {
    Conformance.PATH: RULES_OF_PATHS,
    Conformance.RFC5280: (*RULES_OF_PATHS, *_RFC5280, _NAME_CONSTRAINTS_ARE_CRITICAL),
    # BR 7.1.2.5.2: name constraints may be non-critical there.
    Conformance.WEBPKI: (*RULES_OF_PATHS, *_RFC5280, *_WEBPKI),
}
"""Every rule of each conformance, the most telling first."""
