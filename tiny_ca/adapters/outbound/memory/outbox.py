"""`MemoryOutbox`: events in lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import RLock

from tiny_ca.domain.errors import UnknownSubscriber
from tiny_ca.domain.events import Event, expiring
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.ports.outbox import Delivery, Lease

__all__ = ["MemoryOutbox"]


@dataclass(slots=True)
class _Waiting:
    event: Event
    failures: int = 0
    retry_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        return self.retry_at is None or self.retry_at <= now


@dataclass(slots=True)
class _Subscriber:
    waiting: dict[int, _Waiting] = field(default_factory=dict)
    """By id, hence in order."""
    lease: Lease | None = None


class MemoryOutbox:
    """What `MemoryRegistry` has to tell; thread-safe.  Implements `ports.outbox.Outbox`."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[tuple[str, int], CertificateRecord] = {}
        self._subscribers: dict[str, _Subscriber] = {}
        self._notices: set[tuple[str, int, timedelta]] = set()
        self._last_event = 0

    def _tell(self, events: Iterable[Event | None]) -> None:
        """Keep *events* for every subscriber; under the lock of what they tell of."""
        for event in events:
            for subscriber in self._subscribers.values():
                if event is not None:
                    self._last_event += 1
                    written = replace(event, id=self._last_event)
                    subscriber.waiting[written.id] = _Waiting(written)

    def subscribe(self, subscriber: str) -> bool:
        """Write events for *subscriber* from now on.  False if it has been."""
        with self._lock:
            is_new = subscriber not in self._subscribers
            self._subscribers.setdefault(subscriber, _Subscriber())
            return is_new

    def unsubscribe(self, subscriber: str) -> bool:
        """Forget *subscriber* and what waits for it.  False if there is none."""
        with self._lock:
            return self._subscribers.pop(subscriber, None) is not None

    def take_lease(self, lease: Lease, now: datetime) -> bool:
        """Take or prolong a lease; false while another holder has it."""
        with self._lock:
            subscriber = self._subscribers.get(lease.subscriber)
            if subscriber is None:
                raise UnknownSubscriber(lease.subscriber)
            held = subscriber.lease
            if held is not None and held.holder != lease.holder and held.until > now:
                return False
            subscriber.lease = lease
            return True

    def _is_held(self, lease: Lease) -> bool:
        subscriber = self._subscribers.get(lease.subscriber)
        if subscriber is None or subscriber.lease is None:
            return False
        if subscriber.lease.holder != lease.holder:
            return False
        subscriber.lease = lease
        return True

    def end_lease(self, lease: Lease) -> None:
        """Give a lease up."""
        with self._lock:
            if self._is_held(lease):
                self._subscribers[lease.subscriber].lease = None

    def due_events(
        self, subscriber: str, now: datetime, after: int, limit: int
    ) -> Sequence[Delivery]:
        """Give the next events that are due, by id."""
        with self._lock:
            due: list[Delivery] = []
            held_back = set()
            for waiting in self._subscribers.get(subscriber, _Subscriber()).waiting.values():
                event = waiting.event
                if event.id <= after or not waiting.is_due(now):
                    held_back.add(event.stream)
                elif event.stream not in held_back and len(due) < limit:
                    due.append(Delivery(event, waiting.failures))
            return due

    def acknowledge(self, lease: Lease, event_id: int) -> bool:
        """Forget a delivered event; false if the lease is lost."""
        with self._lock:
            if not self._is_held(lease):
                return False
            self._subscribers[lease.subscriber].waiting.pop(event_id, None)
            return True

    def postpone(self, lease: Lease, event_id: int, until: datetime) -> bool:
        """Keep an event until then; false if the lease is lost."""
        with self._lock:
            if not self._is_held(lease):
                return False
            waiting = self._subscribers[lease.subscriber].waiting[event_id]
            waiting.failures += 1
            waiting.retry_at = until
            return True

    def note_expiring(self, now: datetime, window: timedelta) -> int:
        """Write events of what ends within *window*; give how many."""
        with self._lock:
            if not self._subscribers:
                return 0
            ending = [
                row
                for row in self._rows.values()
                if row.status_at(now) is CertificateStatus.VALID
                and row.not_after <= now + window
                and (row.issuer_id, row.serial_number, window) not in self._notices
            ]
            self._notices |= {(row.issuer_id, row.serial_number, window) for row in ending}
            self._tell(expiring(row, window, now) for row in ending)
            return len(ending)
