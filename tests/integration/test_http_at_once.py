"""What was signed beforehand is answered on the event loop, and is never out of date."""

import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.http_server import served
from tests.ocsp_client import ask, read
from tests.support import free_port
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    MemoryRegistry,
    MemoryStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.inbound.http import create_app
from tiny_ca.adapters.outbound.telemetry import NoObserver
from tiny_ca.ports.observer import Observation

REVOKE = """
import sys
from tiny_ca import CertLifecycleManager, NoStorage, SyncDBHandler
with CertLifecycleManager(NoStorage(), db_handler=SyncDBHandler(sys.argv[1])) as ca:
    ca.revoke_certificate(int(sys.argv[2]))
"""


class Threads(NoObserver):
    """Notes which threads answer."""

    def __init__(self) -> None:
        self.answered: list[int] = []

    def begin(self, operation: str) -> Observation:
        if operation == "ocsp_reply":
            self.answered.append(get_ident())
        return super().begin(operation)


class Site:
    """A CA whose responses were made beforehand, and who has asked for one already."""

    def __init__(self, ca: CertLifecycleManager, client: httpx.Client, port: int) -> None:
        self.ca, self.client, self.base = ca, client, f"http://127.0.0.1:{port}"
        config = ClientConfig(common_name="a.example", key_algorithm="p-256")
        self.cert: x509.Certificate = ca.issue_certificate(config)[0]
        assert ca.factory is not None
        self.request = ask(self.cert, ca.factory.certificate)
        self.path = f"/ocsp/{quote(b64encode(self.request), safe='')}"
        assert self.asked().certificate_status is OCSPCertStatus.GOOD
        assert ca.ocsp_responder().presign() > 0
        self.kept = [self.get(), self.get()]

    def get(self) -> bytes:
        answer = self.client.get(self.base + self.path)
        assert answer.status_code == 200
        return answer.content

    def asked(self) -> OCSPResponse:
        """Ask by GET and by POST, which say the same."""
        posted = read(self.client.post(f"{self.base}/ocsp", content=self.request).content)
        got = read(self.get())
        assert posted.response_status is got.response_status
        if got.response_status is OCSPResponseStatus.SUCCESSFUL:
            assert posted.certificate_status is got.certificate_status
        return got


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def loop_threads() -> set[int]:
    return set()


@pytest.fixture
def site(db_url: str, tmp_path: Path, threads: Threads, loop_threads: set[int]) -> Iterator[Site]:
    port = free_port()
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url), observer=threads
    ) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        app = create_app(ca)

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            loop_threads.add(get_ident())
            await app(scope, receive, send)

        with served(noting, port), httpx.Client(trust_env=False) as client:
            yield Site(ca, client, port)


def test_a_revocation_by_another_process_is_in_the_next_answer(site: Site, db_url: str) -> None:
    assert site.kept[0] == site.kept[1] == site.get()
    subprocess.run(
        [sys.executable, "-c", REVOKE, db_url, str(site.cert.serial_number)], check=True, timeout=60
    )
    assert read(site.get()).certificate_status is OCSPCertStatus.REVOKED
    assert site.asked().certificate_status is OCSPCertStatus.REVOKED


def test_a_failing_database_is_tried_later_whatever_was_said_before(
    site: Site, db_url: str
) -> None:
    with create_engine(db_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("ALTER TABLE ocsp_responses RENAME TO lost"))
    assert site.asked().response_status is OCSPResponseStatus.TRY_LATER
    with create_engine(db_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("ALTER TABLE lost RENAME TO ocsp_responses"))
    assert site.get() == site.kept[0]


class TestOnSQLite:
    """Whose file is read where the request is."""

    @pytest.fixture
    def db_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'registry.db'}"

    def test_no_other_thread_is_asked(
        self, site: Site, threads: Threads, loop_threads: set[int]
    ) -> None:
        threads.answered.clear()
        assert site.get() == site.kept[0]
        assert site.asked().certificate_status is OCSPCertStatus.GOOD
        assert len(threads.answered) == 3
        assert set(threads.answered) == loop_threads

    def test_one_signs_what_was_not_made_beforehand(
        self, site: Site, threads: Threads, loop_threads: set[int]
    ) -> None:
        site.ca.revoke_certificate(site.cert.serial_number)
        threads.answered.clear()
        assert site.asked().certificate_status is OCSPCertStatus.REVOKED
        assert len(threads.answered) == 2
        assert loop_threads.isdisjoint(threads.answered)

    def test_middleware_of_ones_own_sees_every_request(self, site: Site) -> None:
        app = create_app(site.ca)
        seen: list[str] = []

        class Seeing:
            def __init__(self, app: ASGIApp) -> None:
                self._app = app

            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                seen.append(scope["method"])
                await self._app(scope, receive, send)

        app.add_middleware(Seeing)

        async def ask_twice() -> list[bytes]:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
                return [(await client.get(site.path)).content for _ in range(2)]

        assert anyio.run(ask_twice) == site.kept
        assert seen == ["GET", "GET"]

    def test_a_file_that_is_gone(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "registry.db").rename(tmp_path / "away")
        assert site.asked().response_status is OCSPResponseStatus.TRY_LATER
        (tmp_path / "away").rename(tmp_path / "registry.db")
        assert site.get() == site.kept[0]


class ColdDisk(MemoryRegistry):
    """Keeps whoever reads it at once."""

    reads = 0

    def cert_state_at_once(self, *arguments: Any) -> Any:
        self.reads += 1
        time.sleep(0.1)
        return super().cert_state_at_once(*arguments)


@pytest.mark.anyio
async def test_a_disk_that_is_slow_is_left_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny_ca.async_ocsp._A_WHILE", 3600)
    registry = ColdDisk()
    with CertLifecycleManager(MemoryStorage(), db_handler=registry) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        assert ca.factory is not None
        request = ask(ca.factory.certificate, ca.factory.certificate)
        responder = await AsyncCertLifecycleManager.wrapping(ca).ocsp_responder()
        await responder.presign()
        kept = responder.blocking.respond(request)
        assert [await responder.respond(request) for _ in range(5)] == [kept] * 5
    assert registry.reads == 1
