"""The registry in a relational database, by SQLAlchemy Core."""

from tiny_ca.adapters.outbound.db.async_handler import AsyncDBHandler
from tiny_ca.adapters.outbound.db.base import BaseDB
from tiny_ca.adapters.outbound.db.sync_handler import DatabaseManager, SyncDBHandler

__all__ = ["AsyncDBHandler", "BaseDB", "DatabaseManager", "SyncDBHandler"]
