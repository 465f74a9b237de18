"""Tell subscribers what happened: at least once, in order for each certificate."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Lock
from typing import NamedTuple, Self

from tiny_ca.application.runner import is_async, refuse_awaitable
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidRequest, UnknownSubscriber
from tiny_ca.domain.events import Event, check_subscriber, retry_delay
from tiny_ca.ports.outbox import Delivery, Lease, Outbox

__all__ = [
    "LEASE",
    "Delivered",
    "Handler",
    "Round",
    "announce_expiring",
    "deliver",
    "subscribe",
    "unsubscribe",
]

LEASE = timedelta(minutes=1)
"""How long a process may take over one event before another one delivers it again."""

_PAGE = 100

Handler = Callable[[Event], object]
"""What is called with an event; `async def` on the async face, if it likes."""


class Delivered(NamedTuple):
    """How many events were acknowledged, and how many failed and wait to be tried again."""

    delivered: int
    postponed: int

    @classmethod
    def of(cls, rounds: "Sequence[Round]") -> Self:
        """Add up what rounds did."""
        return cls(sum(one.delivered for one in rounds), sum(one.postponed for one in rounds))


def outbox_of(services: Services) -> Outbox:
    """Give the registry as an outbox.  Raises `InvalidRequest` if it is none."""
    registry = services.registry
    if not isinstance(registry, Outbox):
        raise InvalidRequest(
            f"{type(registry).__name__} keeps no events: a registry that does has the methods "
            "of tiny_ca.ports.outbox.Outbox, too."
        )
    return registry


def subscribe(services: Services, name: str) -> bool:
    """Keep events for *name*, from now on, durably.  False if they are kept already."""
    return outbox_of(services).subscribe(check_subscriber(name))


def unsubscribe(services: Services, name: str) -> bool:
    """Forget *name* and what waits for it.  False if there is no such subscriber."""
    return outbox_of(services).unsubscribe(name)


def announce_expiring(services: Services, window: timedelta) -> int:
    """Write the `expiring` events that are due; give how many."""
    now = services.clock.now()
    try:
        is_usable = window >= timedelta(seconds=1) and bool(now + window)
    except OverflowError:
        is_usable = False
    if not is_usable:
        raise InvalidRequest(f"A window is a second or more, and ends in this era; got {window}.")
    return outbox_of(services).note_expiring(now, timedelta(seconds=int(window.total_seconds())))


class Round:
    """One turn at what is due to one subscriber, under a lease: begin, handle or settle, end.

    Thread-safe: what a cancelled task left under way ends before the lease does.
    """

    def __init__(
        self,
        services: Services,
        subscriber: str,
        handler: Handler,
        *,
        limit: int | None,
        lease: timedelta,
        on_failure: Callable[[str, Event, Exception], object],
        on_absence: Callable[[str], object],
    ) -> None:
        self._clock, self._outbox = services.clock, outbox_of(services)
        self._subscriber, self._duration = subscriber, lease
        self._holder = f"{services.entropy.random_bits(128):032x}"
        self.handler = handler
        self._limit, self._on_failure, self._on_absence = limit, on_failure, on_absence
        self._turn = Lock()
        self._is_held = False
        self._page: deque[Delivery] = deque()
        self._after = 0
        self._failed: set[tuple[str, int | None]] = set()
        """Whose later events, of this page, have to wait."""
        self.delivered = self.postponed = 0

    def _lease(self) -> Lease:
        return Lease(self._subscriber, self._holder, self._clock.now() + self._duration)

    @property
    def is_async(self) -> bool:
        """Whether the handler has to be awaited."""
        return is_async(self.handler)

    def begin(self) -> Event | None:
        """Take the lease and give the first event; `None` if somebody else delivers."""
        self._began = self._clock.now()
        try:
            self._is_held = self._outbox.take_lease(self._lease(), self._began)
        except UnknownSubscriber:
            self._on_absence(self._subscriber)
        return self._next()

    def handle(self, event: Event) -> Event | None:
        """Call the handler, settle, and give the next event."""
        with self._turn:
            result, failure = None, None
            try:
                result = self.handler(event)
            except Exception as error:  # noqa: BLE001 - it is told of, and tried again
                failure = error
            refuse_awaitable(result)
            return self._settle(failure)

    def settle(self, failure: Exception | None) -> Event | None:
        """Acknowledge the last event, or keep it for later, and give the next one."""
        with self._turn:
            return self._settle(failure)

    def _settle(self, failure: Exception | None) -> Event | None:
        event, failures = self._page.popleft()
        if failure is None:
            self._is_held = self._outbox.acknowledge(self._lease(), event.id)
            self.delivered += self._is_held
        else:
            self._on_failure(self._subscriber, event, failure)
            until = max(self._clock.now(), self._began) + retry_delay(failures + 1)
            self._is_held = self._outbox.postpone(self._lease(), event.id, until)
            self._failed.add(event.stream)
            self.postponed += self._is_held
        return self._next()

    def _next(self) -> Event | None:
        while self._is_held and self.delivered + self.postponed != self._limit:
            if not self._page:
                found = self._outbox.due_events(self._subscriber, self._began, self._after, _PAGE)
                if not found:
                    break
                self._page.extend(found)
                self._failed.clear()
                self._after = found[-1].event.id
            event = self._page[0].event
            if event.stream not in self._failed:
                return event
            self._page.popleft()
        return None

    def end(self) -> None:
        """Let others deliver."""
        with self._turn:
            if self._is_held:
                self._is_held = False
                self._outbox.end_lease(self._lease())


def deliver(rounds: Sequence[Round]) -> Delivered:
    """Call handlers with everything that is due, in the caller's thread.

    Raises `InvalidRequest`, before any is called, if one of them has to be awaited.
    """
    if any(one.is_async for one in rounds):
        raise InvalidRequest("An async handler needs AsyncCertLifecycleManager.deliver_events.")
    for one in rounds:
        try:
            event = one.begin()
            while event is not None:
                event = one.handle(event)
        finally:
            one.end()
    return Delivered.of(rounds)
