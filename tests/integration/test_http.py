"""The ASGI app on a real server, mounted in others' frameworks, asked by a real client."""

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import httpx
import pytest
from a2wsgi import ASGIMiddleware
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus
from django.conf import settings
from django.core.asgi import get_asgi_application
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.http_server import served
from tests.ocsp_client import ask, read, request_of, verify
from tests.support import free_port
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.inbound.http import create_app, publication_urls
from tiny_ca.adapters.outbound.crypto import OCSPBackend
from tiny_ca.domain.errors import InvalidRequest


@contextmanager
def managed(folder: Path, base_url: str) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(
        LocalStorage(folder / "pki"),
        db_handler=SyncDBHandler(f"sqlite:///{folder / 'registry.db'}"),
        urls=publication_urls(base_url),
    ) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        yield ca


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def base_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/pki"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory, base_url: str) -> Iterator[CertLifecycleManager]:
    with managed(tmp_path_factory.mktemp("http"), base_url) as made:
        yield made


@pytest.fixture(scope="module")
def site(ca: CertLifecycleManager, port: int) -> Iterator[None]:
    with served(Starlette(routes=[Mount("/pki", create_app(ca))]), port):
        yield


@pytest.fixture
def client(site: None) -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as made:
        yield made


def root_of(ca: CertLifecycleManager) -> x509.Certificate:
    assert ca.factory is not None
    return ca.factory.certificate


def leaf(ca: CertLifecycleManager, name: str) -> x509.Certificate:
    return ca.issue_certificate(ClientConfig(common_name=name, key_algorithm="p-256"))[0]


def urls_in(cert: x509.Certificate) -> dict[str, str]:
    access = cert.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    points = cert.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    [name] = points[0].full_name
    found = {each.access_method._name: each.access_location.value for each in access}
    return {**found, "crl": name.value}


class TestURLs:
    """Certificates say exactly where things are."""

    def test_they_lead_where_they_say(self, ca: CertLifecycleManager, client: httpx.Client) -> None:
        cert, root = leaf(ca, "urls.example"), root_of(ca)
        ca.revoke_certificate(cert.serial_number)
        published = ca.generate_crl()
        urls = urls_in(cert)
        issuer = client.get(urls["caIssuers"])
        assert issuer.headers["Content-Type"] == "application/pkix-cert"
        assert x509.load_der_x509_certificate(issuer.content) == root
        crl = client.get(urls["crl"])
        assert crl.headers["Content-Type"] == "application/pkix-crl"
        assert x509.load_der_x509_crl(crl.content) == published
        answer = client.post(
            urls["OCSP"],
            content=ask(cert, root),
            headers={"Content-Type": "application/ocsp-request"},
        )
        assert answer.headers["Content-Type"] == "application/ocsp-response"
        response = read(answer.content)
        assert response.certificate_status is OCSPCertStatus.REVOKED
        verify(response, root)

    def test_an_intermediates_too(self, ca: CertLifecycleManager, client: httpx.Client) -> None:
        between, _ = ca.issue_intermediate_ca("Between", key_algorithm="p-256")
        below = leaf(ca.under("Between"), "below.example")
        urls = urls_in(below)
        issuer = client.get(urls["caIssuers"])
        assert x509.load_der_x509_certificate(issuer.content) == between
        response = read(client.post(urls["OCSP"], content=ask(below, between)).content)
        verify(response, between)

    @pytest.mark.parametrize(
        "base_url", ["", "ldap://a", "http://", "a.example", "http://a?b", "http://a/{b}"]
    )
    def test_what_is_no_base(self, base_url: str) -> None:
        with pytest.raises(InvalidRequest):
            publication_urls(base_url)

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/crl/x.crl",
            "/crl/..%2f..%2fregistry.crl",
            f"/crl/{'0' * 32}.crl",
            f"/ca/{'0' * 32}.cer",
            "/ca/'; DROP TABLE.cer",
            "/ocsp",
        ],
    )
    def test_nothing_else_is_there(self, client: httpx.Client, base_url: str, path: str) -> None:
        assert client.get(base_url + path).status_code in {404, 405}


def request_with(ca: CertLifecycleManager, what: str) -> bytes:
    """Give a request that has *what* in its base64, for whichever certificate."""
    codec = OCSPBackend()
    hashes = codec.issuer_hashes(root_of(ca))["sha1"]
    for number in range(1000):
        serial_number = 1 << 150 | (number << 40) + (1 << 36) - 1
        request = request_of(codec.cert_id("sha1", hashes, serial_number).der)
        if what in b64encode(request).decode():
            return request
    raise AssertionError(what)


def raw_get(base_url: str, path: str) -> httpx.Response:
    """Get a path as it is: httpx would tidy it up."""
    address = urlsplit(base_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        connection.request("GET", address.path + path)
        answer = connection.getresponse()
        return httpx.Response(answer.status, content=answer.read())
    finally:
        connection.close()


def escapings(request: bytes) -> dict[str, str]:
    """Give the ways in which clients put a request into a path (RFC 5019 §5, RFC 6960 A.1)."""
    text = b64encode(request).decode()
    return {
        "as it is": "/" + text,
        "escaped": "/" + quote(text, safe=""),
        "lower case": "/" + quote(text, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        "a slash too many": "//" + quote(text, safe=""),
        "no padding": "/" + text.rstrip("="),
    }


class TestGet:
    """RFC 5019 §5 and §6: requests in the path, answers in caches."""

    @pytest.mark.parametrize("what", ["/", "+", "//"])
    def test_every_escaping(
        self, ca: CertLifecycleManager, client: httpx.Client, base_url: str, what: str
    ) -> None:
        request = request_with(ca, what)
        for how, path in escapings(request).items():
            answer = raw_get(base_url, "/ocsp" + path)
            assert answer.status_code == 200, how
            response = read(answer.content)
            assert response.response_status is OCSPResponseStatus.SUCCESSFUL, how
            verify(response, root_of(ca))

    @pytest.mark.anyio
    async def test_behind_a_proxy_that_cuts_its_prefix_off(self, ca: CertLifecycleManager) -> None:
        """The server says the prefix (`root_path`), and the path has none."""
        request = request_with(ca, "//")
        transport = httpx.ASGITransport(app=create_app(ca), root_path="/api/v1")
        async with httpx.AsyncClient(transport=transport, base_url="http://a.example") as client:
            for path in escapings(request).values():
                answer = await client.get("/ocsp" + path)
                status = read(answer.content).response_status
                assert status is OCSPResponseStatus.SUCCESSFUL, path

    def test_caches_may_keep_it(
        self, ca: CertLifecycleManager, client: httpx.Client, base_url: str
    ) -> None:
        url = f"{base_url}/ocsp/{quote(b64encode(ask(leaf(ca, 'cached'), root_of(ca))), safe='')}"
        answer = client.get(url)
        response = read(answer.content)
        headers = answer.headers
        assert headers["Content-Type"] == "application/ocsp-response"
        assert parsedate_to_datetime(headers["Last-Modified"]) == response.this_update_utc
        assert parsedate_to_datetime(headers["Expires"]) == response.next_update_utc
        directives = headers["Cache-Control"].split(",")
        assert directives[1:] == ["public", "no-transform", "must-revalidate"]
        assert 0 < int(directives[0].removeprefix("max-age=")) <= 12 * 3600
        ca.ocsp_responder().presign()
        first = client.get(url)
        again = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head(url)
        assert head.content == b""
        assert head.headers["Content-Length"] == str(len(first.content))
        assert head.headers["ETag"] == first.headers["ETag"]

    @pytest.mark.parametrize("nonce", [None, b"once"])
    def test_caches_may_not_keep_errors_and_nonces(
        self, ca: CertLifecycleManager, client: httpx.Client, base_url: str, nonce: bytes | None
    ) -> None:
        request = b"\x30\x00" if nonce is None else ask(root_of(ca), root_of(ca), nonce=nonce)
        answer = client.get(f"{base_url}/ocsp/{quote(b64encode(request), safe='')}")
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")

    @pytest.mark.parametrize("path", ["/", "/%00", "/a", "/MA", "/MAA%3D%3D", "/%ff%fe", "/a b"])
    def test_nonsense(self, client: httpx.Client, base_url: str, path: str) -> None:
        answer = client.get(base_url + "/ocsp" + path)
        assert answer.status_code == 200
        assert read(answer.content).response_status is OCSPResponseStatus.MALFORMED_REQUEST


class TestPost:
    @pytest.mark.parametrize("body", [b"", b"\x00", b"x" * 16384])
    def test_nonsense(self, client: httpx.Client, base_url: str, body: bytes) -> None:
        answer = client.post(f"{base_url}/ocsp", content=body)
        assert answer.status_code == 200
        assert read(answer.content).response_status is OCSPResponseStatus.MALFORMED_REQUEST

    def test_a_body_that_is_too_long(self, client: httpx.Client, base_url: str) -> None:
        assert client.post(f"{base_url}/ocsp", content=b"x" * 16385).status_code == 413
        endless = (b"x" * 1000 for _ in range(1000))
        assert client.post(f"{base_url}/ocsp", content=endless).status_code == 413

    def test_a_body_that_never_ends(
        self,
        ca: CertLifecycleManager,
        client: httpx.Client,
        base_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("tiny_ca.adapters.inbound.http.ocsp._BODY_TAKES_AT_MOST", 0.1)
        address = urlsplit(base_url)
        with socket.create_connection((address.hostname, address.port), timeout=10) as peer:
            peer.sendall(b"POST /pki/ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
            assert peer.recv(100).startswith(b"HTTP/1.1 408")


class TestCRLs:
    @pytest.fixture
    def url(self, ca: CertLifecycleManager, base_url: str) -> str:
        assert ca.factory is not None
        return f"{base_url}/crl/{ca.factory.issuer_id}.crl"

    @pytest.fixture
    def crl(self, ca: CertLifecycleManager, url: str) -> bytes:
        return ca.generate_crl(days_valid=2).public_bytes(Encoding.DER)

    def test_caches_may_keep_it_up_to_its_end(
        self, client: httpx.Client, url: str, crl: bytes
    ) -> None:
        answer = client.get(url, headers={"Accept-Encoding": "gzip"})
        assert answer.content == crl
        assert "Content-Encoding" not in answer.headers
        parsed = x509.load_der_x509_crl(crl)
        assert parsedate_to_datetime(answer.headers["Last-Modified"]) == parsed.last_update_utc
        assert parsedate_to_datetime(answer.headers["Expires"]) == parsed.next_update_utc
        max_age = int(answer.headers["Cache-Control"].split(",")[0].removeprefix("max-age="))
        assert timedelta(hours=47) < timedelta(seconds=max_age) <= timedelta(days=2)
        for condition in (
            {"If-None-Match": answer.headers["ETag"]},
            {"If-None-Match": f'"a", W/{answer.headers["ETag"]}'},
            {"If-Modified-Since": answer.headers["Last-Modified"]},
        ):
            assert client.get(url, headers=condition).status_code == 304
        head = client.head(url)
        assert (head.headers["Content-Length"], head.content) == (str(len(crl)), b"")

    def test_a_new_one_has_another_tag(
        self, ca: CertLifecycleManager, client: httpx.Client, url: str, crl: bytes
    ) -> None:
        tag = client.get(url).headers["ETag"]
        ca.generate_crl(days_valid=2)
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 200

    @pytest.mark.parametrize(
        ("asked", "part"),
        [
            ("bytes=0-9", slice(0, 10)),
            ("bytes=10-", slice(10, None)),
            ("bytes=-7", slice(-7, None)),
            ("bytes=5-99999999", slice(5, None)),
            ("bytes=-99999999", slice(None)),
        ],
    )
    def test_ranges(
        self, client: httpx.Client, url: str, crl: bytes, asked: str, part: slice
    ) -> None:
        answer = client.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, crl[part])
        first = range(len(crl))[part][0]
        last = range(len(crl))[part][-1]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(crl)}"

    @pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=1-2,4-5", "lines=1-2", "bytes=-", "x"])
    def test_ranges_that_are_left_alone(
        self, client: httpx.Client, url: str, crl: bytes, asked: str
    ) -> None:
        answer = client.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, crl)

    def test_ranges_of_nothing(self, client: httpx.Client, url: str, crl: bytes) -> None:
        for asked in (f"bytes={len(crl)}-", "bytes=-0"):
            answer = client.get(url, headers={"Range": asked})
            assert answer.status_code == 416
            assert answer.headers["Content-Range"] == f"bytes */{len(crl)}"

    def test_a_range_of_one_that_was_replaced(
        self, client: httpx.Client, url: str, crl: bytes
    ) -> None:
        answer = client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
        assert (answer.status_code, answer.content) == (200, crl)


def test_what_fails_inside_stays_inside(tmp_path: Path) -> None:
    port = free_port()
    with managed(tmp_path, f"http://127.0.0.1:{port}") as ca:
        cert = leaf(ca, "a.example")
        ca.generate_crl()
        urls = urls_in(cert)
        with served(create_app(ca), port), httpx.Client(trust_env=False) as client:
            assert client.get(urls["crl"]).status_code == 200
            (tmp_path / "registry.db").rename(tmp_path / "away")
            failed = client.get(urls["crl"])
            assert (failed.status_code, failed.text) == (503, "Try again later.")
            answer = client.post(urls["OCSP"], content=ask(cert, root_of(ca)))
            assert read(answer.content).response_status is OCSPResponseStatus.TRY_LATER
            (tmp_path / "away").rename(tmp_path / "registry.db")
            (tmp_path / "pki/crl.der").write_bytes(b"\x30\x03abc")
            assert client.get(urls["crl"]).status_code == 503


def in_fastapi(app: Any) -> Any:
    site = FastAPI()

    @site.get("/hello")
    def hello() -> str:
        return "hello"

    site.mount("/pki", app)
    return site


def in_django(app: Any) -> Any:
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF="tests.integration.django_urls", ALLOWED_HOSTS=["*"], SECRET_KEY="a"
        )
        django.setup()
    return Starlette(routes=[Mount("/pki", app), Mount("/", get_asgi_application())])


@pytest.mark.parametrize("mount", [in_fastapi, in_django])
def test_mounted_in_asgi(tmp_path: Path, mount: Any) -> None:
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with managed(tmp_path, f"{base_url}/pki") as ca:
        manager = AsyncCertLifecycleManager.wrapping(ca)
        with served(mount(create_app(manager)), port):
            everything_is_there(ca, base_url)


def test_mounted_in_flask(tmp_path: Path) -> None:
    site = Flask(__name__)
    site.add_url_rule("/hello", view_func=lambda: "hello")
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with managed(tmp_path, f"{base_url}/pki") as ca:
        mounted: Any = ASGIMiddleware(create_app(ca))
        site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/pki": mounted})  # type: ignore[method-assign]
        server = make_server("127.0.0.1", port, site, handler_class=_Quiet)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            everything_is_there(ca, base_url)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def everything_is_there(ca: CertLifecycleManager, base_url: str) -> None:
    cert, root = leaf(ca, "mounted.example"), root_of(ca)
    published = ca.generate_crl()
    urls = urls_in(cert)
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{base_url}/hello").text.strip('"') == "hello"
        assert x509.load_der_x509_crl(client.get(urls["crl"]).content) == published
        issuer = client.get(urls["caIssuers"])
        assert x509.load_der_x509_certificate(issuer.content) == root
        posted = client.post(urls["OCSP"], content=ask(cert, root))
        verify(read(posted.content), root)
        for what in ("/", "+"):
            for path in escapings(request_with(ca, what)).values():
                verify(read(raw_get(urls["OCSP"], path).content), root)
