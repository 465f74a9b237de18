"""The gRPC service and its clients, each a process."""

import subprocess
from pathlib import Path

from tests.examples.running import command, output_of, started
from tests.support import free_port

NAME = "grpc_mtls.py"


def test_who_is_revoked_is_not_served(tmp_path: Path) -> None:
    port = free_port()
    with started(NAME, "serve", "--port", port, ports=(port,), cwd=tmp_path):
        output_of(NAME, "issue", "alice", cwd=tmp_path)
        call = ("call", "alice", "--port", port)
        assert output_of(NAME, *call, cwd=tmp_path) == "Hello, alice!\n"
        output_of(NAME, "revoke", "alice", cwd=tmp_path)
        refused = subprocess.run(
            command(NAME, *call),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert refused.returncode == 1
        assert "UNAUTHENTICATED" in refused.stderr
        assert "revoked" in refused.stderr
