"""Python's TLS contexts."""

from tiny_ca.adapters.outbound.tls.contexts import load_identity, load_roots
from tiny_ca.adapters.outbound.tls.reloading import ReloadingContext

__all__ = ["ReloadingContext", "load_identity", "load_roots"]
