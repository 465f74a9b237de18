"""The clock and the CSPRNG of the operating system."""

import secrets
from datetime import UTC, datetime

__all__ = ["SystemClock", "SystemEntropy"]


class SystemClock:
    """The operating system's clock."""

    def now(self) -> datetime:
        """Give the current time as an aware datetime in UTC."""
        return datetime.now(UTC)


class SystemEntropy:
    """The operating system's CSPRNG."""

    def random_bits(self, count: int) -> int:
        """Give *count* (>= 1) random bits as an integer."""
        return secrets.randbits(count)
