"""The echo server, its clients, and one who is revoked."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.examples.running import aged, command, output_of, started, until
from tests.support import free_port

NAME = "asyncio_mtls.py"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    chosen = free_port()
    with started(NAME, "serve", "--port", chosen, ports=(chosen,), cwd=tmp_path):
        yield chosen


def send(name: str, port: int, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(NAME, "send", name, "--port", port),
        cwd=cwd,
        input="hello\nworld\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_who_is_revoked_is_not_answered(port: int, tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        output_of(NAME, "issue", name, cwd=tmp_path)
    assert send("alice", port, tmp_path).stdout == "hello\nworld\n"

    output_of(NAME, "revoke", "alice", cwd=tmp_path)
    refused = send("alice", port, tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "hung up" in refused.stderr
    assert "refused CN=alice" in (tmp_path / f"{NAME}.log").read_text()
    assert send("bob", port, tmp_path).stdout == "hello\nworld\n"


def test_the_servers_certificate_is_renewed(tmp_path: Path) -> None:
    old = aged(tmp_path / "echo-pki", "Echo CA", days=25)
    port = free_port()
    context = ssl.create_default_context(cadata=old.ca_pem.bytes().decode())

    def shown() -> x509.Certificate:
        # In TLS 1.3, a client has seen the server before it is asked who it is.
        with (
            socket.create_connection(("localhost", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))

    with started(NAME, "serve", "--port", port, ports=(port,), cwd=tmp_path):
        until(lambda: shown().serial_number != old.serial_number)
        assert shown().not_valid_after_utc > old.certificate.not_valid_after_utc


def test_a_stranger_of_the_same_name_is_refused(port: int, tmp_path: Path) -> None:
    output_of(NAME, "issue", "alice", cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    output_of(NAME, "issue", "alice", cwd=elsewhere)
    (elsewhere / "root.pem").write_bytes((tmp_path / "root.pem").read_bytes())
    assert send("alice", port, elsewhere).returncode != 0
