"""`ca.issue(...)` and what it gives: PEM that writes itself, contexts that are configured."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.interop.test_tls import shake_hands
from tiny_ca import (
    PEM,
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    CertType,
    ClientConfig,
    IssuedCertificate,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.domain.errors import (
    CertNotFound,
    ErrorLoadCert,
    InvalidName,
    InvalidRequest,
    NotUniqueCertOwner,
    StorageError,
    ValidationCertError,
)

ROOT = CAConfig(common_name="Root", key_algorithm="p-256")


@pytest.fixture
def ca() -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as made:
        made.create_self_signed_ca(ROOT)
        yield made


def issue(ca: CertLifecycleManager, *names: str, **fields: object) -> IssuedCertificate:
    return ca.issue(*names, **{"key_algorithm": "p-256", **fields})


def client_of(ca: CertLifecycleManager) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context


def server_of(issued: IssuedCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


class TestTheKindOfANameIsGuessed:
    def test_every_kind(self, ca: CertLifecycleManager) -> None:
        names = (
            "localhost", "*.example.org", "bücher.example", "127.0.0.1", "2001:DB8::1",
            "me@example.org", "spiffe://example.org/service", "https://[2001:db8::1]/",
        )  # fmt: skip
        details = ca.inspect_certificate(issue(ca, *names).certificate)
        assert details.common_name == "localhost"
        assert details.san_dns == ["localhost", "*.example.org", "xn--bcher-kva.example"]
        assert details.san_ip == ["127.0.0.1", "2001:db8::1"]
        assert details.san_email == ["me@example.org"]
        assert details.san_uri == ["spiffe://example.org/service", "https://[2001:db8::1]/"]

    @pytest.mark.parametrize(
        ("names", "is_server"),
        [
            (("me@example.org",), False),
            (("spiffe://example.org/a",), True),
            (("me@example.org", "a.example"), True),
        ],
    )
    def test_mailboxes_alone_serve_nobody(
        self, ca: CertLifecycleManager, names: tuple[str, ...], is_server: bool
    ) -> None:
        certificate = issue(ca, *names).certificate
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert ExtendedKeyUsageOID.CLIENT_AUTH in purposes
        assert (ExtendedKeyUsageOID.SERVER_AUTH in purposes) is is_server

    @pytest.mark.parametrize(
        "name",
        ["10.0.0.300", "10.0.0.0/8", "a b", "*.com", "*", "a@", "@a", "a@b@c", "://", "x://", ""],
    )
    def test_what_is_no_name_is_refused(self, ca: CertLifecycleManager, name: str) -> None:
        with pytest.raises(InvalidName):
            issue(ca, "a.example", name)
        assert ca.list_certificates(common_name="a.example") == []

    @pytest.mark.parametrize("name", [None, b"a.test", 5, ["a.test"]])
    def test_what_is_no_name_is_none(self, ca: CertLifecycleManager, name: Any) -> None:
        for issues in (ca.issue, ca.ensure_certificate):
            with pytest.raises(InvalidName):
                issues(name, key_algorithm="p-256")
            with pytest.raises(InvalidName):
                issues("a.test", name, key_algorithm="p-256")

    def test_some_name_is_needed(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="one name"):
            issue(ca)

    def test_the_first_short_name_is_the_common_name(self, ca: CertLifecycleManager) -> None:
        long = "a" * 60 + ".example"
        found = ca.inspect_certificate(issue(ca, long, "b.example").certificate)
        assert (found.common_name, found.san_dns) == ("b.example", ["b.example", long])
        with pytest.raises(InvalidName, match="common_name="):
            issue(ca, long)
        named = ca.inspect_certificate(issue(ca, long, common_name="Service A").certificate)
        assert (named.common_name, named.san_dns) == ("Service A", [long])


class TestItIsTheSameIssuance:
    def test_the_other_fields_are_those_of_a_request(self, ca: CertLifecycleManager) -> None:
        issued = issue(
            ca, "a.example", profile="server", days_valid=7, key_algorithm="ed25519",
            serial_type=CertType.DEVICE, organization="ACME", cert_path="web", uuid_str="a",
        )  # fmt: skip
        record = ca.list_certificates(common_name="a.example")[0]
        assert (record.profile, record.cert_type) == ("server", CertType.DEVICE)
        assert (record.cert_path, record.uuid) == ("web", "a")
        subject = issued.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert subject[0].value == "ACME"
        lasts = issued.certificate.not_valid_after_utc - issued.certificate.not_valid_before_utc
        assert lasts.days == 7
        assert ca.verify_certificate(issued.certificate)

    def test_a_misspelt_field_is_refused(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(ValueError, match="key_alogrithm"):
            ca.issue("a.example", key_alogrithm="p-256")

    def test_one_active_certificate_a_name(self, ca: CertLifecycleManager) -> None:
        first = issue(ca, "a.example")
        with pytest.raises(NotUniqueCertOwner):
            issue(ca, "a.example")
        second = issue(ca, "a.example", is_overwrite=True)
        with pytest.raises(ValidationCertError):
            ca.verify_certificate(first.certificate)
        assert ca.verify_certificate(second.certificate)

    def test_a_retry_gives_the_first(self, ca: CertLifecycleManager) -> None:
        first, again = (issue(ca, "a.example", idempotency_key="once") for _ in range(2))
        assert again.private_key_pem == first.private_key_pem
        assert again == IssuedCertificate(first.certificate, again.private_key, first.chain)

    def test_files_are_where_they_always_were(self, manager: CertLifecycleManager) -> None:
        issued = issue(manager, "a.example", uuid_str="a")
        assert {path.name for path in issued.paths.values()} == {
            "a.example.pem", "a.example.key", "a.example.csr",
        }  # fmt: skip
        assert issued.paths[".pem"].read_bytes() == issued.cert_pem.bytes()

    @pytest.mark.anyio
    async def test_async(self, ca: CertLifecycleManager) -> None:
        awaited = AsyncCertLifecycleManager.wrapping(ca)
        issued = await awaited.issue("localhost", key_algorithm="p-256")
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        await awaited.configure_trust(client)
        shake_hands(server_of(issued), client, "localhost")
        assert (await awaited.trust_pem()).bytes() == ca.trust_pem().bytes()


class TestGettingAnIssuedOne:
    def test_after_a_renewal_and_a_rotation(self, ca: CertLifecycleManager) -> None:
        first = issue(ca, "a.example")
        renewed = ca.get_issued(ca.renew_certificate(first.serial_number).serial_number)
        assert renewed.private_key_pem == first.private_key_pem
        config = ClientConfig(common_name="a.example", key_algorithm="p-256")
        rotated, key, _ = ca.rotate_certificate(renewed.serial_number, config)
        found = ca.get_issued(rotated.serial_number)
        assert found.private_key_pem == PEM.of_private_key(key)
        assert found.chain[0] == found.certificate == rotated

    def test_what_is_not_there(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(CertNotFound):
            ca.get_issued(1)
        csr = issue(ca, "a.example", uuid_str="a", is_overwrite=True)
        request = ca._services.storage.load(ca.list_certificates()[0].location).csr
        signed = ca.sign_csr(request, common_name="b.example")
        assert signed.public_key() == csr.certificate.public_key()
        with pytest.raises(StorageError, match="does not hold the private key"):
            ca.get_issued(signed.serial_number)


class TestPEM:
    def test_each_part(self, ca: CertLifecycleManager) -> None:
        ca.issue_intermediate_ca("Middle", key_algorithm="p-256")
        issued = issue(ca.under("Middle"), "a.example")
        assert len(issued.chain) == 3
        load = x509.load_pem_x509_certificates
        assert load(issued.cert_pem.bytes()) == [issued.certificate]
        assert load(issued.fullchain_pem.bytes()) == list(issued.chain[:2])
        key = load_pem_private_key(bytes(issued.private_key_pem), None)
        assert key.public_key() == issued.certificate.public_key()
        assert issued.private_key_pem.bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
        assert load(ca.trust_pem().bytes()) == [issued.chain[2]]

    def test_nothing_prints_a_key(self, ca: CertLifecycleManager) -> None:
        issued = issue(ca, "a.example")
        secret = issued.private_key_pem.bytes().decode().splitlines()[1]
        assert secret not in f"{issued!r} {issued} {issued.private_key_pem!r}"
        assert "private_key" not in repr(issued)

    def test_files_are_replaced_whole_and_keys_are_private(
        self, ca: CertLifecycleManager, tmp_path: Path
    ) -> None:
        issued = issue(ca, "a.example")
        key, cert, link = tmp_path / "a.key", tmp_path / "a.pem", tmp_path / "link"
        key.write_text("former")
        key.chmod(0o644)
        link.symlink_to(tmp_path / "elsewhere")
        with key.open() as reader:
            assert issued.private_key_pem.write_to_path(key) == key
            assert reader.read() == "former"
        issued.cert_pem.write_to_path(str(cert))
        issued.private_key_pem.write_to_path(link)
        assert [oct(path.stat().st_mode & 0o777) for path in (key, cert)] == ["0o600", "0o644"]
        assert key.read_bytes() == issued.private_key_pem.bytes()
        assert not link.is_symlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.key", "a.pem", "link"]

    def test_what_can_not_be_written_leaves_nothing(
        self, ca: CertLifecycleManager, tmp_path: Path
    ) -> None:
        pem = ca.trust_pem()
        with pytest.raises(StorageError, match="No such file"):
            pem.write_to_path(tmp_path / "missing" / "a.pem")
        (tmp_path / "folder").mkdir()
        with pytest.raises(StorageError):
            pem.write_to_path(tmp_path / "folder")
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    def test_a_temporary_file(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        pem = issue(ca, "a.example").private_key_pem
        with pytest.raises(RuntimeError), pem.tempfile(tmp_path) as path:
            assert path.parent == tmp_path
            assert path.read_bytes() == pem.bytes()
            assert path.stat().st_mode & 0o777 == 0o600
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []


class TestTrust:
    def test_both_roots_of_a_rollover(self, ca: CertLifecycleManager) -> None:
        before = issue(ca, "before.example")
        assert len(ca.trusted_roots()) == 1
        ca.rollover_ca(ROOT)
        after = issue(ca, "after.example")
        assert len(ca.trusted_roots()) == 2
        for issued, name in ((before, "before.example"), (after, "after.example")):
            shake_hands(server_of(issued), client_of(ca), name)

    def test_no_other_root(self, ca: CertLifecycleManager) -> None:
        first = issue(ca, "a.example")
        ca.create_self_signed_ca(CAConfig(common_name="Other", key_algorithm="p-256"))
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server_of(first), client_of(ca), "a.example")

    def test_an_intermediate_trusts_the_root_above_it(self, ca: CertLifecycleManager) -> None:
        ca.issue_intermediate_ca("Middle", key_algorithm="p-256")
        middle = ca.under("Middle")
        assert middle.trusted_roots() == ca.trusted_roots()
        shake_hands(server_of(issue(middle, "a.example")), client_of(middle), "a.example")

    def test_a_root_that_is_not_on_record(self, ca: CertLifecycleManager) -> None:
        middle, key = ca.issue_intermediate_ca("Middle", key_algorithm="p-256")
        issuer = ca._services.crypto.issuer(middle, key)
        apart = CertLifecycleManager(MemoryStorage(), issuer, MemoryRegistry())
        with pytest.raises(ValidationCertError, match="import"):
            apart.trusted_roots()

    def test_without_a_registry(self, ca: CertLifecycleManager) -> None:
        apart = CertLifecycleManager(MemoryStorage(), ca.factory)
        assert apart.trusted_roots() == ca.trusted_roots()
        shake_hands(server_of(issue(apart, "a.example")), client_of(apart), "a.example")


WRITES = """
import os, ssl, sys
from tiny_ca import *
ca = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
issued, context = ca.issue("a.example", key_algorithm="p-256"), ssl.SSLContext(ssl.PROTOCOL_TLS)
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            print("wrote", arguments)
sys.addaudithook(hook)
issued.configure_cert(context)
print("configured")
"""


class TestKeysInContexts:
    @pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has memory files")
    def test_nothing_is_written_to_a_disk(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", WRITES.replace("ssl.PROTOCOL_TLS)", "ssl.PROTOCOL_TLS_SERVER)")],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("configured\n", "")

    def test_elsewhere_it_is_encrypted(
        self, ca: CertLifecycleManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Peeking(ssl.SSLContext):
            def load_cert_chain(self, certfile, keyfile=None, password=None):
                self.path, self.seen = Path(certfile), Path(certfile).read_bytes()
                super().load_cert_chain(certfile, keyfile, password)

        monkeypatch.delattr(os, "memfd_create", raising=False)
        context = Peeking(ssl.PROTOCOL_TLS_SERVER)
        issue(ca, "a.example").configure_cert(context)
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in context.seen
        assert b"BEGIN PRIVATE KEY" not in context.seen
        assert not context.path.exists()
        shake_hands(context, client_of(ca), "a.example")

    @pytest.mark.parametrize("key_algorithm", ["rsa", "p-384", "ed25519", "ed448"])
    def test_every_kind_of_key(self, ca: CertLifecycleManager, key_algorithm: str) -> None:
        issued = issue(ca, "a.example", key_algorithm=key_algorithm)
        shake_hands(server_of(issued), client_of(ca), "a.example")

    def test_one_that_openssl_does_not_know(self, ca: CertLifecycleManager) -> None:
        issued = issue(ca, "a.example", key_algorithm="ml-dsa-44")
        if ssl.OPENSSL_VERSION_INFO >= (3, 5):
            server_of(issued)
        else:
            with pytest.raises(ErrorLoadCert, match="OpenSSL does not take it"):
                server_of(issued)

    def test_both_sides_by_one_certificate(self, ca: CertLifecycleManager) -> None:
        issued = issue(ca, "a.example")
        server, client = server_of(issued), client_of(ca)
        server.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(server)
        issued.configure_cert(client)
        shake_hands(server, client, "a.example")
