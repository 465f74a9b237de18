"""The observer that sees nothing."""

from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.observer import Observation

__all__ = ["NoObserver"]


class NoObserver:
    """Sees nothing.  Implements `ports.observer.Observer`."""

    def begin(self, operation: str) -> Observation:
        """Give an observation that keeps nothing."""
        return _NOTHING

    def issued(self, issuer_id: str, profile: str | None) -> None:
        """Do nothing."""

    def revoked(self, reason: CRLReason, count: int) -> None:
        """Do nothing."""

    def measured(self, report: ExpiryReport) -> None:
        """Do nothing."""


class _Nothing:
    def end(self, duration: float, error: BaseException | None) -> None:
        """Do nothing."""


_NOTHING = _Nothing()
