"""The command line: certificates after their first day, and other people's."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.command_line import tiny_ca
from tests.support import free_port, need, run


def csr_of(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return made.add_extension(names, False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def certificate(file: str | Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(file).read_bytes())


class TestSign:
    def test_a_request_is_signed_and_its_chain_written(self, pki: Path) -> None:
        Path("a.csr").write_bytes(csr_of("a.test"))
        told = tiny_ca("sign", "a.csr", "-o", "a.pem", "--days", "10", "--json").json
        assert f"{certificate('a.pem').serial_number:x}" == told["serial"]
        assert (told["names"], told["live"]) == (["a.test"], {})
        assert tiny_ca("verify", "a.pem", "--host", "a.test").code == 0

    def test_the_former_one_is_valid_until_it_ends(self, pki: Path) -> None:
        Path("a.csr").write_bytes(csr_of("a.test"))
        tiny_ca("sign", "a.csr", "-o", "former.pem")
        assert tiny_ca("sign", "a.csr").code == 4
        assert tiny_ca("sign", "a.csr", "--overlap", "-o", "next.pem").code == 0
        for each in ("former.pem", "next.pem"):
            assert tiny_ca("verify", each).code == 0
        assert tiny_ca("sign", "a.csr", "--overlap", "--replace").code == 2

    def test_what_can_not_be_written_is_not_signed(self, pki: Path) -> None:
        Path("a.csr").write_bytes(csr_of("a.test"))
        for out in ("nowhere/a.pem", "."):
            assert tiny_ca("sign", "a.csr", "-o", out).code == 2
        assert len(tiny_ca("list", "--status", "valid", "--json").json) == 1

    def test_a_dry_run_signs_nothing(self, pki: Path) -> None:
        Path("a.csr").write_bytes(csr_of("a.test"))
        told = tiny_ca("sign", "a.csr", "-o", "a.pem", "--dry-run", "--json").json
        assert [each["common_name"] for each in told["issue"]] == ["a.test"]
        assert not Path("a.pem").exists()
        assert len(tiny_ca("list", "--status", "valid", "--json").json) == 1

    def test_what_is_no_request_is_refused(self, pki: Path) -> None:
        Path("a.csr").write_text("nothing of the kind")
        assert tiny_ca("sign", "a.csr").code == 2
        assert tiny_ca("sign", "b.csr").code == 3


class TestRenew:
    def test_the_key_stays_and_live_leads_to_the_new_one(self, pki: Path) -> None:
        first = tiny_ca("issue", "a.test", "--days", "30", "--json").json
        old = certificate(pki / "live/a.test/cert.pem")
        second = tiny_ca("renew", "a.test", "--json").json
        new = certificate(pki / "live/a.test/cert.pem")
        assert new.public_key() == old.public_key()
        assert new.not_valid_after_utc - new.not_valid_before_utc == (
            old.not_valid_after_utc - old.not_valid_before_utc
        )
        assert f"{new.serial_number:x}" == second["serial"] != first["serial"]
        assert tiny_ca("show", first["serial"], "--json").json["status"] == "valid"

    def test_both_are_revoked_together_or_by_serial_number(self, pki: Path) -> None:
        first = tiny_ca("issue", "a.test", "--json").json
        second = tiny_ca("renew", "a.test", "--json").json
        refused = tiny_ca("revoke", "a.test")
        assert (refused.code, "--every" in refused.err) == (2, True)
        told = tiny_ca("revoke", "a.test", "--every", "--json").json
        assert set(told["revoked"]) == {first["serial"], second["serial"]}

    def test_a_dry_run_renews_nothing(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        before = (pki / "live/a.test/cert.pem").read_bytes()
        [would] = tiny_ca("renew", "a.test", "--days", "7", "--dry-run", "--json").json["issue"]
        assert (would["common_name"], would["supersedes"]) == ("a.test", None)
        assert (pki / "live/a.test/cert.pem").read_bytes() == before
        assert len(tiny_ca("list", "a.test", "--json").json) == 1

    def test_a_name_that_is_meant_exactly_is_no_pattern(self, pki: Path) -> None:
        tiny_ca("issue", "a.in.test")
        wildcard = tiny_ca("issue", "*.in.test", "--json").json["serial"]
        assert len(tiny_ca("list", "*.in.test", "--json").json) == 2
        [listed] = tiny_ca("list", "--exact-name", "*.in.test", "--json").json
        assert listed["serial"] == wildcard
        assert tiny_ca("list", "a", "--exact-name", "a").code == 2
        assert tiny_ca("revoke", "*.in.test", "--json").json["revoked"] == [wildcard]


class TestRotate:
    def test_the_new_one_says_what_the_old_one_said(self, pki: Path) -> None:
        subject = ("--organization", "ACME", "--country", "UA", "--locality", "Kyiv")
        issued = ("issue", "a.test", "10.0.0.1", "-p", "mtls", "--key", "p-384", "--days", "30")
        first = tiny_ca(*issued, *subject, "--json").json
        old = certificate(pki / "live/a.test/cert.pem")
        [would] = tiny_ca("rotate", "a.test", "--dry-run", "--json").json["issue"]
        assert would["supersedes"] == first["serial"]
        told = tiny_ca("rotate", "a.test", "--json").json
        new = certificate(pki / "live/a.test/cert.pem")
        assert new.subject == old.subject
        assert new.public_key() != old.public_key()
        assert isinstance(new.public_key(), ec.EllipticCurvePublicKey)
        assert (told["names"], told["profile"]) == (first["names"], "mtls")
        for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
            assert new.extensions.get_extension_for_class(kind) == (
                old.extensions.get_extension_for_class(kind)
            )
        assert tiny_ca("show", first["serial"], "--json").json["reason"] == "superseded"

    def test_a_mailbox_stays(self, pki: Path) -> None:
        tiny_ca("issue", "me@a.test", "-p", "user")
        told = tiny_ca("rotate", "me@a.test", "--json").json
        assert (told["names"], told["profile"]) == (["me@a.test"], "user")

    def test_a_revoked_one_is_not_rotated(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        tiny_ca("revoke", serial)
        assert tiny_ca("rotate", serial).code == 5


class TestVerify:
    def test_it_says_what_is_wrong(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        told = tiny_ca("verify", "a.test", "--host", "a.test", "--json").json
        assert [told["valid"], told["path"][0]["serial"]] == [True, serial]
        for asked in (("--host", "b.test"), ("--purpose", "client_auth"), ("--at", "2020-01-01")):
            assert tiny_ca("verify", "a.test", *asked).code == 5
        tiny_ca("revoke", serial)
        refused = tiny_ca("verify", serial)
        assert (refused.code, "revoked" in refused.err) == (5, True)

    def test_others_are_verified_without_a_ca(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        tiny_ca("crl")
        Path("apart").mkdir()
        root = (pki / "ca/ca.pem").rename("apart/root.pem").absolute()
        leaf, crl = pki / "live/a.test/fullchain.pem", pki / "crl.pem"
        asked = ("--roots", root, "--crl", crl, "--host", "a.test")
        assert tiny_ca("-C", "nowhere", "verify", leaf, *asked).code == 0
        tiny_ca("init", "other")
        assert tiny_ca("verify", leaf, "--roots", "other/ca/ca.pem", "--host", "a.test").code == 5

    def test_purposes_are_spelt_right(self, pki: Path) -> None:
        assert "server_auth" in tiny_ca("verify", "Root", "--purpose", "servers").err


@contextmanager
def serving(pki: Path) -> Iterator[int]:
    """Show the pair in live/ to whoever shakes hands."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    live = pki / "live/localhost"
    context.load_cert_chain(live / "fullchain.pem", live / "privkey.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)

        def shake_hands() -> None:
            connection, _ = listening.accept()
            with connection, context.wrap_socket(connection, server_side=True) as tls:
                tls.settimeout(30)
                if tls.recv(1 << 12):
                    tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")

        thread = threading.Thread(target=shake_hands)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join(30)


class TestInspect:
    def test_a_file_a_stream_and_a_record_say_the_same(
        self, pki: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serial = tiny_ca("issue", "localhost", "--json").json["serial"]
        file = pki / "live/localhost/cert.pem"
        told = tiny_ca("inspect", file, "--json").json
        assert (told["serial"], told["san_dns"]) == (serial, ["localhost"])
        assert told == tiny_ca("inspect", serial, "--json").json
        with file.open() as stream:
            monkeypatch.setattr("sys.stdin", stream)
            assert tiny_ca("inspect", "-", "--json").json == told

    def test_a_server_is_asked(self, pki: Path) -> None:
        serial = tiny_ca("issue", "localhost", "--json").json["serial"]
        for where in ("https://localhost:{}/", "127.0.0.1:{}"):
            with serving(pki) as port:
                assert tiny_ca("inspect", where.format(port), "--json").json["serial"] == serial

    def test_nobody_there_is_a_line(self, pki: Path) -> None:
        refused = tiny_ca("inspect", f"127.0.0.1:{free_port()}")
        assert (refused.code, refused.err.count("\n")) == (1, 1)

    def test_names_do_nothing_to_a_terminal(self, tmp_path: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\x1b[2J[red]\nevil\u202e")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
        (tmp_path / "evil.pem").write_bytes(made)
        shown = tiny_ca("inspect", tmp_path / "evil.pem")
        assert shown.code == 0
        assert not {"\x1b", "\u202e"} & set(shown.out)
        assert "[red]" in shown.out


def test_curl_trusts_a_server_with_the_issued_pair(pki: Path) -> None:
    need("curl")
    tiny_ca("issue", "localhost", "127.0.0.1")
    with serving(pki) as port:
        done = run("curl", "-sS", "--cacert", pki / "ca/ca.pem", f"https://localhost:{port}/")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


class TestLive:
    def test_a_name_of_another_one_in_use_is_left_to_it(self, pki: Path) -> None:
        options = ("-p", "client", "--json")
        first = tiny_ca("issue", "Alice", *options).json
        ran = tiny_ca("issue", "alice", *options)
        assert ran.code == 4
        assert "'Alice'" in ran.err
        assert f"{certificate(pki / 'live/alice/cert.pem').serial_number:x}" == first["serial"]
        assert tiny_ca("list", "alice", "--json").json == []

        tiny_ca("revoke", first["serial"])
        second = tiny_ca("issue", "alice", *options).json
        assert f"{certificate(second['live']['cert']).serial_number:x}" == second["serial"]

    def test_what_is_no_link_is_in_the_way(self, pki: Path) -> None:
        (pki / "live/a.test").mkdir(parents=True)
        for command in (("issue", "a.test"), ("init", pki, "--issue", "a.test")):
            assert tiny_ca(*command).code == 4
        assert len(tiny_ca("list", "--json").json) == 1
