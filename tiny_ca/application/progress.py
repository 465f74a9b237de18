"""Count what is done, and tell of it now and then."""

from collections.abc import Iterable, Iterator
from threading import Lock
from typing import TypeVar

from tiny_ca.ports.progress import Progress

__all__ = ["Steps", "counted"]

T = TypeVar("T")

_PARTS = 200
"""How often something whose end is known is told of."""
_AT_ONCE = 100
"""How much is done from one word to the next where it is not."""


class Steps:
    """Counts one part of an operation.  Thread-safe."""

    def __init__(self, tell: Progress | None, total: int | None = None) -> None:
        self._tell, self._total = tell, total
        self._step = _AT_ONCE if total is None else max(1, total // _PARTS)
        self._lock = Lock()
        self._done = self._told = 0

    def add(self, count: int = 1) -> None:
        """Take into account that so much more is done."""
        if self._tell is not None:
            self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """Take into account that so much is done, from the beginning."""
        if self._tell is None:
            return
        with self._lock:
            self._done = done
            if self._done - self._told >= self._step or self._done == self._total:
                self._told = self._done
                self._tell(self._done, self._total)


def counted(items: Iterable[T], tell: Progress | None, total: int | None = None) -> Iterator[T]:
    """Give *items*, each of which is done when the next one is asked for."""
    steps = Steps(tell, total)
    for item in items:
        yield item
        steps.add()
