"""What ends when."""

from tiny_ca.application import measure
from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.lifecycle.base import Face

__all__ = ["Measuring"]


class Measuring(Face):
    """The operation that feeds the gauges."""

    def measure_expiry(self, within_days: int = 30, *, limit: int = 100) -> ExpiryReport:
        """Say what of this CA ends when, and tell the observer.

        The end of its certificate, until when each of its CRLs holds, and the certificates that
        are valid and end within *within_days* days, soonest first, *limit* at most.  Call it
        from a timer: gauges tell what it last saw.  Raises `InvalidRequest` for negative numbers.
        """
        return measure.measure_expiry(self._with_registry(), self._issuer(), within_days, limit)
