"""A registry and a folder that tests can look into, and adapters that go wrong on demand."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cryptography import x509

from tiny_ca import CAConfig, CertLifecycleManager, ClientConfig, LocalStorage, SyncDBHandler
from tiny_ca.domain.errors import CertNotFound

__all__ = [
    "PROJECT",
    "ROOT_CONFIG",
    "Hook",
    "World",
    "fail",
    "fail_at",
    "hooked",
    "leaf",
    "locked",
    "serials",
]

PROJECT = Path(__file__).parents[2]

ROOT_CONFIG = CAConfig(
    common_name="Test Root", organization="ACME", country="UA", key_algorithm="p-256"
)


def leaf(common_name: str = "a.internal", **fields: Any) -> ClientConfig:
    return ClientConfig(common_name=common_name, **{"key_algorithm": "p-256", **fields})


class Row(NamedTuple):
    common_name: str
    status: str
    reason: str | None
    cert_path: str | None
    uuid: str | None
    serial_number: int


@dataclass
class World:
    """What a manager leaves behind in a folder: `pki` and `registry.db`."""

    folder: Path
    query: str = ""

    @property
    def base(self) -> Path:
        return self.folder / "pki"

    @property
    def database(self) -> Path:
        return self.folder / "registry.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}{self.query}"

    def manager(self, **options: Any) -> CertLifecycleManager:
        options.setdefault("storage", LocalStorage(self.base))
        if "db_handler" not in options:
            options["db_handler"] = SyncDBHandler(self.url)
        return CertLifecycleManager(**options)

    @contextmanager
    def ca(self, **options: Any) -> Iterator[CertLifecycleManager]:
        """A manager with the root of this world, made by whoever asks first."""
        with self.manager(**options) as manager:
            try:
                manager.open_ca(ROOT_CONFIG.common_name)
            except CertNotFound:
                manager.create_self_signed_ca(ROOT_CONFIG)
            yield manager

    def rows(self) -> list[Row]:
        """The registry past the library: nothing between the test and the file."""
        query = (
            "SELECT common_name, status, revocation_reason, cert_path, uuid, serial_number "
            "FROM certificates ORDER BY id"
        )
        with closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute(query).fetchall()
        return [Row(*columns, int(number)) for *columns, number in rows]

    def statuses(self, common_name: str) -> list[str]:
        return [row.status for row in self.rows() if row.common_name == common_name]

    def files(self) -> set[str]:
        """Every file that others can see, relative to the base folder."""
        paths = (path.relative_to(self.base) for path in self.base.rglob("*") if path.is_file())
        return {path.as_posix() for path in paths if path.parts[0] != ".staging"}

    def staged(self) -> list[str]:
        staging = self.base / ".staging"
        return sorted(path.name for path in staging.iterdir()) if staging.exists() else []

    def tree(self) -> set[str]:
        """Every path below the folder but for the database's own files."""
        return {
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if not path.name.startswith(self.database.name)
        }


def fail(error: BaseException) -> Callable[[], NoReturn]:
    def strike() -> NoReturn:
        raise error

    return strike


@dataclass
class Hook:
    """What happens once, before or after a method of an adapter, when a test has set it."""

    method: str
    after: bool = False
    action: Callable[[], object] | None = None

    def run(self) -> None:
        action, self.action = self.action, None
        if action is not None:
            action()


def hooked(kind: type, hook: Hook) -> type:
    """Make a subclass of a real adapter that runs *hook*, so that all else is the real thing."""
    method = getattr(kind, hook.method)

    @wraps(method)
    def call(self: object, *args: Any, **kwargs: Any) -> Any:
        if not hook.after:
            hook.run()
            return method(self, *args, **kwargs)
        result = method(self, *args, **kwargs)
        hook.run()
        return result

    return type(f"Hooked{kind.__name__}", (kind,), {hook.method: call})


def fail_at(hook: Hook, call: int, error: BaseException) -> None:
    """Let *hook* raise *error* when its method is called for the *call*-th time from now."""
    calls = count(1)

    def strike() -> None:
        if next(calls) == call:
            raise error
        hook.action = strike

    hook.action = strike


@contextmanager
def locked(database: Path) -> Iterator[sqlite3.Connection]:
    """Hold SQLite's write lock, as a writer that does not come to its end does."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def serials(crl: x509.CertificateRevocationList) -> set[int]:
    return {entry.serial_number for entry in crl}
