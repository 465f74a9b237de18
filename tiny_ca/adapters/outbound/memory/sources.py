"""A clock that is set by hand, and random bits that repeat."""

import random
from datetime import UTC, datetime, timedelta
from threading import Lock

__all__ = ["ManualClock", "SeededEntropy"]


class ManualClock:
    """A clock that stands still until it is moved; aware datetimes only."""

    def __init__(self, now: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        """Give the time that was set, in UTC."""
        return self._now.astimezone(UTC)

    def sleep(self, seconds: float) -> None:
        """Move the time on, and come back at once."""
        self.advance(timedelta(seconds=seconds))

    def set(self, now: datetime) -> None:
        """Set the time."""
        self._now = now

    def advance(self, by: timedelta) -> None:
        """Move the time on."""
        self._now += by


class SeededEntropy:
    """Random bits that are the same for the same seed: for tests alone."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._lock = Lock()

    def random_bits(self, count: int) -> int:
        """Give *count* (>= 1) bits as an integer."""
        with self._lock:
            return self._random.getrandbits(count)
