"""Outboxes with one fault each, under the contract that has to find it.

Not collected by itself: `test_the_kit.py` runs each class and expects a failure.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tiny_ca import MemoryRegistry
from tiny_ca.domain.records import CRLStamp
from tiny_ca.ports.outbox import Delivery, Lease
from tiny_ca.testing import OutboxContract


class Faulty(MemoryRegistry):
    """One of ours, to be broken."""


class LosesWhatADeadProcessTook(Faulty):
    """Acknowledges before the handler has returned."""

    def due_events(
        self, subscriber: str, now: datetime, after: int, limit: int
    ) -> Sequence[Delivery]:
        due = super().due_events(subscriber, now, after, limit)
        for event, _ in due:
            self._subscribers[subscriber].waiting.pop(event.id)
        return due


class DeliversOutOfOrder(Faulty):
    def due_events(
        self, subscriber: str, now: datetime, after: int, limit: int
    ) -> Sequence[Delivery]:
        return list(reversed(super().due_events(subscriber, now, after, limit)))


class OvertakesAFailure(Faulty):
    """The later events of a certificate do not wait."""

    def due_events(
        self, subscriber: str, now: datetime, after: int, limit: int
    ) -> Sequence[Delivery]:
        present = self._subscribers.get(subscriber)
        return [
            Delivery(one.event, one.failures)
            for one in ([] if present is None else present.waiting.values())
            if one.is_due(now) and one.event.id > after
        ][:limit]


class ForgetsTheFailures(Faulty):
    def postpone(self, lease: Lease, event_id: int, until: datetime) -> bool:
        is_held = super().postpone(lease, event_id, until)
        if is_held:
            self._subscribers[lease.subscriber].waiting[event_id].failures = 1
        return is_held


class TellsBeforeItHappens(Faulty):
    """In a transaction of its own: what fails was told of."""

    def publish_crl(self, issuer_id: str, stamp: CRLStamp, swap: Callable[[], object]) -> bool:
        super().publish_crl(issuer_id, stamp, lambda: None)
        swap()
        return True


class TellsOfWhatChangesNothing(Faulty):
    def _write_revocation(self, row: Any, reason: Any, at: datetime) -> Any:
        revocation = super()._write_revocation(row, reason, at)
        return replace(revocation, revocation_date=at)


class SharesALease(Faulty):
    def take_lease(self, lease: Lease, now: datetime) -> bool:
        super().take_lease(lease, now)
        return True


class SettlesWithoutALease(Faulty):
    def acknowledge(self, lease: Lease, event_id: int) -> bool:
        self._subscribers[lease.subscriber].waiting.pop(event_id, None)
        return super().acknowledge(lease, event_id)


class UsesIdsAgain(Faulty):
    """As SQLite does unless it is told otherwise."""

    def _tell(self, events: Any) -> None:
        waiting = [id_ for one in self._subscribers.values() for id_ in one.waiting]
        self._last_event = max(waiting, default=0)
        super()._tell(events)


class AnnouncesAgain(Faulty):
    def note_expiring(self, now: datetime, window: timedelta) -> int:
        self._notices.clear()
        return super().note_expiring(now, window)


class OutboxUnderTest(OutboxContract):
    kind: type[MemoryRegistry]

    @pytest.fixture
    def registry(self) -> MemoryRegistry:
        return self.kind()


FAULTY = tuple(Faulty.__subclasses__())

for _kind in (Faulty, *FAULTY):
    _name = f"Test{_kind.__name__}"
    globals()[_name] = type(_name, (OutboxUnderTest,), {"kind": _kind})
