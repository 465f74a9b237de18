"""Events: tell other systems what happened."""

from datetime import timedelta

from tiny_ca.application import events
from tiny_ca.application.events import LEASE, Delivered, Handler, Round
from tiny_ca.domain.errors import UnknownSubscriber
from tiny_ca.domain.events import Event
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields

__all__ = ["Telling"]


class Telling(Face):
    """The operations on events and their subscribers."""

    def subscribe(self, name: str, handler: Handler) -> bool:
        """Tell *handler* of every `Event` that operations begun from now on commit.

        The subscription of *name*, 1-255 characters, is durable: what happens while no process
        has a handler waits.  The handler is this manager's; each process gives its own, which
        takes the place of the one before.  `deliver_events` calls it.

        False: *name* was subscribed already.  Raises `InvalidRequest`, also for a registry of
        your own that is no `Outbox`.
        """
        is_new = events.subscribe(self._with_registry(), name)
        self._handlers[name] = handler
        return is_new

    def unsubscribe(self, name: str) -> bool:
        """End a subscription, for all processes, and drop what waits for it.

        False: there is none.
        """
        is_found = events.unsubscribe(self._with_registry(), name)
        self._handlers.pop(name, None)
        return is_found

    def deliver_events(
        self, name: str | None = None, *, limit: int | None = None, lease: timedelta = LEASE
    ) -> Delivered:
        """Call the handler of *name*, or all of this manager's, with what is due; *limit* each.

        At least once: an event is forgotten when its handler has returned, and given again, with
        the same id, when the process died before.  In order for each certificate, and for an
        issuer's CRLs.  When a handler raises, its event and the later ones of its certificate
        wait ten seconds, and twice as long each time, an hour at most; others go on.

        One process at a time delivers to a name; *lease* is how long it may take over one event
        before another takes its place, and delivers that event again.  A handler whose name was
        unsubscribed elsewhere is dropped.  Raises `UnknownSubscriber` for a *name* without a
        handler here, and `InvalidRequest` for a handler that this face can't await.
        """
        return events.deliver(self._rounds(name, limit, lease))

    def announce_expiring(self, window: timedelta = timedelta(days=30)) -> int:
        """Write an `expiring` event for each valid certificate that ends within *window*.

        Once for each certificate and *window*, of a second or more, however often it is called:
        run it daily, with each window you want to be warned at.  Gives how many are new.
        """
        return events.announce_expiring(self._with_registry(), window)

    def _rounds(self, name: str | None, limit: int | None, lease: timedelta) -> list[Round]:
        services = self._with_registry()
        if name is not None and name not in self._handlers:
            raise UnknownSubscriber(name)
        return [
            Round(
                services,
                one,
                self._handlers[one],
                limit=limit,
                lease=lease,
                on_failure=self._report_failure,
                on_absence=self._drop,
            )
            for one in (list(self._handlers) if name is None else [name])
        ]

    def _report_failure(self, subscriber: str, event: Event, error: Exception) -> None:
        self._logger.warning(
            "%s failed at event %s (%s)",
            subscriber,
            event.id,
            event.kind,
            exc_info=error,
            extra=fields("handler_failed", subscriber=subscriber, event_id=event.id),
        )

    def _drop(self, name: str) -> None:
        self._handlers.pop(name, None)
        self._logger.warning(
            "%s was unsubscribed elsewhere: its handler is dropped.",
            name,
            extra=fields("handler_dropped", subscriber=name),
        )
