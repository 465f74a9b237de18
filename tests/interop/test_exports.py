"""OpenSSL's command line and Java's keytool read what is exported, and what is inspected."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certificates import rich_certificate
from tests.interop.pki import PKI, Identity
from tests.support import need, run
from tiny_ca import CertificateDetails, PublicationURLs
from tiny_ca.adapters.outbound.crypto import CryptographyInspector

PASSWORD = "correct horse"
URLS = PublicationURLs(crl=("http://c.example/crl",), ocsp=("http://o.example",))


@dataclass(frozen=True)
class World:
    pki: PKI
    leaf: Identity
    folder: Path

    def written(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def pkcs12(self, name: str, **options: object) -> Path:
        options.setdefault("password", PASSWORD)
        exported = self.pki.ca.export_pkcs12(self.leaf.certificate, **options)  # type: ignore[arg-type]
        return self.written(name, exported)

    @property
    def fingerprint(self) -> str:
        return self.pki.ca.inspect_certificate(self.leaf.certificate).fingerprint_sha256


@contextmanager
def opened(folder: Path, key_algorithm: str) -> Iterator[World]:
    with PKI.opened(folder, key_algorithm=key_algorithm, urls=URLS) as pki:
        leaf = pki.issue("nginx.example", is_server_cert=True, san_ip=["192.0.2.1", "::1"])
        yield World(pki, leaf, folder)


@pytest.fixture(scope="module", params=["rsa", "p-256"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    need("openssl")
    with opened(tmp_path_factory.mktemp("pki"), request.param) as world:
        yield world


@pytest.fixture(scope="module")
def a_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need("keytool", "openssl")
    with opened(tmp_path_factory.mktemp("pki"), "p-256") as world:
        yield world


def keytool(*arguments: str | Path, **options: str) -> CompletedProcess[str]:
    # Most of its time is compilation, which does not pay for so little.
    return run("keytool", "-J-XX:TieredStopAtLevel=1", *arguments, **options)


def pem_in(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())


class TestOpenSSL:
    @pytest.mark.parametrize(
        ("options", "passphrase", "scheme"),
        [
            ({}, PASSWORD, "PBES2, PBKDF2, AES-256-CBC"),
            ({"compatible": True}, PASSWORD, "pbeWithSHA1And3-KeyTripleDES-CBC"),
            ({"password": None, "encrypted": False}, "", None),
        ],
        ids=["modern", "compatible", "clear"],
    )
    def test_reads_pkcs12(
        self, world: World, options: dict[str, object], passphrase: str, scheme: str | None
    ) -> None:
        path = world.pkcs12("leaf.p12", **options)
        read = run(
            "openssl", "pkcs12", "-in", path, "-passin", f"pass:{passphrase}", "-info", "-noenc"
        )
        assert read.returncode == 0, read.stderr
        assert f"MAC: {'sha1' if 'compatible' in options else 'sha256'}" in read.stderr
        if scheme is None:
            assert "Key bag" in read.stderr
            assert "Shrouded" not in read.stderr
        else:
            assert f"Shrouded Keybag: {scheme}" in read.stderr
            assert f"PKCS7 Encrypted data: {scheme}" in read.stderr
        assert pem_in(read.stdout) == [world.leaf.certificate, world.pki.root]
        assert "friendlyName: nginx.example" in read.stdout
        key = world.written("read.key", read.stdout.encode())
        ours = run("openssl", "pkey", "-in", world.leaf.key, "-pubout").stdout
        assert run("openssl", "pkey", "-in", key, "-pubout").stdout == ours != ""

    def test_does_not_open_it_with_another_password(self, world: World) -> None:
        path = world.pkcs12("leaf.p12")
        read = run("openssl", "pkcs12", "-in", path, "-passin", "pass:wrong", "-nodes")
        assert read.returncode != 0
        assert "PRIVATE KEY" not in read.stdout

    @pytest.mark.parametrize("form", ["PEM", "DER"])
    def test_reads_pkcs7(self, world: World, form: str) -> None:
        exported = world.pki.ca.export_pkcs7(world.leaf.certificate, as_der=form == "DER")
        path = world.written("leaf.p7b", exported)
        read = run("openssl", "pkcs7", "-in", path, "-inform", form, "-print_certs")
        assert read.returncode == 0, read.stderr
        assert set(pem_in(read.stdout)) == {world.leaf.certificate, world.pki.root}

    def test_verifies_the_fullchain(self, world: World) -> None:
        exported = world.pki.ca.export_fullchain(world.leaf.certificate)
        path = world.written("fullchain.pem", exported)
        result = run(
            "openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile",
            world.pki.root_pem, "-untrusted", path, path,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr


class TestOpenSSLSaysWhatWeSay:
    """Of a certificate of ours, and of one with all there is."""

    @pytest.fixture(params=["ours", "rich"])
    def certificate(self, request: pytest.FixtureRequest, world: World) -> x509.Certificate:
        return world.leaf.certificate if request.param == "ours" else rich_certificate()

    @pytest.fixture
    def details(self, certificate: x509.Certificate) -> CertificateDetails:
        return CryptographyInspector().inspect(certificate)

    @pytest.fixture
    def path(self, certificate: x509.Certificate, tmp_path: Path) -> Path:
        path = tmp_path / "certificate.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        return path

    def test_in_lines(self, path: Path, details: CertificateDetails) -> None:
        printed = run(
            "openssl", "x509", "-in", path, "-noout", "-serial", "-fingerprint", "-sha256",
            "-dates", "-dateopt", "iso_8601", "-subject", "-issuer", "-nameopt",
            "RFC2253,-esc_msb,utf8",
        )  # fmt: skip
        said = dict(line.split("=", 1) for line in printed.stdout.splitlines())
        assert int(said["serial"], 16) == details.serial_number
        assert said["sha256 Fingerprint"] == details.fingerprint_sha256
        assert said["subject"] == details.subject
        assert said["issuer"] == details.issuer
        for name, ours in (
            ("notBefore", details.not_valid_before),
            ("notAfter", details.not_valid_after),
        ):
            assert datetime.fromisoformat(said[name].replace(" ", "T", 1)) == ours

    def test_in_text(self, path: Path, details: CertificateDetails) -> None:
        text = run("openssl", "x509", "-in", path, "-noout", "-text").stdout
        fields = text.splitlines()

        def after(heading: str) -> str:
            [place] = [n for n, line in enumerate(fields) if line.strip().startswith(heading)]
            return fields[place + 1].strip()

        names = after("X509v3 Subject Alternative Name").split(", ")
        assert [name[4:] for name in names if name.startswith("DNS:")] == details.san_dns
        assert len([name for name in names if name.startswith("IP")]) == len(details.san_ip)
        assert after("X509v3 Subject Key Identifier").replace(":", "").lower() == (
            details.subject_key_identifier
        )
        authority = after("X509v3 Authority Key Identifier").removeprefix("keyid:")
        assert authority.replace(":", "").lower() == details.authority_key_identifier
        is_ca = "CA:TRUE" in after("X509v3 Basic Constraints")
        assert details.is_ca is is_ca
        assert len(after("X509v3 Key Usage").split(", ")) == len(details.key_usage)
        assert len(after("X509v3 Extended Key Usage").split(", ")) == len(
            details.extended_key_usage
        )
        assert f"({details.public_key_size} bit)" in text
        for url in (*details.crl_urls, *details.ocsp_urls, *details.issuer_urls):
            assert f"URI:{url}" in text
        assert text.count("URI:http://") == len(
            [*details.crl_urls, *details.ocsp_urls, *details.issuer_urls]
        )


class TestJava:
    """keytool is Java's KeyStore; it does not show what Java would not use."""

    @staticmethod
    def listed(path: Path, *options: str) -> str:
        done = keytool("-list", "-v", "-storetype", "PKCS12", "-keystore", path, *options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @pytest.mark.parametrize("compatible", [False, True])
    def test_trusts_the_truststore(self, a_world: World, compatible: bool) -> None:
        exported = a_world.pki.ca.export_java_truststore(PASSWORD, compatible=compatible)
        listed = self.listed(a_world.written("trust.p12", exported), "-storepass", PASSWORD)
        assert "contains 1 entry" in listed
        assert "Alias name: interop root" in listed
        assert "Entry type: trustedCertEntry" in listed
        root = a_world.pki.ca.inspect_certificate(a_world.pki.root)
        assert f"SHA256: {root.fingerprint_sha256}" in listed

    def test_trusts_one_without_a_password(self, a_world: World) -> None:
        exported = a_world.pki.ca.export_java_truststore(encrypted=False)
        path = a_world.written("clear.p12", exported)
        # As Java does when javax.net.ssl.trustStorePassword is not set.
        listed = keytool("-list", "-storetype", "PKCS12", "-keystore", path, input="\n")
        assert "interop root" in listed.stdout
        assert "trustedCertEntry" in listed.stdout

    def test_trusts_nothing_in_an_ordinary_pkcs12(self, a_world: World) -> None:
        """The control of the tests above: without the attribute there is no entry."""
        done = run(
            "openssl", "pkcs12", "-export", "-nokeys", "-in", a_world.pki.root_pem,
            "-out", a_world.folder / "plain.p12", "-passout", f"pass:{PASSWORD}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        listed = self.listed(a_world.folder / "plain.p12", "-storepass", PASSWORD)
        assert "contains 0 entries" in listed

    def test_wants_the_password(self, a_world: World) -> None:
        path = a_world.written("trust.p12", a_world.pki.ca.export_java_truststore(PASSWORD))
        done = keytool("-list", "-keystore", path, "-storepass", "another")
        assert done.returncode != 0
        assert "password was incorrect" in done.stdout

    @pytest.mark.parametrize("compatible", [False, True])
    def test_has_the_key_with_its_chain(self, a_world: World, compatible: bool) -> None:
        path = a_world.pkcs12("leaf.p12", compatible=compatible)
        listed = self.listed(path, "-storepass", PASSWORD)
        assert "Alias name: nginx.example" in listed
        assert "Entry type: PrivateKeyEntry" in listed
        assert "Certificate chain length: 2" in listed
        assert f"SHA256: {a_world.fingerprint}" in listed
        # To sign, it has to decrypt the key.
        signed = keytool(
            "-certreq", "-keystore", path, "-storepass", PASSWORD,
            "-alias", "nginx.example",
        )  # fmt: skip
        assert signed.returncode == 0, signed.stdout
        request = x509.load_pem_x509_csr(signed.stdout.encode())
        assert request.is_signature_valid
        assert request.public_key() == a_world.leaf.certificate.public_key()

    def test_reads_pkcs7(self, a_world: World) -> None:
        path = a_world.written("leaf.p7b", a_world.pki.ca.export_pkcs7(a_world.leaf.certificate))
        printed = keytool("-printcert", "-file", path)
        assert printed.returncode == 0, printed.stdout
        assert f"SHA256: {a_world.fingerprint}" in printed.stdout
