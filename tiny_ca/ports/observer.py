"""Who sees what a manager does, and how long it takes, while it does it."""

from typing import Protocol, runtime_checkable

from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.revocation import CRLReason

__all__ = ["Observation", "Observer"]


class Observation(Protocol):
    """One operation that has begun."""

    def end(self, duration: float, error: BaseException | None) -> None:
        """Take note that it is over, once, in the thread or task where it began.

        *duration* is in seconds, by a monotonic clock; *error* is what the operation raised.
        """
        ...


@runtime_checkable
class Observer(Protocol):
    """Sees a manager's operations.  Thread-safe, and quick: the operations wait for it.

    Operations may begin inside others, and end in the opposite order.  What an observer raises
    is logged and goes no further: a certificate that is issued stays so.  It hears of this
    process alone, and only while it runs; facts that must not be lost are `Event`s.
    """

    def begin(self, operation: str) -> Observation:
        """Take note that *operation*, the name of a manager's method, begins."""
        ...

    def issued(self, issuer_id: str, profile: str | None) -> None:
        """Take note that a certificate became valid, a CA's too; `None`: of no profile."""
        ...

    def revoked(self, reason: CRLReason, count: int) -> None:
        """Take note that *count* certificates, 1 or more, were revoked."""
        ...

    def measured(self, report: ExpiryReport) -> None:
        """Take note of what ends when; it takes the place of the last report of that CA."""
        ...
