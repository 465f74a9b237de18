"""A PostgreSQL that can be stopped and started again, and whose backends can be killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tests.support import PostgreSQL, need, run

__all__ = ["Restartable"]


@dataclass
class Restartable:
    """A cluster with PostgreSQL's default of `fsync = on`: what it has committed, it has."""

    cluster: PostgreSQL
    is_up: bool = True

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["Restartable"]:
        need("initdb", "postgres", "pg_ctl")
        # Not in pytest's folder: every session that starts closes it to other users again,
        # and PostgreSQL is one when we are root.
        with TemporaryDirectory() as folder, PostgreSQL.started(Path(folder)) as cluster:
            server = cls(cluster)
            try:
                yield server
            finally:
                if server.is_up:
                    server.stop()

    def stop(self) -> None:
        """Stop as a crash does: no checkpoint, every backend gone at once."""
        self._control("stop", "-m", "immediate")
        self.is_up = False

    def start(self) -> None:
        options = f"-p {self.cluster.port} -k {self.cluster.folder.parent}"
        # A name of its own: the first log is ours, not the server's.
        log = self.cluster.folder / "restarts.log"
        self._control("start", "-l", log, "-o", options)
        self.is_up = True

    def _control(self, *arguments: str | Path) -> None:
        user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        folder = self.cluster.folder
        done = run("pg_ctl", "-D", folder, "-w", *arguments, cwd=folder.parent, **user)
        assert done.returncode == 0, done.stdout + done.stderr

    def restart(self) -> None:
        self.stop()
        self.start()

    def terminate_backends(self) -> None:
        """Break every connection, as an administrator does."""
        with self._connected() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def kill_a_backend(self) -> None:
        """SIGKILL one: PostgreSQL then drops all, and recovers from its log."""
        with self._connected() as connection:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' "
                "ORDER BY random() LIMIT 1"
            ).fetchone()
        if row is not None:
            with suppress(ProcessLookupError):
                os.kill(row[0], signal.SIGKILL)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[int]]]:
        with psycopg.connect(
            host="127.0.0.1", port=self.cluster.port, user="postgres", autocommit=True
        ) as connection:
            yield connection
