"""What tests need from the machine: programs, or a reason to skip."""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import NoReturn, Self

import psycopg
import pytest

SHARED = Path(__file__).parents[2] / "shared"
REQUIRE_ALL = os.environ.get("TINY_CA_REQUIRE_ALL") == "1"
_DEBIAN_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def unavailable(what: str) -> NoReturn:
    """Skip on a newcomer's machine, fail where everything has to run."""
    if REQUIRE_ALL:
        pytest.fail(f"{what}, and TINY_CA_REQUIRE_ALL=1")
    pytest.skip(what)


def program(name: str) -> str | None:
    """Give a program's path; Debian keeps PostgreSQL's and nginx's off an ordinary PATH."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, _DEBIAN_POSTGRESQL)]
    return shutil.which(name, path=os.pathsep.join(folders))


def need(*programs: str) -> None:
    """Go on only if all *programs* are installed."""
    missing = [name for name in programs if program(name) is None]
    if missing:
        unavailable(f"not installed: {', '.join(missing)}")


def shared(name: str) -> Path:
    """Give a path in the folder of shared material beside the project."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and give what it printed."""
    name = program(str(command[0]))
    assert name is not None, command[0]
    return subprocess.run(
        [name, *map(str, command[1:])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def in_memory() -> Path | None:
    """Give a folder in memory, if there is one for two gigabytes and for programs."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < 2 << 30:
        return None
    return None if os.statvfs(folder).f_flag & os.ST_NOEXEC else folder


def free_port() -> int:
    """Give a port for a server that is about to start.

    None that the kernel hands out by itself: a connection of somebody's could take it meanwhile.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class PostgreSQL:
    """A cluster in a folder, on a port of the loopback interface."""

    folder: Path
    port: int
    _names: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        cluster = cls(folder / "data", free_port())
        # PostgreSQL refuses to run as root.
        user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if user:
            shared_by_all = Path(gettempdir())
            for parent in (folder, *folder.parents):
                if parent.is_relative_to(shared_by_all) and parent != shared_by_all:
                    parent.chmod(0o755)
            shutil.chown(folder, **user)
        initdb = run(
            "initdb",
            "-D",
            cluster.folder,
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            cwd=folder,
            **user,
        )
        assert initdb.returncode == 0, initdb.stderr
        name = program("postgres")
        assert name is not None
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [name, "-F", "-D", cluster.folder, "-p", str(cluster.port), "-k", folder],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                **user,  # type: ignore[call-overload]
            )
        try:
            cluster._wait()
            yield cluster
        finally:
            server.terminate()
            server.wait(30)

    def _wait(self) -> None:
        for _ in range(200):
            ready = run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1")
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL did not start")

    def new_database(self) -> str:
        """Make an empty database and give SQLAlchemy's URL of it."""
        name = f"test_{next(self._names)}"
        server = f"postgres@127.0.0.1:{self.port}"
        with psycopg.connect(f"postgresql://{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return f"postgresql+psycopg://{server}/{name}"
