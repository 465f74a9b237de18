"""Files on a local file system."""

from tiny_ca.adapters.outbound.storage.async_local import AsyncLocalStorage
from tiny_ca.adapters.outbound.storage.base import BaseStorage
from tiny_ca.adapters.outbound.storage.local import LocalStorage

__all__ = ["AsyncLocalStorage", "BaseStorage", "LocalStorage"]
