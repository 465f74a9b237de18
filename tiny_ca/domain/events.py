"""Events: what happened to a certificate or an issuer, told to those who subscribed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, CRLStamp, Reservation
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.serial import CertType

__all__ = [
    "Event",
    "EventKind",
    "check_subscriber",
    "crl_published",
    "expiring",
    "issued",
    "registered",
    "released",
    "retry_delay",
    "revoked",
    "superseded",
]

Details = Mapping[str, str | int | None]

_FIRST_DELAY, _LONGEST_DELAY = timedelta(seconds=10), timedelta(hours=1)


class EventKind(StrEnum):
    """What can happen."""

    ISSUED = "issued"
    RENEWED = "renewed"
    """Issued in place of a predecessor whose key it keeps."""
    REVOKED = "revoked"
    RELEASED = "released"
    """A certificateHold was lifted."""
    EXPIRING = "expiring"
    CRL_PUBLISHED = "crl_published"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; committed together with it."""

    kind: EventKind
    issuer_id: str
    serial_number: int | None
    """`None` if it happened to the issuer, as a CRL does."""
    common_name: str | None
    occurred_at: datetime
    """Aware UTC."""
    details: Details = field(default_factory=dict, hash=False)
    """What JSON can write; datetimes in ISO 8601."""
    id: int = 0
    """The same at each delivery to a subscriber; rising, for a certificate.  0: not written."""

    @property
    def stream(self) -> tuple[str, int | None]:
        """What its order is kept for: the certificate, or the issuer's CRLs."""
        return self.issuer_id, self.serial_number


def issued(reservation: Reservation, at: datetime) -> Event:
    """Tell that a reserved certificate became valid."""
    return Event(
        EventKind.RENEWED if reservation.is_renewal else EventKind.ISSUED,
        reservation.issuer_id,
        reservation.serial_number,
        reservation.common_name,
        at,
        {
            "cert_type": reservation.cert_type.value,
            "not_after": reservation.validity.not_after.isoformat(),
            "predecessor": reservation.predecessor,
        },
    )


def registered(
    certificate: tuple[str, int, str], cert_type: CertType, not_after: datetime, at: datetime
) -> Event:
    """Tell that a certificate (issuer, serial number, name) that was signed elsewhere is valid."""
    return Event(
        EventKind.ISSUED,
        *certificate,
        at,
        {"cert_type": cert_type.value, "not_after": not_after.isoformat(), "predecessor": None},
    )


def revoked(certificate: tuple[str, int, str], revocation: Revocation, at: datetime) -> Event:
    """Tell of a certificate (issuer, serial number, name) that it is revoked now."""
    return Event(
        EventKind.REVOKED,
        *certificate,
        at,
        {
            "reason": revocation.reason.value,
            "revocation_date": revocation.revocation_date.isoformat(),
        },
    )


def superseded(record: CertificateRecord, successor: int, at: datetime) -> Event:
    """Tell of a predecessor that it was revoked as its successor became valid."""
    return _of(
        record,
        EventKind.REVOKED,
        at,
        reason=CRLReason.SUPERSEDED.value,
        revocation_date=at.isoformat(),
        successor=successor,
    )


def released(record: CertificateRecord, status: CertificateStatus, at: datetime) -> Event:
    """Tell that a hold was lifted; *status* is `abandoned` if it never was signed."""
    return _of(record, EventKind.RELEASED, at, status=status.value)


def expiring(record: CertificateRecord, window: timedelta, at: datetime) -> Event:
    """Tell that a certificate ends within *window*."""
    return _of(
        record,
        EventKind.EXPIRING,
        at,
        profile=record.profile,
        not_after=record.not_after.isoformat(),
        window_seconds=int(window.total_seconds()),
    )


def crl_published(issuer_id: str, stamp: CRLStamp) -> Event:
    """Tell that an issuer's CRL took the place of the one before."""
    return Event(
        EventKind.CRL_PUBLISHED,
        issuer_id,
        None,
        None,
        stamp.this_update,
        {"crl_number": stamp.number, "next_update": stamp.next_update.isoformat()},
    )


def _of(
    record: CertificateRecord, kind: EventKind, at: datetime, **details: str | int | None
) -> Event:
    return Event(kind, record.issuer_id, record.serial_number, record.common_name, at, details)


def retry_delay(failures: int) -> timedelta:
    """How long to wait after a subscriber failed for the *failures*th time (1 or more).

    Ten seconds, twice as long each time, an hour at most.
    """
    doublings = min(failures - 1, 10)
    return min(_FIRST_DELAY * (1 << doublings), _LONGEST_DELAY)


def check_subscriber(name: str) -> str:
    """Give *name* if a subscriber can have it: 1-255 characters.  Raises `InvalidRequest`."""
    if not 1 <= len(name) <= 255:
        raise InvalidRequest(f"A subscriber's name has 1-255 characters, got {len(name)}.")
    return name
