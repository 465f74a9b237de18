"""Fixtures that every folder of tests shares."""

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.regression.world import World
from tests.support import REQUIRE_ALL, PostgreSQL, in_memory, need
from tiny_ca import CAConfig, CertLifecycleManager, LocalStorage, ManualClock, SyncDBHandler

# Half of a test's time is a disk's, which syncs each file and each commit; whether they are
# synced, and in which order, is what the fault tests see.  Before anybody asks for a folder.
if "TMPDIR" not in os.environ and (folder := in_memory()) is not None:
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything has to run, a skip is a failure."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and TINY_CA_REQUIRE_ALL=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL cluster of this test process, thrown away at its end."""
    need("initdb", "postgres")
    # Not in pytest's folders, which another run of pytest closes to PostgreSQL's user.
    with TemporaryDirectory() as folder, PostgreSQL.started(Path(folder)) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    return request.getfixturevalue("postgresql").new_database()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[CertLifecycleManager]:
    """A manager on files and SQLite, with a P-256 root."""
    with CertLifecycleManager(
        storage=LocalStorage(tmp_path / "pki"),
        db_handler=SyncDBHandler(f"sqlite:///{tmp_path / 'registry.db'}"),
    ) as made:
        made.create_self_signed_ca(
            CAConfig(
                common_name="Test Root", organization="ACME", country="UA", key_algorithm="p-256"
            )
        )
        yield made


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ca(world: World, clock: ManualClock) -> Iterator[CertLifecycleManager]:
    """A manager on files and SQLite, with a P-256 root, whose time is the test's."""
    with world.ca(clock=clock) as manager:
        yield manager


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but a test's own, and defaults that write into its folder."""
    for name in os.environ:
        if name.upper().startswith("TINY_CA_") and name != "TINY_CA_REQUIRE_ALL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
