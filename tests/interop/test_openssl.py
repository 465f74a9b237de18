"""OpenSSL's command line judges certificates, CRLs, requests and key files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tests.interop.pki import PKI, Identity
from tests.support import need, run


@dataclass(frozen=True)
class World:
    pki: PKI
    valid: Identity
    revoked: Identity


@pytest.fixture(scope="module", params=["rsa", "p-256", "ed25519"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    need("openssl")
    with PKI.opened(tmp_path_factory.mktemp("pki"), key_algorithm=request.param) as pki:
        valid = pki.issue("valid.example", is_server_cert=True, is_client_cert=True)
        revoked = pki.issue("revoked.example", is_server_cert=True, is_client_cert=True)
        pki.revoke(revoked)
        pki.ca.generate_crl()
        yield World(pki, valid, revoked)


@pytest.fixture(scope="module")
def namesake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PKI]:
    """Another CA whose root has the same name."""
    with PKI.opened(tmp_path_factory.mktemp("namesake")) as pki:
        yield pki


def verify(pki: PKI, leaf: Path, *options: str | Path) -> CompletedProcess[str]:
    return run(
        "openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore",
        "-CAfile", pki.root_pem, *options, leaf,
    )  # fmt: skip


def public_key(kind: str, path: Path) -> str:
    # pkey's -noout would leave out the public key as well.
    options = ("-pubout",) if kind == "pkey" else ("-noout", "-pubkey")
    printed = run("openssl", kind, "-in", path, *options)
    assert "BEGIN PUBLIC KEY" in printed.stdout, printed.stderr
    return printed.stdout


def test_the_root_verifies_itself(world: World) -> None:
    result = verify(world.pki, world.pki.root_pem, "-check_ss_sig", "-purpose", "any")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_a_valid_leaf_verifies_with_the_crl(world: World, purpose: str) -> None:
    result = verify(
        world.pki, world.valid.pem, "-crl_check_all", "-CRLfile", world.pki.crl_pem,
        "-purpose", purpose, "-verify_hostname", "valid.example",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_a_revoked_leaf_does_not(world: World) -> None:
    result = verify(world.pki, world.revoked.pem, "-crl_check", "-CRLfile", world.pki.crl_pem)
    assert result.returncode != 0
    assert "error 23 at 0 depth lookup: certificate revoked" in result.stderr


def test_only_the_crl_tells_a_revoked_leaf(world: World) -> None:
    assert verify(world.pki, world.revoked.pem).returncode == 0


def test_a_crl_stops_counting_after_its_next_update(world: World) -> None:
    crl = world.pki.ca.generate_crl(days_valid=1)
    checked = ("-crl_check", "-CRLfile", world.pki.crl_pem, "-attime")
    late = int(crl.next_update_utc.timestamp())
    assert verify(world.pki, world.valid.pem, *checked, str(late - 1)).returncode == 0
    result = verify(world.pki, world.valid.pem, *checked, str(late + 1))
    assert "CRL has expired" in result.stderr


def test_a_client_certificate_is_none_for_servers(world: World) -> None:
    client = world.pki.issue("only-a-client", is_client_cert=True)
    assert verify(world.pki, client.pem, "-purpose", "sslclient").returncode == 0
    result = verify(world.pki, client.pem, "-purpose", "sslserver")
    assert result.returncode != 0
    assert "purpose" in result.stderr


def test_a_leaf_can_not_issue(world: World, tmp_path: Path) -> None:
    key, forged = tmp_path / "forged.key", tmp_path / "forged.pem"
    made = run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
    assert made.returncode == 0, made.stderr
    request = run(
        "openssl", "req", "-new", "-key", key, "-subj", "/CN=forged", "-out", tmp_path / "csr"
    )
    assert request.returncode == 0, request.stderr
    signed = run(
        "openssl", "x509", "-req", "-in", tmp_path / "csr", "-out", forged, "-days", "1",
        "-CA", world.valid.pem, "-CAkey", world.valid.key, "-set_serial", "1",
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    result = run(
        "openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", world.pki.root_pem,
        "-untrusted", world.valid.pem, forged,
    )  # fmt: skip
    assert result.returncode != 0
    assert "invalid CA certificate" in result.stderr


def test_a_namesake_did_not_issue_it(world: World, namesake: PKI) -> None:
    assert verify(namesake, world.valid.pem).returncode != 0


class TestCRL:
    def test_its_signature_verifies(self, world: World) -> None:
        result = run(
            "openssl", "crl", "-in", world.pki.crl_pem, "-CAfile", world.pki.root_pem, "-noout"
        )
        assert "verify OK" in result.stderr

    def test_a_namesake_did_not_sign_it(self, world: World, namesake: PKI) -> None:
        result = run(
            "openssl", "crl", "-in", world.pki.crl_pem, "-CAfile", namesake.root_pem, "-noout"
        )
        assert "verify OK" not in result.stderr

    def test_it_says_what_was_revoked_and_why(self, world: World) -> None:
        text = run("openssl", "crl", "-in", world.pki.crl_pem, "-noout", "-text").stdout
        assert text.count("Serial Number:") == 1
        assert f"Serial Number: {world.revoked.serial_number:X}" in text
        assert "Key Compromise" in text
        assert "X509v3 CRL Number" in text

    def test_it_points_at_the_key_of_the_root(self, world: World) -> None:
        text = run("openssl", "crl", "-in", world.pki.crl_pem, "-noout", "-text").stdout
        root = run(
            "openssl", "x509", "-in", world.pki.root_pem, "-noout", "-ext", "subjectKeyIdentifier"
        )
        identifier = root.stdout.splitlines()[1].strip()
        following = text.partition("X509v3 Authority Key Identifier:")[2].splitlines()
        assert following[1].strip().removeprefix("keyid:") == identifier

    def test_an_unspecified_reason_is_left_out(self, tmp_path: Path) -> None:
        need("openssl")
        with PKI.opened(tmp_path) as pki:
            pki.revoke(pki.issue("a.example"), x509.ReasonFlags.unspecified)
            pki.ca.generate_crl()
        text = run("openssl", "crl", "-in", pki.crl_pem, "-noout", "-text").stdout
        assert text.count("Serial Number:") == 1
        # RFC 5280 §5.3.1.
        assert "CRL Reason Code" not in text


class TestRequest:
    def test_its_signature_verifies(self, world: World) -> None:
        result = run("openssl", "req", "-in", world.valid.csr, "-verify", "-noout")
        assert "verify OK" in result.stderr

    def test_a_changed_one_does_not(self, world: World, tmp_path: Path) -> None:
        """The control of the test above: OpenSSL 3.0 exits with 0 either way."""
        der = tmp_path / "changed.der"
        run("openssl", "req", "-in", world.valid.csr, "-outform", "DER", "-out", der)
        der.write_bytes(der.read_bytes().replace(b"valid.example", b"other.example"))
        result = run("openssl", "req", "-in", der, "-inform", "DER", "-verify", "-noout")
        assert "verify OK" not in result.stderr

    def test_request_key_and_certificate_are_of_one_key(self, world: World) -> None:
        asked = public_key("req", world.valid.csr)
        assert asked == public_key("x509", world.valid.pem) == public_key("pkey", world.valid.key)

    def test_its_subject_is_that_of_the_certificate(self, world: World) -> None:
        subjects = {
            run("openssl", kind, "-in", path, "-noout", "-subject", "-nameopt", "RFC2253").stdout
            for kind, path in (("req", world.valid.csr), ("x509", world.valid.pem))
        }
        assert len(subjects) == 1
        assert "CN=valid.example" in subjects.pop()


class TestKeyFiles:
    @pytest.mark.parametrize("whose", ["root", "leaf"])
    def test_they_are_consistent(self, world: World, whose: str) -> None:
        path = world.pki.root_key if whose == "root" else world.valid.key
        result = run("openssl", "pkey", "-in", path, "-check", "-noout")
        assert result.returncode == 0, result.stderr
        assert "Key is valid" in result.stdout + result.stderr

    def test_the_key_of_the_root_is_that_of_its_certificate(self, world: World) -> None:
        assert public_key("pkey", world.pki.root_key) == public_key("x509", world.pki.root_pem)


@pytest.fixture(
    scope="module",
    params=[("root", "p-256"), ("leaf", "p-256"), ("leaf", "rsa"), ("leaf", "ed25519")],
    ids="-".join,
)
def encrypted_key(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    need("openssl")
    whose, key_algorithm = request.param
    encryption = BestAvailableEncryption(b"correct horse")
    with PKI.opened(tmp_path_factory.mktemp("encrypted"), encryption=encryption) as pki:
        leaf = pki.issue("a.example", key_algorithm=key_algorithm)
        yield pki.root_key if whose == "root" else leaf.key


class TestEncryptedKeyFiles:
    def test_they_are_pkcs8(self, encrypted_key: Path) -> None:
        assert encrypted_key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        structure = run("openssl", "asn1parse", "-in", encrypted_key).stdout
        # RFC 8018 §6.2 (PBES2): what the older schemes derive is within reach of a guess.
        assert ":PBES2" in structure
        assert ":aes-256-cbc" in structure

    def test_they_open_with_the_passphrase(self, encrypted_key: Path) -> None:
        passphrase = ("-passin", "pass:correct horse")
        result = run("openssl", "pkey", "-in", encrypted_key, *passphrase, "-check", "-noout")
        assert result.returncode == 0, result.stderr
        assert "Key is valid" in result.stdout + result.stderr

    @pytest.mark.parametrize("passphrase", ["", "wrong", "correct horse "])
    def test_they_stay_shut_without_it(self, encrypted_key: Path, passphrase: str) -> None:
        result = run("openssl", "pkey", "-in", encrypted_key, "-passin", f"pass:{passphrase}")
        assert result.returncode != 0
        assert "PRIVATE KEY" not in result.stdout
