"""Tell observers what happens, and keep their mistakes from the operations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.observer import Observation, Observer

__all__ = ["Observing", "Running"]

Timer = Callable[[], float]
Report = Callable[[Exception], object]


class Running:
    """An operation that is observed."""

    def __init__(
        self, observations: Sequence[Observation], timer: Timer, report: Report, begun: float
    ) -> None:
        self._observations = observations
        self._timer = timer
        self._report = report
        self._begun = begun

    def end(self, error: BaseException | None) -> None:
        """Say how it ended."""
        duration = self._timer() - self._begun
        # What began last ends first, as it does with operations.
        for one in reversed(self._observations):
            _tell(self._report, partial(one.end, duration, error))


class Observing:
    """Observers, the time that they are told, and who hears of what they raise.

    *timer* gives seconds, monotonic.  What one observer raises is not the others' affair.
    """

    def __init__(self, observers: Sequence[Observer], timer: Timer, report: Report) -> None:
        self._observers = observers
        self._timer = timer
        self._report = report

    def now(self) -> float:
        """Give the moment, for `begin`."""
        return self._timer()

    def begin(self, operation: str, begun: float | None = None) -> Running:
        """Say that an operation begins, or has *begun* a moment ago."""
        observations: list[Observation] = []
        for one in self._observers:
            _tell(self._report, partial(_begin, observations, one, operation))
        began = self._timer() if begun is None else begun
        return Running(observations, self._timer, self._report, began)

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Say that an operation begins, and how it ended."""
        running = self.begin(name)
        try:
            yield
        except BaseException as error:
            running.end(error)
            raise
        running.end(None)

    def issued(self, issuer_id: str, profile: str | None) -> None:
        """Say that a certificate became valid."""
        for one in self._observers:
            _tell(self._report, partial(one.issued, issuer_id, profile))

    def revoked(self, reason: CRLReason, count: int) -> None:
        """Say that certificates were revoked."""
        if count:
            for one in self._observers:
                _tell(self._report, partial(one.revoked, reason, count))

    def measured(self, report: ExpiryReport) -> None:
        """Say what ends when."""
        for one in self._observers:
            _tell(self._report, partial(one.measured, report))


def _begin(observations: list[Observation], observer: Observer, operation: str) -> None:
    observations.append(observer.begin(operation))


def _tell(report: Report, call: Callable[[], object]) -> None:
    try:
        call()
    except Exception as error:  # noqa: BLE001  # what is done is done, whoever fails to hear of it
        report(error)
