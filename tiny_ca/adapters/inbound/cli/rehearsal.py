"""Dry runs: everything is read, planned and checked, and the first write ends it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from sqlalchemy import Connection, inspect

from tiny_ca.adapters.inbound.cli.rehearsed import Rehearsed
from tiny_ca.adapters.outbound.db import DatabaseManager, SyncDBHandler
from tiny_ca.adapters.outbound.db.migrate import is_current
from tiny_ca.adapters.outbound.db.registry import SQLRegistry
from tiny_ca.adapters.outbound.storage import LocalStorage
from tiny_ca.domain.errors import NotEmpty
from tiny_ca.domain.records import Location, Reservation
from tiny_ca.ports.storage import Artefacts, KeyRequest
from tiny_ca.settings import Settings

__all__ = ["RehearsedRegistry", "empty_registry", "rehearsed_storage"]

T = TypeVar("T")


class _RolledBack:
    """Runs what writes, constraints and all, and takes it back."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database

    def run(
        self, work: Callable[[Connection], T], *, write: bool = False, group: bool = False
    ) -> T:
        if not write:
            return self._database.run(work)

        def tried(connection: Connection) -> NoReturn:
            work(connection)
            raise Rehearsed("change the registry")

        return self._database.run(tried, write=True)


class RehearsedRegistry(SyncDBHandler):
    """A registry whose transactions are tried, and rolled back.

    Raises `Rehearsed` for one that would have to be migrated.
    """

    def __init__(self, db_url: str) -> None:
        database = DatabaseManager(db_url, create_all=False)
        try:
            if not database.run(is_current):
                raise Rehearsed("migrate the registry first")
        finally:
            database.close()
        super().__init__(db_url)
        SQLRegistry.__init__(self, _RolledBack(self._db))

    def _ensure_issuer(self, issuer_id: str) -> None:
        if not self.issuer_certificates(issuer_id):
            raise Rehearsed("record a new issuer")

    def reserve(self, reservations: Sequence[Reservation]) -> None:
        """Try to reserve serial numbers and names."""
        try:
            super().reserve(reservations)
        except Rehearsed:
            raise Rehearsed("issue", reservations) from None


def empty_registry(settings: Settings) -> SyncDBHandler:
    """Give a registry of this version's schema to rehearse a restore on; none is made.

    Raises `NotEmpty` if the settings' one has rows already, or is of another schema.
    """
    folder = settings.base_folder
    if settings.db_url is None and (folder / "registry.db").exists():
        raise NotEmpty(f"{folder} holds a registry: restore into an empty folder.")
    if settings.db_url is None or _has_no_tables(settings.db_url):
        return SyncDBHandler("sqlite://")
    try:
        return RehearsedRegistry(settings.db_url)
    except Rehearsed:
        raise NotEmpty("The database has tables: restore into an empty one.") from None


def _has_no_tables(db_url: str) -> bool:
    database = DatabaseManager(db_url, create_all=False)
    try:
        return not database.run(lambda connection: inspect(connection).get_table_names())
    finally:
        database.close()


def rehearsed_storage(settings: Settings) -> "RehearsedStorage":
    """Give a storage that reads what the settings' one holds."""
    if settings.passphrase is None:
        return RehearsedStorage(settings.base_folder)
    encryption = BestAvailableEncryption(settings.passphrase)
    return RehearsedStorage(settings.base_folder, base_encryption_algorithm=encryption)


class RehearsedStorage(LocalStorage):
    """A storage that writes nothing."""

    def stage(
        self, location: Location, artefacts: Artefacts | KeyRequest, *, replaces: bool = False
    ) -> None:
        """End the dry run."""
        raise Rehearsed(f"write files into {self.base_folder}")

    def publish(self, location: Location) -> dict[str, Path]:
        """End the dry run."""
        raise Rehearsed(f"write files into {self.base_folder}")

    def delete(self, location: Location) -> None:
        """End the dry run."""
        raise Rehearsed(f"delete files in {self.base_folder}")

    def discard(self, uuid: str) -> None:
        """End the dry run."""
        raise Rehearsed(f"delete files in {self.base_folder}")

    def stage_crl(self, write: Any, file_name: str) -> NoReturn:
        """End the dry run."""
        raise Rehearsed(f"write {file_name} into {self.base_folder}")
