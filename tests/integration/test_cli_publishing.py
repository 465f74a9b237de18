"""The command line: what relying parties fetch, and the server that they fetch it from."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.command_line import environment, tiny_ca


def request_of(pki: Path, name: str) -> bytes:
    leaf, root = (
        x509.load_pem_x509_certificate((pki / file).read_bytes())
        for file in (f"live/{name}/cert.pem", "ca/ca.pem")
    )
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, root, hashes.SHA256())
    return builder.build().public_bytes(Encoding.DER)


class TestPublish:
    def test_what_is_due_is_published_once(self, pki: Path) -> None:
        [planned] = tiny_ca("publish", "--dry-run", "--json").json
        assert (planned["number"], planned["due"]) == (None, True)
        assert not (pki / "crl.der").exists()
        assert [each["number"] for each in tiny_ca("publish", "--json").json] == [1]
        assert tiny_ca("publish").out == "Nothing is due.\n"
        [planned] = tiny_ca("publish", "--dry-run", "--json").json
        assert (planned["number"], planned["due"]) == (1, False)
        [planned] = tiny_ca("publish", "--ahead-hours", "168", "--days", "99", "--dry-run",
                            "--delta-hours", "999", "--json").json  # fmt: skip
        assert planned["due"] is True

    def test_a_ca_without_its_key_is_left_out(self, pki: Path) -> None:
        (pki / "ca/ca.key").rename("ca.key")
        assert tiny_ca("publish", "--json").json == []
        assert tiny_ca("publish", "--ca", "Root").code == 1

    def test_a_ca_whose_crl_is_refused_keeps_no_other_back(self, pki: Path) -> None:
        tiny_ca("ca", "intermediate", "Services")
        assert len(tiny_ca("publish", "--json").json) == 2
        all_due = ("--ahead-hours", "168", "--days", "99", "--delta-hours", "999")
        paths = set(pki.glob("crl*.der"))
        for path in paths:
            [other] = paths - {path}
            former = other.read_bytes()
            for file in (path, path.with_suffix(".pem")):
                file.write_bytes(b"damaged")
            refused = tiny_ca("publish", *all_due)
            assert refused.code != 0
            assert path.name in refused.err
            assert path.read_bytes() == b"damaged"
            assert other.read_bytes() != former
            path.unlink()
            for name in ("Root", "Services"):
                assert tiny_ca("crl", "--ca", name).code == 0

    def test_periods_that_do_not_fit_are_refused(self, pki: Path) -> None:
        for more in ((), ("--dry-run",)):
            assert tiny_ca("publish", "--ahead-hours", "200", *more).code == 2
        assert tiny_ca("crl", "--days", "0").code == 2


class TestOCSP:
    def test_a_request_is_answered(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        Path("request.der").write_bytes(request_of(pki, "a.test"))
        answer = ("ocsp", "answer", "request.der", "-o", "answer.der")
        assert tiny_ca(*answer, "--dry-run").code == 0
        assert not Path("answer.der").exists()
        assert tiny_ca(*answer, "--json").json["octets"] > 0
        read = ocsp.load_der_ocsp_response(Path("answer.der").read_bytes())
        assert read.certificate_status is ocsp.OCSPCertStatus.GOOD

    def test_the_status_of_a_certificate(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        assert tiny_ca("ocsp", "status", "a.test").out == "good\n"
        tiny_ca("revoke", serial, "--reason", "superseded")
        told = tiny_ca("ocsp", "status", serial, "--json").json
        assert (told["ocsp"], told["reason"]) == ("revoked", "superseded")
        assert tiny_ca("ocsp", "status", "b.test").code == 3

    def test_answers_are_signed_beforehand(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        assert tiny_ca("ocsp", "presign", "--dry-run").code == 0
        assert tiny_ca("ocsp", "presign", "--json").json["signed"] >= 1


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `tiny-ca serve` and give its URL, as it says it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tiny_ca", "serve", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert server.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = server.stdout.readline()
            assert line, server.communicate()
            text += line
        told = json.loads(text)
        assert told["pid"] == server.pid
        yield server, told["url"]
    finally:
        server.kill()
        server.communicate()


class TestServe:
    def test_it_answers_until_sigterm_and_ends_well(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        tiny_ca("crl")
        issuer_id = tiny_ca("show", "a.test", "--json").json["issuer_id"]
        with serving() as (server, url):
            with urllib.request.urlopen(f"{url}crl/{issuer_id}.crl", timeout=30) as answer:
                assert answer.read() == (pki / "crl.der").read_bytes()
            asked = urllib.request.Request(
                f"{url}ocsp",
                request_of(pki, "a.test"),
                {"Content-Type": "application/ocsp-request"},
            )
            with urllib.request.urlopen(asked, timeout=30) as answer:
                read = ocsp.load_der_ocsp_response(answer.read())
            assert read.certificate_status is ocsp.OCSPCertStatus.GOOD
            server.send_signal(signal.SIGTERM)
            _, err = server.communicate(timeout=30)
        assert (server.returncode, err) == (0, "")

    def test_a_port_that_is_taken_is_a_line(self, pki: Path) -> None:
        with serving() as (_, url):
            port = url.rstrip("/").rpartition(":")[2]
            refused = tiny_ca("serve", "--port", port)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert f"127.0.0.1:{port}: Address already in use" in refused.err
