"""Validating a path from its root down (RFC 5280 §6.1)."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tiny_ca.adapters.outbound.crypto.path.budget import Budget
from tiny_ca.adapters.outbound.crypto.path.links import Link
from tiny_ca.adapters.outbound.crypto.path.names import constrained_names, name_constraints
from tiny_ca.adapters.outbound.crypto.path.search import Path
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.name_constraints import NameConstraints
from tiny_ca.domain.paths import Conformance, PathRequest
from tiny_ca.domain.plan import ExtendedKeyUsage

__all__ = ["check_purpose", "walk"]

# RFC 5280 §4.2.1.12: the key usages, any of which is consistent with a purpose.
_CONSISTENT_USAGES = {
    ExtendedKeyUsage.SERVER_AUTH.value: ("digital_signature", "key_encipherment", "key_agreement"),
    ExtendedKeyUsage.CLIENT_AUTH.value: ("digital_signature", "key_agreement"),
    ExtendedKeyUsageOID.CODE_SIGNING.dotted_string: ("digital_signature",),
    ExtendedKeyUsageOID.TIME_STAMPING.dotted_string: ("digital_signature", "content_commitment"),
    ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string: ("digital_signature", "content_commitment"),
}


@dataclass
class _State:
    """What CAs above leave open (§6.1.2)."""

    intermediates: int | None = None
    """How many more that are not self-issued; `None`: any number."""
    explicit_policy: int | None = None
    """After how many more a policy is required; `None`: it is not."""
    constraints: list[NameConstraints] = field(default_factory=list)


def walk(path: Path, request: PathRequest, budget: Budget) -> None:
    """Check what a path's CAs ask of those below: purposes, lengths, names, policies.

    *path* is from the target to the root, each certificate fit by itself and signed by the
    next.  Raises `ValidationCertError`.
    """
    state = _State()
    for link in reversed(path):
        check_purpose(link, request.purpose)
        if not link.is_anchor:
            _descend(state, link, budget)
        _constrain(state, link, request.conformance, budget)
    if state.explicit_policy is not None and state.explicit_policy <= 0:
        raise ValidationCertError(
            "A CA requires a certificate policy (RFC 5280 §4.2.1.11), and policies are not "
            "processed here."
        )


def check_purpose(link: Link, purpose: str | None) -> None:
    """Check extended key usage, of CAs too, and that key usage is consistent with it."""
    if purpose is None:
        return
    listed = link.get(x509.ExtendedKeyUsage)
    wanted = {x509.ObjectIdentifier(purpose), ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if listed is not None and wanted.isdisjoint(listed):
        raise ValidationCertError(f"The certificate {link.name} is not for the purpose {purpose}.")
    usage, usages = link.get(x509.KeyUsage), _CONSISTENT_USAGES.get(purpose)
    if link.is_issuer or listed is None or usage is None or usages is None:
        return
    if not any(getattr(usage, one) for one in usages):
        raise ValidationCertError(
            f"The key usage of {link.name} has none of {', '.join(usages)}, and so is not "
            f"for the purpose {purpose}."
        )


def _descend(state: _State, link: Link, budget: Budget) -> None:
    """Hold *link* against what is above it (§6.1.3 (b), (c), §6.1.4 (h), (l))."""
    if link.is_issuer and link.is_self_issued:
        return
    names = constrained_names(link) if state.constraints else []
    for constraints in state.constraints:
        budget.spend("comparisons", constraints.comparisons(len(names)))
        constraints.check(names)
    if state.explicit_policy is not None:
        state.explicit_policy -= 1
    if state.intermediates is not None and link.is_issuer:
        state.intermediates -= 1
        if state.intermediates < 0:
            raise ValidationCertError(
                f"{link.name} makes the path longer than a CA above allows (RFC 5280 §4.2.1.9)."
            )


def _constrain(state: _State, link: Link, conformance: Conformance, budget: Budget) -> None:
    """Take up what *link* asks of those below it (§6.1.4 (g), (i), (m); §6.1.5 (b))."""
    constraints = name_constraints(link, conformance) if link.is_issuer else None
    if constraints is not None:
        # Reading them, for each path anew, is work as well.
        budget.spend("comparisons", constraints.comparisons(1))
        state.constraints.append(constraints)
    basic = link.get(x509.BasicConstraints)
    if basic is not None and link.is_issuer:
        state.intermediates = _least(state.intermediates, basic.path_length)
    policies = link.get(x509.PolicyConstraints)
    if policies is not None:
        state.explicit_policy = _least(state.explicit_policy, policies.require_explicit_policy)


def _least(first: int | None, second: int | None) -> int | None:
    given = [one for one in (first, second) if one is not None]
    return min(given) if given else None
