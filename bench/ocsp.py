"""Measure what an OCSP answer costs: python -m bench.ocsp [ROUNDS]

Against cryptography's bare build-and-sign, and over HTTP against a constant endpoint.  Figures
are medians over rounds in which the cases take turns, on SQLite, over 500 certificates.
"""

import os
import socket
import statistics
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bench.scratch import scratch_folder
from tiny_ca import CAConfig, CertLifecycleManager, ClientConfig, LocalStorage, SyncDBHandler
from tiny_ca.adapters.inbound.http import create_app

CERTIFICATES = 500


class Bench:
    """A CA in a folder, its certificates, and what is asked about them."""

    def __init__(self, folder: Path) -> None:
        self.ca = CertLifecycleManager(
            LocalStorage(folder / "pki"),
            db_handler=SyncDBHandler(f"sqlite:///{folder}/registry.db"),
        )
        self.ca.create_self_signed_ca(CAConfig(common_name="Bench", key_algorithm="p-256"))
        self.certificates = [
            certificate
            for certificate, _, _ in self.ca.issue_many(
                [
                    ClientConfig(common_name=f"n{i}.internal", key_algorithm="p-256")
                    for i in range(CERTIFICATES)
                ]
            )
        ]
        factory: Any = self.ca.factory
        self.root: x509.Certificate = factory.certificate
        self._key = factory._key  # noqa: SLF001
        self._by_ca = self.ca.ocsp_responder(delegated=False)
        self._delegated = self.ca.ocsp_responder()
        self.presigned = self.ca.ocsp_responder()
        self.requests = [self._request(each, None) for each in self.certificates]
        self._with_nonce = [self._request(each, os.urandom(16)) for each in self.certificates]

    def _request(self, certificate: x509.Certificate, nonce: bytes | None) -> bytes:
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, self.root, hashes.SHA1())
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)

    def bare(self) -> None:
        """cryptography's builder and signature alone: no request read, nothing looked up."""
        now = datetime.now(UTC)
        for certificate in self.certificates:
            builder = ocsp.OCSPResponseBuilder().add_response(
                cert=certificate,
                issuer=self.root,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now,
                next_update=now + timedelta(hours=12),
                revocation_time=None,
                revocation_reason=None,
            )
            builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.root)
            builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def on_demand(self) -> None:
        """respond(), signed by the CA."""
        for request in self.requests:
            self._by_ca.respond(request)

    def delegated(self) -> None:
        """respond(), signed by a delegate whose certificate goes with it."""
        for request in self.requests:
            self._delegated.respond(request)

    def nonces(self) -> None:
        """respond() to requests with nonces, which nobody has sent before."""
        for request in self._with_nonce:
            self._by_ca.respond(request)

    def from_table(self) -> None:
        """respond() from what was signed beforehand."""
        for request in self.requests:
            self.presigned.respond(request)

    def sign_beforehand(self) -> None:
        """presign(), whatever is there already."""
        self.presigned.presign(fresh_for=timedelta(days=1))


def rate(case: Callable[[], object], times: int = CERTIFICATES) -> float:
    begin = time.perf_counter()
    case()
    return times / (time.perf_counter() - begin)


def serve(folder: str | None, body: bytes, port: int) -> None:
    """Run a server until it is ended."""

    async def constant(_request: object) -> Response:
        return Response(body, media_type="application/ocsp-response")

    app = Starlette(routes=[Route("/ocsp/{request:path}", constant)])
    if folder is not None:
        ca = CertLifecycleManager(
            LocalStorage(f"{folder}/pki"),
            db_handler=SyncDBHandler(f"sqlite:///{folder}/registry.db"),
        )
        app = create_app(ca)
    uvicorn.run(app, port=port, log_level="critical", access_log=False, lifespan="off")


@contextmanager
def server(folder: str | None, body: bytes) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = get_context("spawn").Process(target=serve, args=(folder, body, port), daemon=True)
    process.start()
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.join()


def fetch(port: int, requests: list[bytes]) -> None:
    """Ask one after the other on sixteen connections, so that the server is what is waited for."""

    def one(part: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            for request in part:
                peer.sendall(request)
                received = peer.recv(65536)
                head, _, body = received.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                while len(body) < length:
                    body += peer.recv(65536)

    threads = [threading.Thread(target=one, args=(requests[i::16],)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


Rates = dict[str, list[float]]
GOALS = (
    ("on demand", "bare", 0.5),
    ("delegated", "bare", 0.5),
    ("nonces", "bare", 0.5),
    ("table", "bare again", 2),
    ("http: table", "http: constant", 0.6),
)


def take_turns(cases: dict[str, Callable[[], object]], rounds: int, rates: Rates) -> None:
    for _ in range(rounds):
        for name, case in cases.items():
            rates.setdefault(name, []).append(rate(case))


def measure(bench: Bench, folder: Path, rounds: int) -> Rates:
    rates: Rates = {}
    signing = {
        "bare": bench.bare,
        "on demand": bench.on_demand,
        "delegated": bench.delegated,
        "nonces": bench.nonces,
    }
    take_turns(signing, rounds, rates)
    bench.sign_beforehand()
    reading = {
        "bare again": bench.bare,
        "presign": bench.sign_beforehand,
        "table": bench.from_table,
    }
    take_turns(reading, rounds, rates)
    gets = [
        b"GET /ocsp/%s HTTP/1.1\r\nHost: a\r\n\r\n" % quote(b64encode(each), safe="").encode()
        for each in bench.requests
    ]
    body = bench.presigned.respond(bench.requests[0])
    with server(None, body) as constant, server(str(folder), b"") as ours:
        fetch(ours, gets)
        fetching = {
            "http: constant": lambda: fetch(constant, gets),
            "http: table": lambda: fetch(ours, gets),
        }
        take_turns(fetching, rounds, rates)
    return rates


def main(rounds: int) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with scratch_folder() as folder:
        rates = measure(Bench(folder), folder, rounds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        print(f"{name:16}{median:10.0f} a second")
    print()
    for name, to, goal in GOALS:
        print(f"{name:12} {medians[name] / medians[to]:.2f} of {to} (goal >= {goal})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
