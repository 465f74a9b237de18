"""The system's clock and random number generator."""

from tiny_ca.adapters.outbound.system.helpers import CertLifetime, SerialWithEncoding
from tiny_ca.adapters.outbound.system.sources import SystemClock, SystemEntropy

__all__ = ["CertLifetime", "SerialWithEncoding", "SystemClock", "SystemEntropy"]
