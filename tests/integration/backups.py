"""Places to back up from and to restore to, and what has to be true there."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.pki import check_whole
from tests.regression.world import World
from tests.support import PostgreSQL
from tiny_ca import (
    AsyncDBHandler,
    CertLifecycleManager,
    LocalStorage,
    MemoryRegistry,
    MemoryStorage,
    SyncDBHandler,
)


@dataclass
class Place:
    """Somewhere to restore to, or from."""

    kind: str
    folder: Path
    postgresql: Callable[[], PostgreSQL]

    def manager(self, **options: Any) -> CertLifecycleManager:
        if self.kind == "memory":
            return CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), **options)
        kind, database = self.kind.split()
        handler = {"sync": SyncDBHandler, "async": AsyncDBHandler}[kind]
        url = f"sqlite:///{self.folder / 'registry.db'}"
        if database == "postgresql":
            url = self.postgresql().new_database()
        # The database lies where the files do, as `open_ca` has it.
        self.folder.mkdir()
        return CertLifecycleManager(LocalStorage(self.folder), db_handler=handler(url), **options)


KINDS = ("sync sqlite", "async sqlite", "sync postgresql", "async postgresql", "memory")


def rows_of(manager: CertLifecycleManager) -> dict[str, list[Any]]:
    """Every row of a certificate, in all columns but the database's own number."""
    found: list[Any] = []

    def write(table: str, rows: Any) -> None:
        if table == "certificates":
            found.extend({**row, "id": None} for row in rows)

    manager._services.registry.export_rows(write)
    return {"certificates": found}


def tree(base: Path) -> dict[str, bytes]:
    return {
        path.relative_to(base).as_posix(): path.read_bytes()
        for path in base.rglob("*")
        if path.is_file() and not path.name.startswith("registry.db")
    }


def restored(archive: Path, folder: Path, **options: Any) -> CertLifecycleManager:
    folder.mkdir(exist_ok=True)
    manager = World(folder).manager(**options)
    manager.restore(archive)
    manager.open_ca()
    return manager


def check_restored(folder: Path) -> set[str]:
    """Check that every valid row has its files, whole; give the names that have one."""
    world = World(folder)
    rows = [row for row in world.rows() if row.status == "valid"]
    folders = {check_whole(path.parent): path for path in world.base.rglob("*.key")}
    assert {row.serial_number for row in rows} <= folders.keys()
    names = [row.common_name for row in rows]
    assert len(set(names)) == len(names)
    return set(names)


def elsewhere(world: World, name: str = "new") -> dict[str, Any]:
    """Give adapters of a registry and a folder that are not there yet."""
    url = f"sqlite:///{world.folder / name}.db"
    return {"storage": LocalStorage(world.folder / name), "db_handler": SyncDBHandler(url)}


DEADLY = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def _is_deadly(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in DEADLY or (event == "open" and bool(arguments[2] & os.O_CREAT))


def dies(work: Callable[[], object]) -> bool:
    """Do *work* in a fork; tell if it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - must not return into pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(number: int, work: Callable[[], object]) -> Callable[[], object]:
    """Make *work* die at its *number*th change of files."""

    def run() -> None:
        changes = count(1)

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if _is_deadly(event, arguments) and next(changes) == number:
                die()

        sys.addaudithook(watch)
        work()

    return run
