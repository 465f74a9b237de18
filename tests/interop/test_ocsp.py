"""Our OCSP responses, read by openssl, pkilint, and nginx that staples them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader, pkix
from pkilint.pkix import extension, name, ocsp

from tests.http_server import served
from tests.interop.pki import PKI, Identity
from tests.interop.test_nginx import Nginx
from tests.interop.test_pkilint import ALGORITHMS, REASONS, findings
from tests.interop.test_pkilint import lint as lint_certificate
from tests.ocsp_client import ask, cert_id, read, request_of
from tests.support import free_port, need, run
from tiny_ca import KeyAlgorithm
from tiny_ca.adapters.inbound.http import create_app, publication_urls
from tiny_ca.adapters.outbound.crypto import der
from tiny_ca.application.ocsp import OCSPResponder

NUMBERS = count()
BEFOREHAND = (
    x509.ReasonFlags.unspecified,
    x509.ReasonFlags.key_compromise,
    x509.ReasonFlags.certificate_hold,
)
NONCE = der.explicit(
    2,
    der.sequence(
        der.sequence(
            der.object_identifier("1.3.6.1.5.5.7.48.1.2"),
            der.octet_string(der.octet_string(b"n" * 32)),
        )
    ),
)
# The validators of pkilint's own lint_ocsp_response.
LINTER = ocsp.create_pkix_ocsp_response_validator_container(
    [
        ocsp.create_response_decoder(),
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ],
    [],
)


@dataclass
class Site:
    pki: PKI
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocsp"

    def ask(self, identity: Identity, *options: str) -> str:
        """Ask by openssl, which checks signature, signer, nonce and times; give what it says."""
        done = run(
            "openssl", "ocsp", "-url", self.url, "-CAfile", self.pki.root_pem,
            "-issuer", self.pki.root_pem, *options, "-cert", identity.pem,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Response verify OK" in done.stderr
        assert "WARNING" not in done.stderr
        return done.stdout


@pytest.fixture(scope="module", params=[True, False], ids=["delegated", "by the issuer"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    need("openssl")
    folder, port = tmp_path_factory.mktemp("pki"), free_port()
    with PKI.opened(folder, urls=publication_urls(f"http://127.0.0.1:{port}")) as pki:
        with served(create_app(pki.ca, delegated=request.param), port):
            yield Site(pki, port, folder)


class TestOpenSSL:
    @pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
    @pytest.mark.parametrize("nonce", [("-nonce",), ("-no_nonce",)])
    def test_good_revoked_and_unknown(
        self, site: Site, digest: str, nonce: tuple[str, ...]
    ) -> None:
        leaf = site.pki.issue(f"{digest}{nonce[0]}.example")
        assert f"{leaf.pem}: good" in site.ask(leaf, *nonce, digest)
        site.pki.revoke(leaf, x509.ReasonFlags.superseded)
        said = site.ask(leaf, *nonce, digest)
        assert f"{leaf.pem}: revoked" in said
        assert "Reason: superseded" in said
        # OpenSSL compares neither the file nor the serial number with anything on record.
        factory = site.pki.ca.factory
        assert factory is not None
        unrecorded, _, _ = factory.issue_certificate("x.example", key_algorithm="p-256")
        pem = site.folder / f"unrecorded{digest}{nonce[0]}.pem"
        pem.write_bytes(unrecorded.public_bytes(Encoding.PEM))
        stranger = Identity(unrecorded, pem, pem, pem)
        assert f"{pem}: unknown" in site.ask(stranger, *nonce, digest)

    def test_several_at_once(self, site: Site) -> None:
        good, revoked = site.pki.issue("several.example"), site.pki.issue("several2.example")
        site.pki.revoke(revoked)
        said = site.ask(good, "-cert", str(revoked.pem))
        assert f"{good.pem}: good" in said
        assert f"{revoked.pem}: revoked" in said

    def test_presigned(self, site: Site) -> None:
        leaf = site.pki.issue("presigned.example")
        site.pki.ca.ocsp_responder().presign()
        assert f"{leaf.pem}: good" in site.ask(leaf, "-no_nonce")
        site.pki.revoke(leaf)
        assert f"{leaf.pem}: revoked" in site.ask(leaf, "-no_nonce")


def lint(response_der: bytes) -> list[str]:
    document = loader.load_der_ocsp_response(response_der, "response")
    return findings(LINTER.validate(document.root))


@pytest.fixture(scope="module", params=ALGORITHMS)
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PKI]:
    with PKI.opened(tmp_path_factory.mktemp("pki"), key_algorithm=request.param) as made:
        yield made


@pytest.fixture(scope="module", params=[True, False], ids=["delegated", "by the issuer"])
def responder(pki: PKI, request: pytest.FixtureRequest) -> OCSPResponder:
    return pki.ca.ocsp_responder(delegated=request.param)


class TestPkilint:
    @pytest.mark.parametrize("nonce", [None, b"n" * 32])
    @pytest.mark.parametrize("digest", ["sha1", "sha256"])
    def test_every_status(
        self, pki: PKI, responder: OCSPResponder, nonce: bytes | None, digest: str
    ) -> None:
        factory: Any = pki.ca.factory
        unknown, _, _ = factory.issue_certificate("x.example", key_algorithm="p-256")
        certs = [
            pki.issue(f"n{next(NUMBERS)}.example", key_algorithm="p-256").certificate
            for _ in range(2)
        ]
        pki.ca.revoke_certificate(certs[0].serial_number)
        for cert in (*certs, unknown):
            assert lint(responder.respond(ask(cert, pki.root, digest, nonce))) == []

    def test_every_reason(self, pki: PKI, responder: OCSPResponder) -> None:
        requests = []
        for reason in REASONS:
            leaf = pki.issue(f"{reason.name}{next(NUMBERS)}.example", key_algorithm="p-256")
            pki.revoke(leaf, reason)
            requests.append(ask(leaf.certificate, pki.root))
        for request in (*requests, request_of(*map(cert_id, requests))):
            assert lint(responder.respond(request)) == []

    @pytest.mark.parametrize("nonce", [b"", NONCE], ids=["no nonce", "nonce"])
    def test_several_at_once(self, pki: PKI, responder: OCSPResponder, nonce: bytes) -> None:
        """Good, revoked and unknown, by either digest."""
        good, revoked = (
            pki.issue(f"n{next(NUMBERS)}.example", key_algorithm="p-256") for _ in range(2)
        )
        pki.revoke(revoked)
        factory: Any = pki.ca.factory
        unknown, _, _ = factory.issue_certificate("x.example", key_algorithm="p-256")
        ids = [
            cert_id(ask(cert, pki.root, digest))
            for cert in (good.certificate, revoked.certificate, unknown)
            for digest in ("sha1", "sha256")
        ]
        response = responder.respond(request_of(*ids, extensions=nonce))
        assert len(list(read(response).responses)) == 6
        assert lint(response) == []

    @pytest.mark.parametrize("digest", ["sha1", "sha256"])
    def test_what_was_signed_beforehand(
        self, pki: PKI, responder: OCSPResponder, digest: str
    ) -> None:
        leaves = [pki.issue(f"n{next(NUMBERS)}.example", key_algorithm="p-256") for _ in range(4)]
        for leaf, reason in zip(leaves, BEFOREHAND, strict=False):
            pki.revoke(leaf, reason)
        responder.presign(digest, fresh_for=timedelta(days=1))
        for leaf in leaves:
            reply = responder.reply_at_once(ask(leaf.certificate, pki.root, digest))
            assert reply is not None
            assert lint(reply.der) == []

    def test_errors(self, pki: PKI, responder: OCSPResponder, tmp_path: Path) -> None:
        with PKI.opened(tmp_path) as other:
            stranger = ask(other.root, other.root)
        statuses = set()
        for request in (b"", stranger):
            response = responder.respond(request)
            statuses.add(read(response).response_status)
            assert lint(response) == []
        assert len(statuses) == 2

    @pytest.mark.parametrize("algorithm", KeyAlgorithm)
    @pytest.mark.parametrize("delegated", [True, False])
    def test_every_algorithm(
        self, tmp_path: Path, algorithm: KeyAlgorithm, delegated: bool
    ) -> None:
        with PKI.opened(tmp_path, key_algorithm=algorithm) as pki:
            responder = pki.ca.ocsp_responder(delegated=delegated)
            leaf = pki.issue("a.example", key_algorithm="p-256")
            assert lint(responder.respond(ask(leaf.certificate, pki.root))) == []
            pki.revoke(leaf)
            response = responder.respond(ask(leaf.certificate, pki.root, "sha256", b"n" * 32))
            assert lint(response) == []
            for signer in read(response).certificates:
                assert lint_certificate(signer) == []


def test_nginx_staples(site: Site, tmp_path: Path) -> None:
    """It asks by GET, and checks the response itself before it gives it on."""
    need("nginx", "openssl")
    server = site.pki.issue("stapled.example", is_server_cert=True)
    # Where the CA signs by itself, nginx looks for it in what it sends to its clients.
    chain = tmp_path / "chain.pem"
    chain.write_bytes(server.pem.read_bytes() + site.pki.root_pem.read_bytes())
    server = replace(server, pem=chain)
    with Nginx.started(tmp_path / "site", site.pki, server, stapling=True) as nginx:
        said = ""
        # The first handshakes make it ask; it has no answer for them yet.
        for _ in range(100):
            done = run(
                "openssl", "s_client", "-connect", f"127.0.0.1:{nginx.port}", "-status",
                "-servername", "stapled.example", "-CAfile", site.pki.root_pem, "-verify", "2",
                input="",
            )  # fmt: skip
            said = done.stdout
            if "OCSP Response Status: successful" in said:
                break
            time.sleep(0.1)
        assert "OCSP Response Status: successful" in said, (nginx.folder / "error.log").read_text()
        assert "Cert Status: good" in said
