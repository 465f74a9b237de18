"""The clock and the CSPRNG of the operating system."""

import secrets
import time
from datetime import UTC, datetime

__all__ = ["SystemClock", "SystemEntropy"]


class SystemClock:
    """The operating system's clock."""

    def now(self) -> datetime:
        """Give the current time as an aware datetime in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for *seconds*."""
        time.sleep(seconds)


class SystemEntropy:
    """The operating system's CSPRNG."""

    def random_bits(self, count: int) -> int:
        """Give *count* (>= 1) random bits as an integer."""
        return secrets.randbits(count)
