"""Events: written where things happen, read and settled where they are delivered."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Update, delete, exists, insert, or_, select, tuple_, update

from tiny_ca.adapters.outbound.db.prepared import Prepared
from tiny_ca.adapters.outbound.db.queries import PAGE, to_record
from tiny_ca.adapters.outbound.db.schema import certificates, deliveries, notices, subscribers
from tiny_ca.domain.errors import UnknownSubscriber
from tiny_ca.domain.events import Event, EventKind, expiring
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.ports.outbox import Delivery, Lease

__all__ = [
    "acknowledge",
    "due_events",
    "end_lease",
    "expiring_page",
    "forget_old_notices",
    "postpone",
    "subscribe",
    "take_lease",
    "tell",
    "unsubscribe",
]

_c, _d, _s = certificates.c, deliveries.c, subscribers.c

# The lock keeps a subscriber from leaving before this transaction ends, whose rows would be
# left over; it is in nobody else's way, not even of whoever renews a lease.
_SUBSCRIBERS = Prepared(select(_s.id).with_for_update(read=True, key_share=True))


def tell(connection: Connection, events: Iterable[Event]) -> None:
    """Write *events* for every subscriber, as a part of the transaction that they tell of.

    Last in it: whoever writes a certificate's next event waits for the lock of its row.
    """
    present = [row.id for row in _SUBSCRIBERS.rows(connection, {})]
    if not present:
        return
    rows = [
        {
            "subscriber_id": subscriber,
            "kind": event.kind.value,
            "issuer_id": event.issuer_id,
            "serial_number": "" if event.serial_number is None else str(event.serial_number),
            "common_name": event.common_name,
            "occurred_at": event.occurred_at,
            "details": json.dumps(event.details),
        }
        for event in events
        for subscriber in present
    ]
    if rows:
        connection.execute(insert(deliveries), rows)


def subscribe(connection: Connection, subscriber: str) -> bool:
    """See `ports.outbox.Outbox.subscribe`; of two at once, one fails its insert."""
    if connection.execute(select(_s.id).where(_s.name == subscriber)).scalar() is not None:
        return False
    connection.execute(insert(subscribers).values(name=subscriber))
    return True


def unsubscribe(connection: Connection, subscriber: str) -> bool:
    """See `ports.outbox.Outbox.unsubscribe`; waits for transactions that write events for it."""
    found = connection.execute(
        select(_s.id).where(_s.name == subscriber).with_for_update()
    ).scalar()
    if found is None:
        return False
    connection.execute(delete(deliveries).where(_d.subscriber_id == found))
    connection.execute(delete(subscribers).where(_s.id == found))
    return True


def _prolong(lease: Lease) -> Update:
    return (
        update(subscribers)
        .where(_s.name == lease.subscriber)
        .values(lease_holder=lease.holder, leased_until=lease.until)
    )


def take_lease(connection: Connection, lease: Lease, now: datetime) -> bool:
    """See `ports.outbox.Outbox.take_lease`."""
    is_free = or_(
        _s.lease_holder.is_(None), _s.lease_holder == lease.holder, _s.leased_until <= now
    )
    if connection.execute(_prolong(lease).where(is_free)).rowcount == 1:
        return True
    found = connection.execute(select(_s.id).where(_s.name == lease.subscriber)).scalar()
    if found is None:
        raise UnknownSubscriber(lease.subscriber)
    return False


def end_lease(connection: Connection, lease: Lease) -> None:
    """See `ports.outbox.Outbox.end_lease`."""
    connection.execute(
        update(subscribers)
        .where(_s.name == lease.subscriber, _s.lease_holder == lease.holder)
        .values(lease_holder=None, leased_until=None)
    )


def due_events(
    connection: Connection, subscriber: str, now: datetime, after: int, limit: int
) -> Sequence[Delivery]:
    """See `ports.outbox.Outbox.due_events`.

    An id may become visible after a higher one: what is behind *after* holds its stream back.
    """
    earlier = deliveries.alias()
    # LIMIT: one look into the index a row, where PostgreSQL would join the table with itself.
    what_goes_before = (
        select(earlier.c.id)
        .where(
            earlier.c.subscriber_id == _d.subscriber_id,
            earlier.c.issuer_id == _d.issuer_id,
            earlier.c.serial_number == _d.serial_number,
            earlier.c.id < _d.id,
            or_(earlier.c.id <= after, earlier.c.retry_at > now),
        )
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(deliveries)
        .where(
            _d.subscriber_id == select(_s.id).where(_s.name == subscriber).scalar_subquery(),
            _d.id > after,
            or_(_d.retry_at.is_(None), _d.retry_at <= now),
            what_goes_before.is_(None),
        )
        .order_by(_d.id)
        .limit(limit)
    )
    return [Delivery(_to_event(row), row.failures) for row in connection.execute(query)]


def _to_event(row: Row[Any]) -> Event:
    return Event(
        kind=EventKind(row.kind),
        issuer_id=row.issuer_id,
        serial_number=int(row.serial_number) if row.serial_number else None,
        common_name=row.common_name,
        occurred_at=row.occurred_at,
        details=json.loads(row.details),
        id=row.id,
    )


def acknowledge(connection: Connection, lease: Lease, event_id: int) -> bool:
    """See `ports.outbox.Outbox.acknowledge`."""
    if not _is_held(connection, lease):
        return False
    connection.execute(delete(deliveries).where(_d.id == event_id))
    return True


def postpone(connection: Connection, lease: Lease, event_id: int, until: datetime) -> bool:
    """See `ports.outbox.Outbox.postpone`."""
    if not _is_held(connection, lease):
        return False
    connection.execute(
        update(deliveries).where(_d.id == event_id).values(failures=_d.failures + 1, retry_at=until)
    )
    return True


def _is_held(connection: Connection, lease: Lease) -> bool:
    held = _prolong(lease).where(_s.lease_holder == lease.holder)
    return connection.execute(held).rowcount == 1


def forget_old_notices(connection: Connection, now: datetime) -> None:
    """Remove the notices of certificates that have ended, but those that another one removes."""
    key = notices.c.certificate_id, notices.c.window_seconds
    ended = select(*key).join(certificates).where(_c.not_after < _second(now))
    ended = ended.with_for_update(skip_locked=True, of=notices)
    connection.execute(delete(notices).where(tuple_(*key).in_(ended)))


def expiring_page(
    connection: Connection, after: int, now: datetime, window: timedelta
) -> tuple[int, int | None]:
    """Tell of one page of certificates; give how many, and the id to go on from, if any.

    Rows that another transaction holds are left for the next time: whoever waits for one while
    it holds others may meet someone who does the same.
    """
    if not _SUBSCRIBERS.rows(connection, {}):
        return 0, None
    seconds = int(window.total_seconds())
    is_noted = exists().where(
        notices.c.certificate_id == _c.id, notices.c.window_seconds == seconds
    )
    query = select(certificates).where(
        _c.status == CertificateStatus.VALID.value,
        _c.not_after.between(_second(now), now + window),
        _c.id > after,
        ~is_noted,
    )
    query = query.order_by(_c.id).limit(PAGE).with_for_update(skip_locked=True)
    rows = connection.execute(query).all()
    if not rows:
        return 0, None
    # Somebody may have told of them between the look and the lock.
    noted = select(notices.c.certificate_id).where(
        notices.c.certificate_id.between(rows[0].id, rows[-1].id),
        notices.c.window_seconds == seconds,
    )
    known = set(connection.execute(noted).scalars())
    new = [row for row in rows if row.id not in known]
    if new:
        connection.execute(
            insert(notices),
            [{"certificate_id": row.id, "window_seconds": seconds} for row in new],
        )
        tell(connection, (expiring(to_record(row), window, now) for row in new))
    return len(new), rows[-1].id if len(rows) == PAGE else None


def _second(moment: datetime) -> datetime:
    # A certificate's last second is in, whole (RFC 5280 §4.1.2.5).
    return moment.replace(microsecond=0)
