"""Events that wait for those who want to hear of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, runtime_checkable

from tiny_ca.domain.events import Event

__all__ = ["Delivery", "Lease", "Outbox"]


class Delivery(NamedTuple):
    """An event that a subscriber has not acknowledged."""

    event: Event
    failures: int
    """How often it was postponed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to deliver to one subscriber, for a while."""

    subscriber: str
    holder: str
    """What tells this holder from all others, 1-32 characters."""
    until: datetime


@runtime_checkable
class Outbox(Protocol):
    """What a registry has, beside `Registry`, if it can tell of what happens in it.

    Each method of `Registry` that makes a certificate valid, revokes or releases it, or
    publishes a CRL writes an event for every subscriber there is, in the same transaction (the
    caller's, with *within*).  What changes nothing writes none.  The events of a certificate
    have rising ids, in the order of their commits; so have an issuer's CRLs.

    Every method is one transaction, durable when it returns, and raises `RegistryError` when
    the database fails.
    """

    def subscribe(self, subscriber: str) -> bool:
        """Write events for *subscriber* (1-255 characters) from now on.  False if it has been."""
        ...

    def unsubscribe(self, subscriber: str) -> bool:
        """Forget *subscriber* and what waits for it.  False if there is none."""
        ...

    def take_lease(self, lease: Lease, now: datetime) -> bool:
        """Take or prolong a lease.  False while another holder's has not ended at *now*.

        Raises `UnknownSubscriber`.
        """
        ...

    def end_lease(self, lease: Lease) -> None:
        """Give a lease up; one that is lost is no error."""
        ...

    def due_events(
        self, subscriber: str, now: datetime, after: int, limit: int
    ) -> Sequence[Delivery]:
        """Give up to *limit* events with ids above *after*, by id; they stay until acknowledged.

        None that is postponed beyond *now*, and none that an earlier event of its stream has
        to go before: one that is so postponed, or whose id is not above *after*.  Nothing waits
        for who is no subscriber.
        """
        ...

    def acknowledge(self, lease: Lease, event_id: int) -> bool:
        """Forget a delivered event and prolong the lease.  False, nothing done, if it is lost."""
        ...

    def postpone(self, lease: Lease, event_id: int, until: datetime) -> bool:
        """Count a failure, keep the event until then, and prolong the lease.

        False, nothing done, if it is lost.
        """
        ...

    def note_expiring(self, now: datetime, window: timedelta) -> int:
        """Write an `expiring` event of each valid certificate that ends within *window*.

        Once for each certificate and *window* (whole seconds), whoever calls, in transactions
        of a page each.  Gives how many.  Without a subscriber it does nothing.
        """
        ...
