"""How far something long has come."""

from typing import Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """Called now and then with how much is done, and of how much.

    `None` for *total* while nobody knows it; both begin anew when a second part begins, such
    as writing after checking.  One call at a time, in the thread that works: an async
    manager's worker.  What it raises ends the operation as an error of its own would.
    """

    def __call__(self, done: int, total: int | None, /) -> object:
        """Take note."""
        ...
