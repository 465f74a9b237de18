"""Revocation: the reasons, what may follow what, and how long a CRL owes an answer."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum

from tiny_ca.domain.errors import InvalidRevocationReason, NotOnHold

__all__ = [
    "CRLReason",
    "Revocation",
    "RevokeStatus",
    "may_leave_crl",
    "owed_by_crl",
    "owed_until",
    "release",
    "revoke",
]


class CRLReason(StrEnum):
    """Reasons, by their ASN.1 names (RFC 5280 §5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"
    REMOVE_FROM_CRL = "removeFromCRL"


class RevokeStatus(Enum):
    """What became of a revocation; a database that fails raises instead."""

    OK = "The certificate is revoked."
    NOT_FOUND = "The registry has no certificate with this serial number."
    UNKNOWN_ERROR = "Kept for code written against tiny_ca 0.1; never returned."


@dataclass(frozen=True, slots=True)
class Revocation:
    """Since when (aware UTC) and why a certificate is revoked."""

    revocation_date: datetime
    reason: CRLReason

    @property
    def is_hold(self) -> bool:
        """Whether it can still be released."""
        return self.reason is CRLReason.CERTIFICATE_HOLD


def revoke(current: Revocation | None, reason: CRLReason, at: datetime) -> Revocation:
    """Give the revocation that holds from now on.

    The first one is final; a hold can be followed by any other reason, and keeps its date,
    since nothing signed after it can be trusted.  Raises `InvalidRevocationReason` for
    removeFromCRL, which delta CRLs use to say the opposite (RFC 5280 §5.3.1).
    """
    if reason is CRLReason.REMOVE_FROM_CRL:
        raise InvalidRevocationReason(
            "removeFromCRL is not a reason to revoke: release a certificate that is on hold."
        )
    if current is None:
        return Revocation(at, reason)
    return replace(current, reason=reason) if current.is_hold else current


def release(current: Revocation | None) -> None:
    """Check that a revocation can be lifted.  Raises `NotOnHold` unless it is a hold."""
    if current is None or not current.is_hold:
        raise NotOnHold("Only a certificate that is revoked with certificateHold can be released.")


def owed_until(revocation: Revocation, not_after: datetime) -> datetime:
    """Give the thisUpdate of the last CRL that owes an answer for a certificate.

    It is listed until one CRL issued after its end, or after its revocation if that came
    later, has shown it (RFC 5280 §3.3).
    """
    return max(not_after, revocation.revocation_date)


def owed_by_crl(
    revocation: Revocation, not_after: datetime, last_this_update: datetime | None
) -> bool:
    """Whether the issuer's next CRL must list a certificate that ends at *not_after*.

    *last_this_update* is that of the issuer's latest CRL, `None` before the first.
    """
    return last_this_update is None or owed_until(revocation, not_after) >= last_this_update


def may_leave_crl(
    listed: CRLReason,
    revocation: Revocation | None,
    not_after: datetime,
    last_this_update: datetime | None,
) -> bool:
    """Whether a certificate that the last CRL listed for a reason may be missing in the next.

    It may when it was on hold and is revoked no more, or when it is owed no more.
    """
    if revocation is None:
        return listed is CRLReason.CERTIFICATE_HOLD
    return not owed_by_crl(revocation, not_after, last_this_update)
