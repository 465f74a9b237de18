"""List certificates, and keep their statuses up to date."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tiny_ca.application.services import Services
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateRecord

__all__ = ["find", "find_all", "find_expiring", "mark_expired"]

_PAGE = 500
_MOST = 2**62
"""Of rows: twice that is what every database counts to."""
_LAST_POSITION = 2**31 - 1
"""Of any row; what comes after a later one is everything."""
After = CertificateRecord | int | None


def find(
    services: Services,
    wanted: CertificateFilter,
    limit: int,
    offset: int = 0,
    after: After = None,
) -> list[CertificateRecord]:
    """Give the newest *limit* (0 or more) certificates that match now, newest first.

    *after* is the last record of the page before, or its position.  Raises `InvalidRequest`.
    """
    if limit < 0 or offset < 0:
        raise InvalidRequest(f"limit and offset are 0 or more, got {limit} and {offset}.")
    before = None if after is None else max(0, _position(after))
    if before is not None and before > _LAST_POSITION:
        before = None
    limit, offset = min(limit, _MOST), min(offset, _MOST)
    return services.registry.page(wanted, services.clock.now(), limit, before, offset)


def _position(after: CertificateRecord | int) -> int:
    position = after.position if isinstance(after, CertificateRecord) else after
    if position is None:
        raise InvalidRequest("Go on after a record that the registry gave, or its position.")
    return position


def find_all(services: Services, wanted: CertificateFilter) -> Iterator[CertificateRecord]:
    """Give every certificate that matches, newest first, read in pages."""
    after: After = None
    while records := find(services, wanted, _PAGE, after=after):
        yield from records
        after = records[-1]


def find_expiring(
    services: Services, within_days: int, limit: int | None, after: CertificateRecord | None
) -> list[CertificateRecord]:
    """Give valid certificates that end within so many days (0 or more), soonest first.

    At most *limit*, after the last record of the page before; `None`: all of them.
    """
    if within_days < 0 or (limit is not None and limit < 0):
        raise InvalidRequest(f"within_days and limit are 0 or more, got {within_days}, {limit}.")
    now = services.clock.now()
    try:
        until = now + timedelta(days=within_days)
    except OverflowError:
        until = datetime.max.replace(tzinfo=UTC)
    found: list[CertificateRecord] = []
    last = None if after is None else (after.not_after, _position(after))
    while limit is None or len(found) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        records = services.registry.expiring(now, until, size, last)
        found += records
        if len(records) < size:
            break
        last = records[-1].not_after, _position(records[-1])
    return found


def mark_expired(services: Services) -> int:
    """Mark every valid certificate that is over as expired, in batches; count them."""
    now, total = services.clock.now(), 0
    while count := services.registry.expire(now, _PAGE):
        total += count
    return total
