"""nginx, set up by the example and started as its docstring says, reached by curl."""

import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.examples.running import aged, output_of, until, wait_for
from tests.support import free_port, need, program, run
from tiny_ca import IssuedCertificate

NAME = "nginx_mtls.py"


class App(BaseHTTPRequestHandler):
    """What is behind nginx: it says who the client is."""

    def do_GET(self) -> None:
        body = f"{self.headers['X-Client-DN']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def app() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), App) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@dataclass
class Site:
    folder: Path
    port: int

    def get(self, path: str, client: str | None, *options: str) -> tuple[int, str]:
        pair = self.folder / f"live/{client}"
        identity = ("--cert", pair / "fullchain.pem", "--key", pair / "privkey.pem")
        done = run(
            "curl", "--disable", "--silent", "--noproxy", "*", "--max-time", "20",
            "--cacert", self.folder / "live/root.pem", *(identity if client else ()), *options,
            "--write-out", "\n%{http_code}", f"https://localhost:{self.port}{path}",
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body


@pytest.fixture
def old(tmp_path: Path) -> IssuedCertificate:
    issued = aged(tmp_path / "nginx-pki", "nginx CA", days=25)
    issued.write_live(tmp_path / "nginx-pki")
    return issued


@pytest.fixture
def site(tmp_path: Path, app: int, old: IssuedCertificate) -> Iterator[Site]:
    need("nginx", "curl")
    port = free_port()
    output_of(NAME, "setup", "--port", port, "--app", f"127.0.0.1:{app}", cwd=tmp_path)
    folder = tmp_path / "nginx-pki"
    nginx = program("nginx")
    assert nginx is not None
    process = subprocess.Popen(
        [nginx, "-p", folder, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process, folder / "error.log")
        yield Site(folder, port)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


def test_clients_come_in_until_they_are_revoked_and_the_server_is_renewed(
    site: Site, tmp_path: Path, old: IssuedCertificate
) -> None:
    for name in ("alice", "bob"):
        output_of(NAME, "issue", name, cwd=tmp_path)
    status, body = site.get("/whoami", "alice")
    assert (status, body.split(",")[0]) == (200, "CN=alice")
    assert site.get("/", "alice", "--header", "X-Client-DN: CN=root") == (200, "CN=alice\n")
    assert site.get("/", None)[0] == 400

    output_of(NAME, "revoke", "alice", cwd=tmp_path)
    until(lambda: site.get("/", "alice")[0] == 400)
    assert site.get("/", "bob")[0] == 200

    before = (site.folder / "crl.pem").read_bytes()
    shown = ssl.get_server_certificate(("localhost", site.port))
    assert shown == old.cert_pem.bytes().decode()
    output_of(NAME, "maintain", cwd=tmp_path)
    until(lambda: ssl.get_server_certificate(("localhost", site.port)) != shown)
    assert site.get("/", "bob")[0] == 200
    assert (site.folder / "crl.pem").read_bytes() == before
