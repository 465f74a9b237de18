"""Validity periods: aware UTC, whole seconds, both ends included (RFC 5280 §4.1.2.5)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tiny_ca.domain.errors import InvalidRangeTimeCertificate, InvalidRequest

__all__ = ["Validity", "plan_validity", "utc_seconds"]

_ONE_SECOND = timedelta(seconds=1)
# RFC 5280 §4.1.2.5.1: UTCTime, in which dates before 2050 are written, begins in 1950.
_EARLIEST = datetime(1950, 1, 1, tzinfo=UTC)


def utc_seconds(moment: datetime) -> datetime:
    """Give *moment* in UTC, cut to whole seconds.

    Raises `InvalidRequest` for one that is naive, or that in UTC lies outside the years 1-9999.
    """
    if moment.tzinfo is UTC:
        return moment.replace(microsecond=0)
    if moment.utcoffset() is None:
        raise InvalidRequest(f"{moment.isoformat()} has no time zone: pass an aware datetime.")
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise InvalidRequest(f"{moment.isoformat()} has no year of UTC, 1-9999.") from None


@dataclass(frozen=True, slots=True)
class Validity:
    """A validity period; *not_after* is the last second in it."""

    not_before: datetime
    not_after: datetime

    @property
    def duration(self) -> timedelta:
        """How long it lasts, both ends counted."""
        return self.not_after - self.not_before + _ONE_SECOND

    def contains(self, moment: datetime) -> bool:
        """Whether *moment*, an aware datetime, falls into it.

        Exact to the fraction, as RFC 5280 §6.1.3 (a)(2) compares: the second of *not_after*
        is in, whole; half a second before *not_before* is out.
        """
        return self.not_before <= moment and not self.is_over(moment)

    def is_over(self, moment: datetime) -> bool:
        """Whether *moment* lies after its last second."""
        return moment - self.not_after >= _ONE_SECOND

    def within(self, issuer: "Validity") -> "Validity":
        """Cut the end to the issuer's: nothing outlives who vouches for it (§6.1)."""
        return Validity(self.not_before, min(self.not_after, issuer.not_after))


def plan_validity(
    valid_from: datetime | None,
    lifetime: timedelta | int,
    now: datetime,
    backdate: timedelta = timedelta(0),
) -> Validity:
    """Plan a period that ends *lifetime* (an `int` is days; > 0) after *valid_from*, or *now*.

    It begins there, or *backdate* before *now*.  Raises `InvalidRangeTimeCertificate` when it
    is empty, ends in the past, or can't be written into a certificate, and `InvalidRequest`
    when a datetime is naive.
    """
    now = utc_seconds(now)
    start = now if valid_from is None else utc_seconds(valid_from)
    try:
        end = start + (timedelta(days=lifetime) if isinstance(lifetime, int) else lifetime)
        begin = start if valid_from is not None else start - backdate
    except OverflowError:
        latest = datetime.max.replace(tzinfo=UTC)
        raise InvalidRangeTimeCertificate(start, latest, now) from None
    end = utc_seconds(end)
    if end <= start or end < now or begin < _EARLIEST:
        raise InvalidRangeTimeCertificate(begin, end, now)
    return Validity(begin, end)
