"""The ports that a use-case works with."""

from dataclasses import dataclass

from tiny_ca.ports.clock import Clock
from tiny_ca.ports.crypto import Crypto
from tiny_ca.ports.entropy import Entropy
from tiny_ca.ports.path import PathValidator
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Storage

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """One of each port."""

    clock: Clock
    entropy: Entropy
    crypto: Crypto
    paths: PathValidator
    registry: Registry
    storage: Storage
