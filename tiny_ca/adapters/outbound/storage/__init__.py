"""Files on a local file system."""

from tiny_ca.adapters.outbound.storage.async_local import AsyncLocalStorage
from tiny_ca.adapters.outbound.storage.base import BaseStorage
from tiny_ca.adapters.outbound.storage.live import shown_in_live, write_live
from tiny_ca.adapters.outbound.storage.local import LocalStorage
from tiny_ca.adapters.outbound.storage.pem import PEM

__all__ = ["PEM", "AsyncLocalStorage", "BaseStorage", "LocalStorage", "shown_in_live", "write_live"]
