"""How much work is left."""

from collections import Counter
from typing import Literal

from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.paths import PathLimits

__all__ = ["Budget", "OutOfBudget"]


class OutOfBudget(ValidationCertError):
    """The certificates ask for more work than the request allows; the search ends."""


class Budget:
    """Counts the work of one search."""

    def __init__(self, limits: PathLimits) -> None:
        self._limits = limits
        self._spent: Counter[str] = Counter()

    def spend(
        self, what: Literal["signatures", "steps", "paths", "comparisons"], amount: int = 1
    ) -> None:
        """Count some work, before it is done.  Raises `OutOfBudget` past the limit."""
        self._spent[what] += amount
        limit: int = getattr(self._limits, what)
        if self._spent[what] > limit:
            raise OutOfBudget(
                f"No path was found within {limit} {what} (PathLimits): pass only intermediates "
                "that belong to it."
            )
