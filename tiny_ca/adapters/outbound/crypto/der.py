"""DER, for adapters: `tiny_ca.domain.der` writes, `tiny_ca.domain.der_reader` reads."""

from tiny_ca.domain.der import *  # noqa: F403
from tiny_ca.domain.der_reader import Element, Reader

__all__ = ["Element", "Reader"]
