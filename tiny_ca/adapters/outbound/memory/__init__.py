"""Adapters without an outside: for tests, and for people who want no files or no registry."""

from tiny_ca.adapters.outbound.memory.absent import NoRegistry, NoStorage
from tiny_ca.adapters.outbound.memory.registry import MemoryRegistry
from tiny_ca.adapters.outbound.memory.sources import ManualClock, SeededEntropy
from tiny_ca.adapters.outbound.memory.storage import MemoryStorage

__all__ = [
    "ManualClock",
    "MemoryRegistry",
    "MemoryStorage",
    "NoRegistry",
    "NoStorage",
    "SeededEntropy",
]
