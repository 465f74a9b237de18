"""Randomness."""

from typing import Protocol, runtime_checkable

__all__ = ["Entropy"]


@runtime_checkable
class Entropy(Protocol):
    """Gives random bits that nobody can predict."""

    def random_bits(self, count: int) -> int:
        """Give an integer, 0..2^count-1, from a cryptographic generator; *count* >= 1."""
        ...
