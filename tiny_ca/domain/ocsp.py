"""OCSP (RFC 6960): what is asked, what is answered, and for how long an answer holds."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import NamedTuple

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason, Revocation

__all__ = [
    "MAX_CERT_IDS",
    "MAX_NONCE",
    "MAX_REQUEST",
    "CertID",
    "CertState",
    "CertStatus",
    "IssuerKeyHash",
    "KeptResponse",
    "KeptResponses",
    "OCSPReply",
    "OCSPRequest",
    "ResponseStatus",
    "ResponseTimes",
    "SingleAnswer",
    "answer",
    "reply_of",
]

MAX_REQUEST = 16 * 1024
"""Octets of a request, told before it is parsed: a parser's work grows with it."""
MAX_CERT_IDS = 100
MAX_NONCE = 128
"""RFC 9654 §2.1: a nonce has 1..128 octets."""

IssuerKeyHash = tuple[bytes, bytes]
"""The hashes, by one algorithm, of an issuer's name and key: what a certID calls it by."""


class ResponseStatus(IntEnum):
    """How a request fared (RFC 6960 §4.2.1)."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


class CertStatus(Enum):
    """What is said of a certificate (§2.2)."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertID:
    """Which certificate is meant (§4.1.1)."""

    digest: str
    """`sha1`, `sha256`, or the object identifier of an algorithm that is not known here."""
    issuer: IssuerKeyHash
    serial_number: int
    der: bytes
    """As it was asked: the answer repeats it octet by octet."""
    is_canonical: bool = False
    """Whether *der* is what pre-signed responses have."""


@dataclass(frozen=True, slots=True)
class OCSPRequest:
    """One or more certIDs, and the nonce that the response has to repeat."""

    cert_ids: tuple[CertID, ...]
    nonce: bytes | None = None

    single: CertID | None = field(init=False, compare=False)
    """The certID that a pre-signed response can answer: the only one, without a nonce."""

    def __post_init__(self) -> None:
        [first, *others] = self.cert_ids
        is_single = first.is_canonical and not others and self.nonce is None
        object.__setattr__(self, "single", first if is_single else None)


class CertState(NamedTuple):
    """What an answer needs of a certificate's row; the CRL reads the same columns."""

    serial_number: int
    status: CertificateStatus
    not_after: datetime
    revocation_date: datetime | None
    revocation_reason: CRLReason | None

    @property
    def revocation(self) -> Revocation | None:
        """The revocation, if there is one."""
        if self.status is not CertificateStatus.REVOKED or self.revocation_date is None:
            return None
        return Revocation(self.revocation_date, self.revocation_reason or CRLReason.UNSPECIFIED)


class SingleAnswer(NamedTuple):
    """What a response says of one certificate (§4.2.1, SingleResponse)."""

    cert_id: CertID
    status: CertStatus
    revocation: Revocation | None
    this_update: datetime
    next_update: datetime


class KeptResponse(NamedTuple):
    """A response that was signed beforehand, and the state of the row that it tells of."""

    state: CertState
    this_update: datetime
    next_update: datetime
    der: bytes


class KeptResponses(NamedTuple):
    """How an issuer's valid and revoked certificates are provided with responses."""

    certificates: int
    kept: int
    """How many have a response that tells of their state and is not over."""
    this_update: datetime | None
    next_update: datetime | None
    """Of the oldest one, and of the one that ends first; `None`: there is none."""


class OCSPReply(NamedTuple):
    """A response in DER, and for how long it may be kept."""

    der: bytes
    this_update: datetime | None = None
    next_update: datetime | None = None
    """`None`: no cache may keep it, since it is an error or repeats a nonce."""
    max_age: int = 0
    """Seconds from now to *next_update*."""


def reply_of(der: bytes, this_update: datetime, next_update: datetime, now: datetime) -> OCSPReply:
    """Give a reply that may be kept up to *next_update*."""
    return OCSPReply(der, this_update, next_update, int((next_update - now).total_seconds()))


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """How long answers hold.  Raises `InvalidRequest` unless both are whole, positive seconds."""

    validity: timedelta = timedelta(hours=12)
    unknown_validity: timedelta = timedelta(minutes=1)
    """Of `unknown`: what is being issued will be known in a moment."""

    def __post_init__(self) -> None:
        for duration in (self.validity, self.unknown_validity):
            if duration < timedelta(seconds=1) or duration.microseconds:
                raise InvalidRequest("An OCSP response is valid for whole seconds, 1 or more.")

    def next_update(
        self, status: CertStatus, now: datetime, state: CertState | None, signer_end: datetime
    ) -> datetime:
        """Give the end of an answer: never past the signer's, nor past a valid certificate's."""
        if status is CertStatus.UNKNOWN:
            return min(now + min(self.unknown_validity, self.validity), signer_end)
        end = min(now + self.validity, signer_end)
        if state is not None and state.not_after >= now:
            end = min(end, state.not_after)
        return end


def answer(
    cert_id: CertID,
    state: CertState | None,
    now: datetime,
    signer_end: datetime,
    times: ResponseTimes,
) -> SingleAnswer:
    """Say what holds of a certificate *now*, by its row; `None`: there is none.

    A reserved row is `unknown` (§2.2): its certificate was not handed out, and may be at any
    moment.  So is an abandoned one: no CRL lists it, and an answer never says more than the
    CRL; who wants it dead revokes it.  So is what is over and was never revoked, since its row
    may be deleted from then on.  A revoked one stays so as long as there is its row.
    """
    status, revocation = CertStatus.UNKNOWN, None
    if state is not None:
        revocation = state.revocation
        if revocation is not None:
            status = CertStatus.REVOKED
        elif state.status is CertificateStatus.VALID and state.not_after >= now:
            status = CertStatus.GOOD
    until = times.next_update(status, now, state, signer_end)
    return SingleAnswer(cert_id, status, revocation, now, until)
