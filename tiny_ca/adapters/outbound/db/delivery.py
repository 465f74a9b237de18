"""`ports.outbox.Outbox` over anything that can run a function on a connection."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tiny_ca.adapters.outbound.db import outbox
from tiny_ca.adapters.outbound.db.engine import Runner, registry_errors
from tiny_ca.domain.errors import RegistryError
from tiny_ca.ports.outbox import Delivery, Lease

__all__ = ["SQLOutbox"]

T = TypeVar("T")


class SQLOutbox:
    """The outbox's methods, each one transaction of a `Runner`."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with registry_errors():
            return self._runner.run(work, write=True)

    def subscribe(self, subscriber: str) -> bool:
        """Write events for *subscriber* from now on.  False if it has been."""
        work = partial(outbox.subscribe, subscriber=subscriber)
        try:
            return self._transact(work)
        except RegistryError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            return self._transact(work)

    def unsubscribe(self, subscriber: str) -> bool:
        """Forget *subscriber* and what waits for it.  False if there is none."""
        return self._transact(partial(outbox.unsubscribe, subscriber=subscriber))

    def take_lease(self, lease: Lease, now: datetime) -> bool:
        """Take or prolong a lease; false while another holder has it."""
        return self._transact(partial(outbox.take_lease, lease=lease, now=now))

    def end_lease(self, lease: Lease) -> None:
        """Give a lease up."""
        self._transact(partial(outbox.end_lease, lease=lease))

    def due_events(
        self, subscriber: str, now: datetime, after: int, limit: int
    ) -> Sequence[Delivery]:
        """Give the next events that are due, by id."""
        work = partial(outbox.due_events, subscriber=subscriber, now=now, after=after, limit=limit)
        with registry_errors():
            return self._runner.run(work)

    def acknowledge(self, lease: Lease, event_id: int) -> bool:
        """Forget a delivered event; false if the lease is lost."""
        return self._transact(partial(outbox.acknowledge, lease=lease, event_id=event_id))

    def postpone(self, lease: Lease, event_id: int, until: datetime) -> bool:
        """Keep an event until then; false if the lease is lost."""
        return self._transact(partial(outbox.postpone, lease=lease, event_id=event_id, until=until))

    def note_expiring(self, now: datetime, window: timedelta) -> int:
        """Write events of what ends within *window*, in pages; give how many."""
        self._transact(partial(outbox.forget_old_notices, now=now))
        told, after = 0, 0
        while True:
            work = partial(outbox.expiring_page, after=after, now=now, window=window)
            count, following = self._transact(work)
            told += count
            if following is None:
                return told
            after = following
