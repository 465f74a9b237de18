"""The registry's schema: one, whether created or migrated, and nothing lost on the way."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.integration.legacy import LegacyRegistry, execute, filled_once, query
from tests.support import unavailable
from tiny_ca import AsyncDBHandler, SyncDBHandler, TinyCAError
from tiny_ca.adapters.outbound.db.schema import REVISION, metadata, version
from tiny_ca.domain.errors import RegistryError

PROJECT = Path(__file__).parents[2]
OPENERS = 8
TABLES = {*metadata.tables, version.name}


def opened(db_url: str) -> str:
    SyncDBHandler(db_url).close()
    return db_url


async def opened_async(db_url: str) -> str:
    handler = AsyncDBHandler(db_url)
    try:
        await handler._db.init_db()
    finally:
        await handler.aclose()
    return db_url


@pytest.fixture
def new_url(request: pytest.FixtureRequest, db_url: str, tmp_path: Path) -> Callable[[], str]:
    """URLs of further empty databases of the same kind."""
    if db_url.startswith("sqlite"):
        names = iter(range(100))
        return lambda: f"sqlite:///{tmp_path / f'further-{next(names)}.db'}"
    cluster = request.getfixturevalue("postgresql")
    new: Callable[[], str] = cluster.new_database
    return new


def index_text(index: Any) -> str:
    options = {name: str(value) for name, value in index.pop("dialect_options", {}).items()}
    return repr((sorted(index.items()), sorted(options.items())))


def schema_of(db_url: str) -> dict[str, Any]:
    """Everything that the inspector can tell of a database's tables."""
    engine = sa.create_engine(db_url)
    inspector = sa.inspect(engine)
    found = {
        table: {
            # A migrated table's sequence can't have the name that the old table's still had.
            "columns": [
                {key: re.sub(r"id_seq\d+", "id_seq", str(value)) for key, value in column.items()}
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": inspector.get_foreign_keys(table),
            "unique": sorted(inspector.get_unique_constraints(table), key=lambda u: u["name"]),
            "indexes": sorted(map(index_text, inspector.get_indexes(table))),
        }
        for table in inspector.get_table_names()
    }
    engine.dispose()
    return found


def differences(db_url: str) -> list[Any]:
    """What Alembic would write into the next migration."""
    engine = sa.create_engine(db_url)
    with engine.connect() as connection:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "version_table": version.name,
        }
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return found


def dump(db_url: str) -> list[tuple[Any, ...]]:
    return query(db_url, "SELECT * FROM certificates ORDER BY id")


def tables(db_url: str) -> set[str]:
    engine = sa.create_engine(db_url)
    names = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return names


class TestOneSchema:
    def test_the_newest_revision_is_the_only_head(self) -> None:
        config = Config()
        config.set_main_option("script_location", "tiny_ca.adapters.outbound.db:migrations")
        assert ScriptDirectory.from_config(config).get_heads() == [REVISION]

    def test_revisions_sort_in_their_order(self) -> None:
        # `is_current` tells a newer schema by comparing them as text.
        config = Config()
        config.set_main_option("script_location", "tiny_ca.adapters.outbound.db:migrations")
        walk = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
        assert sorted(walk, reverse=True) == walk

    def test_a_created_registry_is_what_the_tables_say(self, db_url: str) -> None:
        assert differences(opened(db_url)) == []

    def test_a_migrated_registry_is_what_the_tables_say(self, db_url: str) -> None:
        old = LegacyRegistry()
        old.add("a.internal")
        assert differences(opened(old.write(db_url))) == []

    def test_created_and_migrated_are_the_same(
        self, db_url: str, new_url: Callable[[], str]
    ) -> None:
        old = LegacyRegistry()
        old.revoked("a.internal", "keyCompromise")
        migrated = schema_of(opened(old.write(db_url)))
        assert migrated == schema_of(opened(new_url()))
        assert set(migrated) == TABLES

    def test_sqlite_uses_no_id_of_an_event_again(self, tmp_path: Path) -> None:
        """It does unless the table says otherwise, which the inspector can't see."""
        created, migrated = (f"sqlite:///{tmp_path / name}" for name in ("created", "migrated"))
        LegacyRegistry().write(migrated)
        for db_url in (created, migrated):
            [(sql,)] = query(
                opened(db_url), "SELECT sql FROM sqlite_master WHERE name = 'event_deliveries'"
            )
            assert "AUTOINCREMENT" in sql

    @pytest.mark.anyio
    async def test_the_async_handler_makes_the_same(
        self, db_url: str, new_url: Callable[[], str]
    ) -> None:
        created = schema_of(opened(db_url))
        assert schema_of(await opened_async(new_url())) == created
        assert schema_of(await opened_async(LegacyRegistry().write(new_url()))) == created

    def test_opening_again_changes_nothing(self, db_url: str) -> None:
        old = LegacyRegistry()
        old.revoked("a.internal", None)
        opened(old.write(db_url))
        before = dump(db_url)
        assert dump(opened(db_url)) == before
        assert query(db_url, f"SELECT version_num FROM {version.name}") == [(REVISION,)]


class TestRefusals:
    def test_a_newer_schema(self, db_url: str) -> None:
        opened(db_url)
        execute(db_url, f"UPDATE {version.name} SET version_num = '9999'")
        with pytest.raises(RegistryError, match=r"9999.*upgrade tiny-ca"):
            SyncDBHandler(db_url)
        assert query(db_url, f"SELECT version_num FROM {version.name}") == [("9999",)]

    @pytest.mark.anyio
    async def test_a_newer_schema_async(self, db_url: str) -> None:
        opened(db_url)
        execute(db_url, f"UPDATE {version.name} SET version_num = '9999'")
        with (
            closing(AsyncDBHandler(db_url)) as handler,
            pytest.raises(RegistryError, match="upgrade tiny-ca"),
        ):
            await handler.get_by_serial(1)

    def test_somebody_elses_table(self, db_url: str) -> None:
        execute(
            db_url,
            "CREATE TABLE certificates (id INTEGER PRIMARY KEY, awarded_to VARCHAR(20))",
            "INSERT INTO certificates VALUES (1, 'swimming')",
        )
        with pytest.raises(RegistryError, match="another database or schema"):
            SyncDBHandler(db_url)
        assert tables(db_url) == {"certificates"}
        assert dump(db_url) == [(1, "swimming")]


def with_broken_pem(row: dict[str, Any]) -> None:
    begin, *_, end = row["certificate_pem"].strip().split("\n")
    row["certificate_pem"] = "\n".join((begin, "bm90IGEgY2VydGlmaWNhdGU=", end))


def with_no_pem(row: dict[str, Any]) -> None:
    row["certificate_pem"] = ""


def with_truncated_pem(row: dict[str, Any]) -> None:
    begin, *body, end = row["certificate_pem"].strip().split("\n")
    row["certificate_pem"] = "\n".join((begin, *body[: len(body) // 2], end))


class TestHalfWay:
    """A row that can't be read: the migration is given up as if it had not begun."""

    @pytest.fixture(params=[with_broken_pem, with_no_pem, with_truncated_pem])
    def old(self, request: pytest.FixtureRequest) -> LegacyRegistry:
        registry = LegacyRegistry()
        # More than a page, so that rows were copied before the broken one is met.
        for i in range(600):
            registry.add(f"host-{i}")
        request.param(registry.rows[3])
        return registry

    def check(self, db_url: str, old: LegacyRegistry, error: TinyCAError) -> None:
        assert isinstance(error, RegistryError)
        assert "Row 4 " in error.message
        assert old.rows[3]["serial_number"] in error.message
        assert "host-2" in error.message
        assert tables(db_url) == {"certificates"}
        serials = query(db_url, "SELECT serial_number FROM certificates ORDER BY id")
        assert [serial for (serial,) in serials] == [row["serial_number"] for row in old.rows]

    def test_the_old_table_is_as_it_was(self, db_url: str, old: LegacyRegistry) -> None:
        old.write(db_url)
        before, schema = dump(db_url), schema_of(db_url)
        with pytest.raises(TinyCAError) as caught:
            SyncDBHandler(db_url)
        self.check(db_url, old, caught.value)
        assert dump(db_url) == before
        assert schema_of(db_url) == schema

    @pytest.mark.anyio
    async def test_the_old_table_is_as_it_was_async(self, db_url: str, old: LegacyRegistry) -> None:
        old.write(db_url)
        before, schema = dump(db_url), schema_of(db_url)
        with pytest.raises(TinyCAError) as caught:
            await opened_async(db_url)
        self.check(db_url, old, caught.value)
        assert dump(db_url) == before
        assert schema_of(db_url) == schema

    def test_it_goes_through_once_the_row_is_gone(self, db_url: str, old: LegacyRegistry) -> None:
        old.write(db_url)
        with pytest.raises(RegistryError):
            SyncDBHandler(db_url)
        execute(db_url, "DELETE FROM certificates WHERE id = 4")
        assert len(dump(opened(db_url))) == 600


# The processes are forked, so that none waits for another's imports when the race begins.  Each
# transaction that makes or migrates the tables stamps them: that is counted.
OPEN_AT_ONCE = """
import asyncio, multiprocessing, sys
import alembic.command, sqlalchemy.ext.asyncio
from tiny_ca import AsyncDBHandler, SyncDBHandler
from tiny_ca.adapters.outbound.db import migrate

def open_one(is_sync):
    stamped = []
    stamp = migrate._stamp
    migrate._stamp = lambda connection, revision: (stamp(connection, revision), stamped.append(1))
    start.wait(30)
    if is_sync:
        handler = SyncDBHandler(url)
    else:
        handler = AsyncDBHandler(url)
        asyncio.run(handler._db.init_db())
    handler.close()
    stamps.put(len(stamped))

url, count = sys.argv[1], int(sys.argv[2])
fork = multiprocessing.get_context("fork")
start, stamps = fork.Barrier(count), fork.SimpleQueue()
processes = [fork.Process(target=open_one, args=(i % 2,)) for i in range(count)]
for process in processes:
    process.start()
for process in processes:
    process.join()
assert not any(process.exitcode for process in processes), processes
print(sum(stamps.get() for _ in processes))
"""


def open_at_once(db_url: str) -> int:
    """Open a database from many processes at the same moment; how often it was stamped."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", OPEN_AT_ONCE, db_url, str(OPENERS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


class TestAtOnce:
    def test_a_fresh_database_is_made_once(self, db_url: str) -> None:
        assert open_at_once(db_url) == 1
        assert differences(db_url) == []
        assert query(db_url, f"SELECT version_num FROM {version.name}") == [(REVISION,)]

    def test_an_old_registry_is_migrated_once(self, db_url: str) -> None:
        old = LegacyRegistry()
        for i in range(700):
            old.add(f"host-{i}")
        old.write(db_url)
        assert open_at_once(db_url) == 1
        serials = query(db_url, "SELECT serial_number FROM certificates ORDER BY id")
        assert [serial for (serial,) in serials] == [row["serial_number"] for row in old.rows]
        assert tables(db_url) == TABLES


def build_wheel(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, "."]
    built = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
    )
    if built.returncode != 0:
        unavailable(f"pip can't build a wheel here: {built.stderr[-300:]}")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (wheel,) = filled_once(tmp_path_factory, "wheel", build_wheel).glob("*.whl")
    return wheel


class TestWheel:
    def test_it_has_every_module_of_the_package(self, wheel: Path) -> None:
        wanted = {
            path.relative_to(PROJECT).as_posix()
            for path in (PROJECT / "tiny_ca").rglob("*")
            if path.suffix == ".py" or path.name == "py.typed"
        }
        packed = set(zipfile.ZipFile(wheel).namelist())
        assert any(name.endswith("v0002_issuers_and_claims.py") for name in wanted)
        assert wanted <= packed
        strangers = {name for name in packed - wanted if ".dist-info/" not in name}
        assert strangers == set()

    def test_it_migrates_by_itself(self, wheel: Path, tmp_path: Path) -> None:
        installed = tmp_path / "installed"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(installed)
        old = LegacyRegistry()
        old.add("a.internal")
        db_url = old.write(f"sqlite:///{tmp_path / 'old.db'}")
        code = (
            "import sys, tiny_ca; tiny_ca.SyncDBHandler(sys.argv[1]).close(); "
            "print(tiny_ca.__file__)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, db_url],
            env={**os.environ, "PYTHONPATH": str(installed)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).is_relative_to(installed)
        assert query(db_url, f"SELECT version_num FROM {version.name}") == [(REVISION,)]
