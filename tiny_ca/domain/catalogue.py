"""The catalogue of certificates: which ones are meant, and which ones may leave it."""

import re
from dataclasses import dataclass
from datetime import datetime

from tiny_ca.domain.errors import InvalidRequest, StillNeeded
from tiny_ca.domain.lifetime import Validity, utc_seconds
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.revocation import owed_by_crl
from tiny_ca.domain.serial import CertType

__all__ = [
    "AT_ONCE",
    "BulkRevocation",
    "CertificateFilter",
    "RevokedBatch",
    "cert_type_of",
    "check_deletable",
    "exactly",
    "literals",
    "status_of",
]

AT_ONCE = 1000
"""How many serial numbers a filter takes, and rows a bulk transaction writes: 1000."""

_TYPE_OF_WORD = {
    word.lower(): cert_type for cert_type in CertType for word in (cert_type.name, cert_type.value)
}


_ANYTHING = re.compile(r"(?<!\[)\*|\*(?!\])")


def literals(pattern: str) -> list[str]:
    """Give what a pattern has between its asterisks; `[*]` is one that stands for itself."""
    return [part.replace("[*]", "*") for part in _ANYTHING.split(pattern)]


def exactly(common_name: str) -> str:
    """Give the pattern that means this common name and no other, whatever is in it."""
    return common_name.replace("*", "[*]")


def status_of(value: CertificateStatus | str) -> CertificateStatus:
    """Give the status of that name.  Raises `InvalidRequest` for one that no row can have."""
    try:
        status = CertificateStatus(value)
    except ValueError:
        status = CertificateStatus.UNKNOWN
    if status is CertificateStatus.UNKNOWN:
        names = ", ".join(one for one in CertificateStatus if one is not status)
        raise InvalidRequest(f"No certificate on record is {value!r}: use one of {names}.")
    return status


def cert_type_of(value: CertType | str) -> CertType:
    """Give the type with that value (`SVC`) or name (`service`).  Raises `InvalidRequest`."""
    if isinstance(value, CertType):
        return value
    try:
        return _TYPE_OF_WORD[value.lower()]
    except KeyError:
        names = ", ".join(one.name.lower() for one in CertType)
        raise InvalidRequest(f"{value!r} is no type of certificate: use one of {names}.") from None


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """Which certificates are meant: those that agree with everything that is given.

    Moments are aware; a period has its first moment in it and its last one not.  Raises
    `InvalidRequest`.
    """

    status: CertificateStatus | None = None
    """At the moment of asking, as `CertificateRecord.status_at` gives it."""
    cert_types: frozenset[CertType] | None = None
    issuer_id: str | None = None
    common_name: str | None = None
    """The whole name, case and all; `*` stands for any characters, or none, `[*]` for itself."""
    issued_from: datetime | None = None
    issued_before: datetime | None = None
    expires_from: datetime | None = None
    expires_before: datetime | None = None
    serial_numbers: tuple[int, ...] | None = None
    """At most `AT_ONCE`."""
    uuid: str | None = None

    def __post_init__(self) -> None:
        if self.status is CertificateStatus.UNKNOWN:
            status_of(self.status)
        for name in ("issued_from", "issued_before", "expires_from", "expires_before"):
            moment = getattr(self, name)
            if moment is not None and moment.utcoffset() is None:
                raise InvalidRequest(f"{name} has no time zone: pass an aware datetime.")
            if moment is not None:
                utc_seconds(moment)  # Comparing does not tell that it has no year of UTC.
        if self.serial_numbers is not None and len(self.serial_numbers) > AT_ONCE:
            raise InvalidRequest(f"A filter takes {AT_ONCE} serial numbers at most.")

    def matches(self, record: CertificateRecord, at: datetime) -> bool:
        """Whether *record* is meant, asked at an aware moment."""
        return (
            self.status in (None, record.status_at(at))
            and (self.cert_types is None or record.cert_type in self.cert_types)
            and self.issuer_id in (None, record.issuer_id)
            and (self.common_name is None or self._has_name(record.common_name))
            and _within(record.created_at, self.issued_from, self.issued_before)
            and _within(record.not_after, self.expires_from, self.expires_before)
            and (self.serial_numbers is None or record.serial_number in self.serial_numbers)
            and self.uuid in (None, record.uuid)
        )

    def _has_name(self, common_name: str) -> bool:
        pattern = ".*".join(map(re.escape, literals(self.common_name or "")))
        return re.fullmatch(pattern, common_name, re.DOTALL) is not None


def _within(moment: datetime, first: datetime | None, end: datetime | None) -> bool:
    return (first is None or first <= moment) and (end is None or moment < end)


@dataclass(frozen=True, slots=True)
class RevokedBatch:
    """What one transaction of a bulk revocation did, by serial number, oldest first."""

    revoked: tuple[int, ...]
    already_revoked: tuple[int, ...]
    """As `domain.revocation.revoke` leaves them: as they were."""
    following: int | None
    """Where the next batch begins; `None`: this was the last."""


@dataclass(frozen=True, slots=True)
class BulkRevocation:
    """What became of a bulk revocation, or would become of it, by serial number."""

    revoked: tuple[int, ...]
    already_revoked: tuple[int, ...]
    unknown: tuple[int, ...]
    """Asked for, and not on record."""
    is_dry_run: bool


def check_deletable(
    record: CertificateRecord, last_this_update: datetime | None, at: datetime
) -> None:
    """Check that nobody needs to know *record* any more.  Raises `StillNeeded`.

    A certificate stays until its end: until then it can be presented, and revoked.  One that
    is revoked stays until a CRL issued after its end has shown it (RFC 5280 §3.3);
    *last_this_update* is that of the issuer's latest CRL, `None` before the first.
    """
    serial_number, not_after = record.serial_number, record.not_after
    if record.status is CertificateStatus.PENDING:
        raise StillNeeded(serial_number, "is being issued: wait, or recover")
    if not Validity(record.not_before, not_after).is_over(at):
        advice = {
            CertificateStatus.VALID: "is valid; revoke it if nobody may rely on it",
            CertificateStatus.REVOKED: "is revoked, which CRLs have to say until a later one",
        }.get(record.status, "may have been signed, and has to stay revocable")
        raise StillNeeded(serial_number, advice, not_after)
    revocation = record.revocation
    if revocation is not None and owed_by_crl(revocation, not_after, last_this_update):
        until = max(not_after, revocation.revocation_date)
        raise StillNeeded(
            serial_number, "is revoked and has to be on one CRL that is issued later", until
        )
