"""What each certificate of a path must be, whatever its path."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtensionOID

from tiny_ca.adapters.outbound.crypto.path.links import Link
from tiny_ca.domain.errors import ValidationCertError

__all__ = ["RULES_OF_PATHS", "Rule", "apply"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand on a certificate: where it is made, how it is missed, and by which ones."""

    clause: str
    says: str
    is_broken: Callable[[Link], bool]


def apply(rules: tuple[Rule, ...], link: Link) -> None:
    """Check *link* against *rules*.  Raises `ValidationCertError` that names the first broken."""
    for rule in rules:
        if rule.is_broken(link):
            raise ValidationCertError(f"The certificate {link.name} {rule.says} ({rule.clause}).")


# What is used, or says nothing that a path depends on when it is not (§4.2).
_PROCESSED = frozenset(
    {
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)
_SIGNATURE_KEYS = (
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    mldsa.MLDSA44PublicKey,
    mldsa.MLDSA65PublicKey,
    mldsa.MLDSA87PublicKey,
)


def _has_unknown_critical(link: Link) -> bool:
    return any(one.critical and oid not in _PROCESSED for oid, one in link.extensions.items())


def _has_weak_key(link: Link) -> bool:
    match link.public_key:
        case rsa.RSAPublicKey():
            return link.public_key.key_size < 2048
        case ec.EllipticCurvePublicKey():
            return link.public_key.curve.key_size < 224
    return not isinstance(link.public_key, _SIGNATURE_KEYS)


def _has_weak_signature(link: Link) -> bool:
    return link.signature_hash is not None and link.signature_hash.digest_size < 28


def _can_not_issue(link: Link) -> bool:
    usage = link.get(x509.KeyUsage)
    return link.is_issuer and usage is not None and not usage.key_cert_sign


RULES_OF_PATHS = (
    Rule(
        "RFC 5280 §6.1.4 (o)",
        "has a critical extension that is not known here",
        _has_unknown_critical,
    ),
    Rule(
        "RFC 5280 §6.1.4 (k)",
        "is not a CA's",
        lambda link: link.is_issuer and not link.is_ca,
    ),
    Rule("RFC 5280 §6.1.4 (n)", "is of a key that may not sign certificates", _can_not_issue),
    Rule("NIST SP 800-131A", "has a key that is weak, or for no signatures", _has_weak_key),
    Rule("NIST SP 800-131A", "is signed with a broken hash", _has_weak_signature),
)
