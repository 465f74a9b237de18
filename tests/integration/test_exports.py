"""What is handed out, and what is refused before anything is written."""

import logging
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs7,
    pkcs12,
)

from tests.certificates import NOT_AFTER, NOT_BEFORE, bare_certificate, rich_certificate
from tests.regression.world import ROOT_CONFIG, World, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    CertType,
    LocalStorage,
    MemoryRegistry,
    MemoryStorage,
    NoStorage,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBundles
from tiny_ca.application import export
from tiny_ca.domain.errors import (
    CertNotFound,
    DBNotInitedError,
    InvalidRequest,
    StorageError,
    ValidationCertError,
)
from tiny_ca.ports.bundles import Bundles, Protection
from tiny_ca.testing.samples import SampleCA, sample_key

PASSWORD = b"correct horse"
# RFC 8018 Appendix A: what an encrypted bundle names.
PBES2 = bytes.fromhex("06092a864886f70d01050d")
AES_256 = bytes.fromhex("060960864801650304012a")
TRIPLE_DES = bytes.fromhex("060a2a864886f70d010c0103")


@pytest.fixture
def ca(manager: CertLifecycleManager) -> CertLifecycleManager:
    return manager


@pytest.fixture
def in_memory() -> CertLifecycleManager:
    manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    manager.create_self_signed_ca(ROOT_CONFIG)
    return manager


class HardwareKey:
    """A key that gives nothing but its public half."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def public_key(self) -> Any:
        return self._key.public_key()

    def private_bytes(self, *arguments: Any) -> bytes:
        raise NotImplementedError


def _certificate(subject: str, issuer: str) -> x509.Certificate:
    subject_name, issuer_name = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        for name in (subject, issuer)
    )
    return x509.CertificateBuilder(
        issuer_name, subject_name, sample_key().public_key(), 1, NOT_BEFORE, NOT_AFTER
    ).sign(sample_key(), SHA256())


def key_in(bundle: bytes, password: bytes | None = PASSWORD) -> Any:
    """Give the public half of the private key in it."""
    key = pkcs12.load_pkcs12(bundle, password).key
    assert key is not None
    return key.public_key()


def root_of(ca: CertLifecycleManager) -> x509.Certificate:
    assert ca.factory is not None
    return ca.factory.certificate


def test_the_adapter_has_the_port() -> None:
    assert isinstance(CryptographyBundles(), Bundles)


class TestPKCS12:
    @pytest.mark.parametrize("algorithm", ["rsa", "p-256", "p-521", "ed25519", "ed448"])
    @pytest.mark.parametrize("compatible", [False, True])
    def test_key_certificate_and_chain_come_back(
        self, ca: CertLifecycleManager, algorithm: str, compatible: bool
    ) -> None:
        certificate, key, _ = ca.issue_certificate(leaf("Läaf", key_algorithm=algorithm))
        bundle = ca.export_pkcs12(certificate, key, PASSWORD, compatible=compatible)
        read = pkcs12.load_pkcs12(bundle, PASSWORD)
        assert read.key is not None
        assert read.key.public_key() == certificate.public_key()
        assert read.cert == pkcs12.PKCS12Certificate(certificate, "Läaf".encode())
        assert [one.certificate for one in read.additional_certs] == [root_of(ca)]
        assert (PBES2 in bundle, AES_256 in bundle) == (not compatible, not compatible)
        assert (TRIPLE_DES in bundle) == compatible
        for wrong in (b"wrong", None):
            with pytest.raises(ValueError):
                pkcs12.load_pkcs12(bundle, wrong)

    def test_it_has_the_name_that_is_given(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf())
        bundle = ca.export_pkcs12(certificate, key, "pässword", "My key")
        read = pkcs12.load_pkcs12(bundle, "pässword".encode())
        assert read.cert is not None
        assert read.cert.friendly_name == b"My key"

    def test_a_name_that_can_not_be_written(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf())
        with pytest.raises(InvalidRequest, match="can't be written"):
            ca.export_pkcs12(certificate, key, PASSWORD, "\ud800")

    def test_the_arguments_of_0_2_by_name(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf())
        assert ca.export_pkcs12(cert=certificate, private_key=key, password=PASSWORD, name="a")

    def test_the_stored_key_is_taken(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf(), cert_path="services")
        bundle = ca.export_pkcs12(certificate, password=PASSWORD)
        assert key_in(bundle) == key.public_key() == certificate.public_key()

    def test_the_ca_itself(self, ca: CertLifecycleManager) -> None:
        read = pkcs12.load_pkcs12(ca.export_pkcs12(root_of(ca), password=PASSWORD), PASSWORD)
        assert read.cert is not None
        assert (read.cert.certificate, read.additional_certs) == (root_of(ca), [])

    def test_a_leaf_under_an_ml_dsa_root(self) -> None:
        ca = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        ca.create_self_signed_ca(CAConfig(common_name="PQ Root", key_algorithm="ml-dsa-44"))
        certificate, key, _ = ca.issue_certificate(leaf())
        read = pkcs12.load_pkcs12(ca.export_pkcs12(certificate, key, PASSWORD), PASSWORD)
        assert [one.certificate for one in read.additional_certs] == [root_of(ca)]

    def test_of_another_ca_with_its_chain(self, ca: CertLifecycleManager) -> None:
        other = SampleCA("Another CA")
        root = other.issuer.certificate
        bundle = ca.export_pkcs12(root, other.key, PASSWORD, chain=[root])
        read = pkcs12.load_pkcs12(bundle, PASSWORD)
        assert read.cert is not None
        assert read.cert.certificate == root

    @pytest.mark.anyio
    async def test_awaited(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf())
        awaited = AsyncCertLifecycleManager.wrapping(ca)
        bundle = await awaited.export_pkcs12(certificate, password=PASSWORD)
        assert key_in(bundle) == key.public_key()


class TestPasswords:
    """The private key is in the clear only if somebody said so."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "Pass password="),
            ({"password": None}, "Pass password="),
            ({"password": b""}, "not empty"),
            ({"password": ""}, "not empty"),
            ({"password": b"\xff"}, "UTF-8"),
            ({"password": "\ud800"}, "UTF-8"),
            ({"password": PASSWORD, "encrypted": False}, "pass one of them"),
            ({"password": b"", "encrypted": False}, "pass one of them"),
        ],
    )
    def test_what_is_refused(
        self, in_memory: CertLifecycleManager, arguments: dict[str, Any], message: str
    ) -> None:
        certificate, key, _ = in_memory.issue_certificate(leaf())
        with pytest.raises(InvalidRequest, match=message):
            in_memory.export_pkcs12(certificate, key, **arguments)
        with pytest.raises(InvalidRequest, match=message):
            in_memory.export_java_truststore(**arguments)

    def test_in_the_clear(self, in_memory: CertLifecycleManager) -> None:
        certificate, key, _ = in_memory.issue_certificate(leaf())
        bundle = in_memory.export_pkcs12(certificate, key, encrypted=False)
        assert key_in(bundle, None) == key.public_key()
        assert PBES2 not in bundle

    def test_nothing_tells_the_password(
        self, ca: CertLifecycleManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert "correct" not in repr(Protection(PASSWORD))
        certificate, key, _ = ca.issue_certificate(leaf())
        with caplog.at_level(logging.DEBUG):
            ca.export_pkcs12(certificate, key, PASSWORD)
            ca.export_pkcs12(certificate, key, encrypted=False)
            with pytest.raises(InvalidRequest) as refused:
                ca.export_pkcs12(certificate, sample_key(), PASSWORD)
        assert "correct" not in caplog.text + repr(refused.value)
        assert [one.getMessage() for one in caplog.records if one.name == "tiny_ca"] == [
            "Exported PKCS #12",
            "Exported PKCS #12 in the clear",
        ]


class TestKeys:
    """A bundle holds the key of its certificate, or there is none."""

    @pytest.mark.parametrize("algorithm", ["p-256", "ed25519", "ml-dsa-44"])
    def test_another_one_is_refused(self, in_memory: CertLifecycleManager, algorithm: str) -> None:
        certificate, _, _ = in_memory.issue_certificate(leaf("a"))
        _, key, _ = in_memory.issue_certificate(leaf("b", key_algorithm=algorithm))
        with pytest.raises(InvalidRequest, match="does not belong"):
            in_memory.export_pkcs12(certificate, key, PASSWORD)

    @pytest.mark.parametrize("algorithm", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
    @pytest.mark.parametrize("is_given", [False, True])
    def test_ml_dsa_can_not_be_held(
        self, in_memory: CertLifecycleManager, algorithm: str, is_given: bool
    ) -> None:
        certificate, key, _ = in_memory.issue_certificate(leaf(key_algorithm=algorithm))
        with pytest.raises(InvalidRequest, match=r"can't hold a MLDSA\d\dPrivateKey"):
            in_memory.export_pkcs12(certificate, key if is_given else None, PASSWORD)

    def test_one_that_does_not_leave_its_hardware(self, in_memory: CertLifecycleManager) -> None:
        certificate, key, _ = in_memory.issue_certificate(leaf())
        with pytest.raises(InvalidRequest, match="can't hold"):
            in_memory.export_pkcs12(certificate, HardwareKey(key), PASSWORD)

    def test_of_a_kind_that_nobody_knows(self, in_memory: CertLifecycleManager) -> None:
        der = rich_certificate().public_bytes(Encoding.DER)
        unknown = x509.load_der_x509_certificate(
            der.replace(b"\xce\x3d\x02\x01", b"\xce\x3d\x02\x63")
        )
        with pytest.raises(InvalidRequest, match="public key can't be read"):
            in_memory.export_pkcs12(unknown, sample_key(), PASSWORD, chain=[unknown])

    def test_without_a_registry(self) -> None:
        ca = CertLifecycleManager(MemoryStorage())
        ca.create_self_signed_ca(ROOT_CONFIG)
        certificate, key, _ = ca.issue_certificate(leaf())
        with pytest.raises(DBNotInitedError):
            ca.export_pkcs12(certificate, password=PASSWORD)
        assert ca.export_pkcs12(certificate, key, PASSWORD)

    def test_not_in_the_registry(self, in_memory: CertLifecycleManager) -> None:
        root = SampleCA().issuer.certificate
        with pytest.raises(CertNotFound, match="private_key="):
            in_memory.export_pkcs12(root, password=PASSWORD, chain=[root])

    def test_another_certificate_of_its_serial_number(
        self, in_memory: CertLifecycleManager
    ) -> None:
        ours, _, _ = in_memory.issue_certificate(leaf())
        other = x509.CertificateBuilder(
            ours.issuer,
            ours.subject,
            sample_key().public_key(),
            ours.serial_number,
            ours.not_valid_before_utc,
            ours.not_valid_after_utc,
        ).sign(sample_key(), SHA256())
        with pytest.raises(CertNotFound):
            in_memory.export_pkcs12(other, password=PASSWORD, chain=[other])

    def test_its_place_is_not_known(self) -> None:
        registry, certificate = MemoryRegistry(), rich_certificate()
        registry.register(certificate, None, CertType.SERVICE, NOT_BEFORE)
        ca = CertLifecycleManager(MemoryStorage(), db_handler=registry)
        with pytest.raises(StorageError, match="not known"):
            ca.export_pkcs12(certificate, password=PASSWORD, chain=[certificate])

    def test_not_in_the_storage(self) -> None:
        ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
        ca.create_self_signed_ca(ROOT_CONFIG)
        certificate, _, _ = ca.issue_certificate(leaf())
        with pytest.raises(StorageError):
            ca.export_pkcs12(certificate, password=PASSWORD)

    def test_its_file_is_gone(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        certificate, _, _ = ca.issue_certificate(leaf("a"))
        [path] = tmp_path.glob("pki/*/a.key")
        path.unlink()
        with pytest.raises(StorageError, match="does not hold the private key"):
            ca.export_pkcs12(certificate, password=PASSWORD)
        shutil.rmtree(path.parent)
        with pytest.raises(StorageError):
            ca.export_pkcs12(certificate, password=PASSWORD)

    def test_later_files_took_its_place(self, ca: CertLifecycleManager) -> None:
        first, _, _ = ca.issue_certificate(leaf(), uuid_str="one")
        ca.issue_certificate(leaf(), uuid_str="one", is_overwrite=True)
        with pytest.raises(StorageError, match="took the certificate's place"):
            ca.export_pkcs12(first, password=PASSWORD)

    def test_the_storage_is_opened_by_its_passphrase(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        sealed = LocalStorage(world.base, base_encryption_algorithm=BestAvailableEncryption(b"s"))
        with world.ca(storage=sealed) as ca:
            certificate, key, _ = ca.issue_certificate(leaf())
            bundle = ca.export_pkcs12(certificate, password=PASSWORD)
            assert key_in(bundle) == key.public_key()
        with world.manager() as other:
            with pytest.raises(StorageError):
                other.export_pkcs12(certificate, password=PASSWORD, chain=[certificate])


class TestChains:
    @pytest.fixture
    def leaf_certificate(self, ca: CertLifecycleManager) -> x509.Certificate:
        return ca.issue_certificate(leaf())[0]

    @pytest.fixture
    def three(self) -> list[x509.Certificate]:
        """Link a leaf, an intermediate and a root by their names."""
        names = ["leaf", "intermediate", "root", "root"]
        return [_certificate(subject, issuer) for subject, issuer in pairwise(names)]

    def test_fullchain(self, ca: CertLifecycleManager, leaf_certificate: x509.Certificate) -> None:
        chain = ca.export_fullchain(leaf_certificate, with_root=True)
        assert x509.load_pem_x509_certificates(chain) == [leaf_certificate, root_of(ca)]
        sent = ca.export_fullchain(leaf_certificate)
        assert x509.load_pem_x509_certificates(sent) == [leaf_certificate]

    def test_fullchain_of_the_root_is_the_root(self, ca: CertLifecycleManager) -> None:
        read = x509.load_pem_x509_certificates(ca.export_fullchain(root_of(ca)))
        assert read == [root_of(ca)]

    def test_an_intermediate_stays(self, three: list[x509.Certificate]) -> None:
        bundles = CryptographyBundles()
        sent = export.export_fullchain(bundles, three, with_root=False)
        assert x509.load_pem_x509_certificates(sent) == three[:2]
        # A chain that is cut off has no root to leave out.
        sent = export.export_fullchain(bundles, three[:2], with_root=False)
        assert x509.load_pem_x509_certificates(sent) == three[:2]

    @pytest.mark.parametrize("as_der", [False, True])
    def test_pkcs7(
        self, ca: CertLifecycleManager, leaf_certificate: x509.Certificate, as_der: bool
    ) -> None:
        read = pkcs7.load_der_pkcs7_certificates if as_der else pkcs7.load_pem_pkcs7_certificates
        exported = ca.export_pkcs7(leaf_certificate, as_der=as_der)
        assert set(read(exported)) == {leaf_certificate, root_of(ca)}

    def test_one_that_is_out_of_order(self, three: list[x509.Certificate]) -> None:
        bundles, protection = CryptographyBundles(), Protection(PASSWORD)
        for chain in (three[::-1], [three[0], three[2]], []):
            with pytest.raises(InvalidRequest, match="chain"):
                export.export_pkcs7(bundles, chain, as_der=True)
            with pytest.raises(InvalidRequest, match="chain"):
                export.export_fullchain(bundles, chain, with_root=True)
            with pytest.raises(InvalidRequest, match="chain"):
                export.export_pkcs12(bundles, chain, sample_key(), None, protection)

    def test_a_name_that_can_not_be_read(self, three: list[x509.Certificate]) -> None:
        der = three[0].public_bytes(Encoding.DER)
        der = der.replace(b"\x0c\x04leaf", b"\x0c\x04\xff\xffaf")
        broken = x509.load_der_x509_certificate(der)
        for chain in ([broken, *three[1:]], [broken]):
            with pytest.raises(InvalidRequest, match="can't be read"):
                export.export_pkcs7(CryptographyBundles(), chain, as_der=True)
        with pytest.raises(InvalidRequest, match="can't be read"):
            export.export_java_truststore(CryptographyBundles(), [broken], None)

    @pytest.mark.parametrize("operation", ["export_fullchain", "export_pkcs7", "export_pkcs12"])
    def test_of_another_ca(self, ca: CertLifecycleManager, operation: str) -> None:
        arguments = {"password": PASSWORD} if operation == "export_pkcs12" else {}
        with pytest.raises(ValidationCertError):
            getattr(ca, operation)(rich_certificate(), **arguments)

    @pytest.mark.parametrize("operation", ["export_fullchain", "export_pkcs7", "export_pkcs12"])
    def test_without_a_ca_on_record(self, operation: str) -> None:
        arguments = {"password": PASSWORD} if operation == "export_pkcs12" else {}
        with pytest.raises(ValidationCertError, match="No CA on record"):
            getattr(CertLifecycleManager(MemoryStorage()), operation)(
                rich_certificate(), **arguments
            )


class TestJavaTruststore:
    def test_it_holds_this_ca(self, ca: CertLifecycleManager) -> None:
        read = pkcs12.load_pkcs12(ca.export_java_truststore(PASSWORD), PASSWORD)
        assert (read.key, read.cert) == (None, None)
        trusted = [pkcs12.PKCS12Certificate(root_of(ca), b"test root")]
        assert read.additional_certs == trusted

    def test_names_are_told_apart(self, ca: CertLifecycleManager) -> None:
        certificates = [_certificate(name, "a") for name in ("Root", "root", "ROOT", "other")]
        certificates += [rich_certificate(), bare_certificate()]
        store = ca.export_java_truststore(PASSWORD, certificates=certificates)
        read = pkcs12.load_pkcs12(store, PASSWORD).additional_certs
        names = [one.friendly_name for one in read]
        assert names == [b"root", b"root-2", b"root-3", b"other", "läaf".encode(), b"1"]

    def test_of_nothing(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="one certificate or more"):
            ca.export_java_truststore(PASSWORD, certificates=[])

    def test_without_a_factory(self) -> None:
        ca = CertLifecycleManager(MemoryStorage())
        with pytest.raises(ValueError, match="no CA"):
            ca.export_java_truststore(PASSWORD)
        assert ca.export_java_truststore(PASSWORD, certificates=[rich_certificate()])
