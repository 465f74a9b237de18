"""nginx with mutual TLS and our CRL, reached by curl."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tests.interop.pki import PKI, Identity
from tests.support import free_port, need, program, run
from tiny_ca import PublicationURLs

PASSPHRASE = "correct horse"
CURL_CERTIFICATE_REFUSED = 60
CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {server.pem};
        ssl_certificate_key {server.key};
        ssl_password_file {folder}/passphrase;
        ssl_client_certificate {pki.root_pem};
        ssl_verify_client {verify};
        {stapling}
        location / {{ return 200 "$ssl_client_verify $ssl_client_serial"; }}
    }}
}}
"""
STAPLING = "ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {pki.root_pem};"


@dataclass(frozen=True)
class Answer:
    """What curl got: its exit code, the HTTP status (0: none) and the body."""

    exit_code: int
    status: int
    body: str


@dataclass
class Nginx:
    folder: Path
    port: int
    pki: PKI
    process: subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def started(
        cls, folder: Path, pki: PKI, server: Identity, *, stapling: bool = False
    ) -> Iterator[Self]:
        folder.mkdir()
        port = free_port()
        (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
        # As root, nginx would switch to a user who can't enter our folders.
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            CONFIGURATION.format(
                folder=folder,
                port=port,
                pki=pki,
                server=server,
                user=user,
                verify="off" if stapling else "on",
                stapling=STAPLING.format(pki=pki) if stapling else f"ssl_crl {pki.crl_pem};",
            )
        )
        name = program("nginx")
        assert name is not None
        process = subprocess.Popen(
            [name, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        nginx = cls(folder, port, pki, process)
        try:
            nginx._wait()
            yield nginx
        finally:
            process.terminate()
            process.wait(30)

    def _wait(self) -> None:
        for _ in range(500):
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"nginx did not start: {(self.folder / 'error.log').read_text()}")

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def get(
        self, client: Identity | None, *options: str | Path, host: str = "server.example"
    ) -> Answer:
        identity = (
            ()
            if client is None
            else ("--cert", client.pem, "--key", client.key, "--pass", PASSPHRASE)
        )
        result = run(
            "curl", "--disable", "--silent", "--noproxy", "*", "--max-time", "20",
            "--resolve", f"{host}:{self.port}:127.0.0.1",
            "--cacert", self.pki.root_pem, *identity, *options,
            "--write-out", "\n%{http_code}", f"https://{host}:{self.port}/",
        )  # fmt: skip
        body, _, status = result.stdout.rpartition("\n")
        return Answer(result.returncode, int(status), body)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PKI]:
    # The keys are encrypted, so that nginx and curl have to open our PKCS #8 as well.
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    with PKI.opened(tmp_path_factory.mktemp("pki"), encryption=encryption) as made:
        yield made


@pytest.fixture(scope="module")
def server(pki: PKI) -> Identity:
    return pki.issue(
        "server.example", is_server_cert=True, san_dns=["*.wild.example"], san_ip=["127.0.0.1"]
    )


@pytest.fixture(scope="module")
def valid(pki: PKI) -> Identity:
    return pki.issue("valid client", is_client_cert=True)


@pytest.fixture(scope="module")
def revoked(pki: PKI) -> Identity:
    made = pki.issue("revoked client", is_client_cert=True)
    pki.revoke(made)
    return made


@pytest.fixture(scope="module")
def nginx(
    pki: PKI,
    server: Identity,
    revoked: Identity,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Nginx]:
    need("nginx", "curl")
    pki.ca.generate_crl()
    with Nginx.started(tmp_path_factory.mktemp("nginx") / "site", pki, server) as started:
        yield started


def test_a_valid_client_is_in(nginx: Nginx, valid: Identity) -> None:
    assert nginx.get(valid) == Answer(0, 200, f"SUCCESS {valid.serial_number:X}")


def test_a_revoked_client_is_refused(nginx: Nginx, revoked: Identity) -> None:
    answer = nginx.get(revoked)
    assert answer.status == 400
    assert "The SSL certificate error" in answer.body
    assert "certificate revoked" in (nginx.folder / "error.log").read_text()


def test_a_client_without_certificate_is_refused(nginx: Nginx) -> None:
    answer = nginx.get(None)
    assert answer.status == 400
    assert "No required SSL certificate was sent" in answer.body


def test_a_server_certificate_is_no_client(nginx: Nginx, server: Identity) -> None:
    assert nginx.get(server).status == 400


def test_a_client_of_a_namesake_is_refused(nginx: Nginx, tmp_path: Path) -> None:
    with PKI.opened(tmp_path) as namesake:
        assert namesake.root.subject == nginx.pki.root.subject
        stranger = namesake.issue("valid client", is_client_cert=True)
    assert nginx.get(stranger).status == 400


@pytest.mark.parametrize("host", ["a.wild.example", "127.0.0.1"])
def test_every_name_of_the_server_reaches_it(nginx: Nginx, valid: Identity, host: str) -> None:
    assert nginx.get(valid, host=host).status == 200


@pytest.mark.parametrize("host", ["other.example", "a.b.wild.example", "wild.example"])
def test_a_wrong_host_name_is_refused_by_the_client(
    nginx: Nginx, valid: Identity, host: str
) -> None:
    answer = nginx.get(valid, host=host)
    assert (answer.exit_code, answer.status) == (CURL_CERTIFICATE_REFUSED, 0)


def test_a_revocation_holds_from_the_next_reload_on(
    tmp_path: Path, pki: PKI, server: Identity, valid: Identity
) -> None:
    need("nginx", "curl")
    leaving = pki.issue("leaving client", is_client_cert=True)
    pki.ca.generate_crl()
    with Nginx.started(tmp_path / "site", pki, server) as nginx:
        assert nginx.get(leaving).status == 200
        pki.revoke(leaving)
        pki.ca.generate_crl()
        nginx.reload()
        # nginx does not say when the new workers have taken over.
        statuses = (nginx.get(leaving).status for _ in range(200))
        assert next((status for status in statuses if status != 200), 200) == 400
        assert nginx.get(valid).status == 200


def test_a_revoked_server_is_refused_by_the_client(
    tmp_path: Path, pki: PKI, valid: Identity
) -> None:
    need("nginx", "curl")
    server = pki.issue("revoked.example", is_server_cert=True)
    pki.revoke(server)
    pki.ca.generate_crl()
    with Nginx.started(tmp_path / "site", pki, server) as nginx:
        assert nginx.get(valid, host="revoked.example").status == 200
        answer = nginx.get(valid, "--crlfile", pki.crl_pem, host="revoked.example")
        assert (answer.exit_code, answer.status) == (CURL_CERTIFICATE_REFUSED, 0)


@pytest.mark.parametrize(
    "urls",
    [
        PublicationURLs(crl=("http://a.example/crl",), delta=("http://a.example/delta",)),
        PublicationURLs(crl=("http://a.example/{shard}",), crl_shards=2),
    ],
    ids=["base and delta", "complete and shards"],
)
def test_several_crls_in_one_file(tmp_path: Path, urls: PublicationURLs) -> None:
    """Whoever has them all together goes by each: the deltas and shards are in nobody's way."""
    need("nginx", "curl")
    with PKI.opened(tmp_path, urls=urls) as pki:
        server = pki.issue("server.example", is_server_cert=True)
        stolen = pki.issue("stolen.example", is_server_cert=True)
        good, gone = (pki.issue(name, is_client_cert=True) for name in ("good", "gone"))
        for each in (gone, stolen):
            pki.revoke(each)
        published = pki.ca.publish_due()
        assert len(published) > 1
        pki.crl_pem.write_bytes(b"".join(one.path.read_bytes() for one in published))
        with Nginx.started(tmp_path / "site", pki, server) as nginx:
            assert nginx.get(good, "--crlfile", pki.crl_pem).status == 200
            assert nginx.get(gone).status == 400
        with Nginx.started(tmp_path / "stolen", pki, stolen) as nginx:
            answer = nginx.get(good, "--crlfile", pki.crl_pem, host="stolen.example")
            assert (answer.exit_code, answer.status) == (CURL_CERTIFICATE_REFUSED, 0)
