"""The time."""

from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["Clock"]


@runtime_checkable
class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Give the current time as an aware datetime in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Come back when that much time has passed; 0 or more."""
        ...
