"""A PostgreSQL that the example has set up, reached by psycopg."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from tests.examples.running import output_of, until
from tests.support import PostgreSQL, need

NAME = "postgresql_mtls.py"


@dataclass
class Server:
    cluster: PostgreSQL
    cwd: Path

    def example(self, *arguments: str) -> None:
        socket = self.cluster.folder.parent
        admin = f"host={socket} port={self.cluster.port} user=postgres dbname=postgres"
        output_of(NAME, *arguments, "--admin", admin, cwd=self.cwd)

    def connect(self, user: str, holder: str, mode: str = "verify-full") -> psycopg.Connection:
        folder = self.cwd / "postgresql-pki" / holder
        return psycopg.connect(
            host="localhost",
            port=self.cluster.port,
            user=user,
            dbname="postgres",
            sslmode=mode,
            sslrootcert=folder / "root.crt",
            sslcert=folder / "postgresql.crt",
            sslkey=folder / "postgresql.key",
        )

    def is_refused(self, user: str, holder: str) -> bool:
        try:
            self.connect(user, holder).close()
        except psycopg.OperationalError:
            return True
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    need("initdb", "postgres")
    # Not in pytest's folder, which PostgreSQL's user can't enter.
    with TemporaryDirectory() as folder, PostgreSQL.started(Path(folder)) as cluster:
        made = Server(cluster, tmp_path)
        made.example("server", "localhost")
        for name in ("alice", "bob"):
            made.example("user", name)
        yield made


def test_users_come_in_by_their_certificates(server: Server) -> None:
    with server.connect("alice", "alice") as connection:
        row = connection.execute(
            "SELECT current_user, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
        assert row == ("alice", "/CN=alice")
    with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
        server.connect("bob", "alice")
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        server.connect("alice", "alice", mode="disable")
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        server.connect("alice", "nobody", mode="require")

    session = server.connect("alice", "alice")
    server.example("revoke", "alice")
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    until(lambda: server.is_refused("alice", "alice"))
    with pytest.raises(psycopg.OperationalError, match="revoked"):
        server.connect("alice", "alice")
    server.example("maintain")
    server.connect("bob", "bob").close()
