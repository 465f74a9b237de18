"""What the synchronous face promises, use-case by use-case."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.regression.world import ROOT_CONFIG, World, leaf, serials
from tiny_ca import (
    AsyncDBHandler,
    AsyncLocalStorage,
    CAConfig,
    CertificateFactory,
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    KeyAlgorithm,
    LocalStorage,
    NoStorage,
    PublicationURLs,
)
from tiny_ca.adapters.outbound.crypto import CAMaterial
from tiny_ca.adapters.outbound.system import SystemEntropy
from tiny_ca.application.recover import Recovery
from tiny_ca.domain.errors import (
    DBNotInitedError,
    FileAlreadyExists,
    SerialNumberCollision,
    StorageError,
)


class TestWithoutARegistry:
    @pytest.fixture
    def manager(self, world: World) -> CertLifecycleManager:
        manager = CertLifecycleManager(LocalStorage(world.base))
        manager.create_self_signed_ca(ROOT_CONFIG)
        return manager

    def test_issuing_works(self, manager: CertLifecycleManager, world: World) -> None:
        for _ in range(2):
            certificate, key, csr = manager.issue_certificate(leaf())
            manager.factory.verify(certificate)
            assert key.public_key() == certificate.public_key() == csr.public_key()
        assert len(list(world.base.glob("*/a.internal.key"))) == 2
        assert manager.recover() == Recovery(0, 0, 0)

    def test_what_needs_one_says_so(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(leaf())
        number = certificate.serial_number
        for operation in (
            lambda: manager.revoke_certificate(number),
            lambda: manager.release_certificate(number),
            lambda: manager.get_certificate_status(number),
            lambda: manager.verify_certificate(certificate),
            lambda: manager.rotate_certificate(number, leaf()),
            manager.generate_crl,
            manager.open_ca,
        ):
            with pytest.raises(DBNotInitedError, match="db_handler"):
                operation()


class TestWithoutACA:
    def test_what_needs_one_says_so(self, world: World) -> None:
        with world.ca() as manager:
            certificate, _, _ = manager.issue_certificate(leaf())
        with world.manager() as manager:
            assert manager.factory is None
            before = world.tree()
            for operation in (
                lambda: manager.issue_certificate(leaf("b.internal")),
                lambda: manager.rotate_certificate(certificate.serial_number, leaf()),
                lambda: manager.verify_certificate(certificate),
                manager.generate_crl,
            ):
                with pytest.raises(ValueError, match="factory"):
                    operation()
            assert world.tree() == before
            # These ask the registry alone.
            status = manager.get_certificate_status(certificate.serial_number)
            assert status is CertificateStatus.VALID
            assert manager.revoke_certificate(certificate.serial_number)

    def test_a_factory_that_was_loaded(self, world: World) -> None:
        root, key = CertificateFactory.build_self_signed_ca(key_algorithm=KeyAlgorithm.P256)
        factory = CertificateFactory(CAMaterial(root, key))
        with world.manager(factory=factory) as manager:
            certificate, _, _ = manager.issue_certificate(leaf())
            assert manager.verify_certificate(certificate)
            assert manager.factory is factory


class TestWrongTypes:
    @pytest.mark.parametrize("value", ["pki", 5, object()])
    def test_of_adapters(self, value: Any) -> None:
        for argument in ("storage", "db_handler"):
            with pytest.raises(TypeError, match=argument):
                CertLifecycleManager(**{"storage": NoStorage(), argument: value})

    def test_of_the_factory(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(TypeError, match="factory"):
            ca.factory = ca.factory.certificate
        with pytest.raises(TypeError, match="factory"):
            CertLifecycleManager(NoStorage(), factory="ca.pem")
        with pytest.raises(TypeError, match="ca_loader"):
            CertificateFactory("ca.pem")


class TestAdapters:
    def test_no_storage(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with world.manager(storage=NoStorage()) as manager:
            manager.create_self_signed_ca(ROOT_CONFIG)
            first, key, _ = manager.issue_certificate(leaf(), "services", "mine")
            second, _, _ = manager.rotate_certificate(first.serial_number, leaf())
            assert key.public_key() == first.public_key()
            assert manager.verify_certificate(second)
            assert serials(manager.generate_crl()) == {first.serial_number}
            with pytest.raises(StorageError, match="NoStorage"):
                manager.open_ca()
        assert world.tree() == set()

    def test_the_default_storage_is_certs(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(world.folder)
        with CertLifecycleManager() as manager:
            paths = manager.create_self_signed_ca(ROOT_CONFIG)
        assert [path.name for path in paths] == ["ca.pem", "ca.key"]
        assert all(path.is_file() for path in (world.folder / path for path in paths))
        assert paths[0].parts[0] == "certs"

    def test_async_ones_in_the_sync_face(self, world: World) -> None:
        handler = AsyncDBHandler(f"sqlite+aiosqlite:///{world.database}")
        storage = AsyncLocalStorage(world.base)
        with world.ca(storage=storage, db_handler=handler) as manager:
            first, _, _ = manager.issue_certificate(leaf())
            manager.close()
            second, _, _ = manager.rotate_certificate(first.serial_number, leaf())
            assert manager.verify_certificate(second)
            assert serials(manager.generate_crl()) == {first.serial_number}


class TestIssue:
    def test_three_files_that_belong_together(self, ca: CertLifecycleManager, world: World) -> None:
        issued = ca.issue_certificate(leaf("Nginx One"), "services/web", "mine")
        folder = world.base / "services/web/mine"
        pem, key, csr = (folder / f"nginx one.{kind}" for kind in ("pem", "key", "csr"))
        assert x509.load_pem_x509_certificate(pem.read_bytes()) == issued[0]
        assert load_pem_private_key(key.read_bytes(), None).public_key() == issued[0].public_key()
        assert x509.load_pem_x509_csr(csr.read_bytes()) == issued[2]
        assert issued[2].is_signature_valid
        assert len(list(folder.iterdir())) == 3

    def test_what_it_says(self, world: World) -> None:
        urls = PublicationURLs(("http://c/crl.pem",), ("http://o",), ("http://i/ca.pem",))
        with world.ca(urls=urls) as manager:
            certificate, _, _ = manager.issue_certificate(
                leaf(
                    serial_type=CertType.USER,
                    email="me@a.internal",
                    is_server_cert=True,
                    is_client_cert=True,
                )
            )
        extensions = certificate.extensions
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert extensions.get_extension_for_class(x509.CRLDistributionPoints)
        assert len(extensions.get_extension_for_class(x509.AuthorityInformationAccess).value) == 2
        (organization,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert organization.value == "ACME"
        assert certificate.serial_number >> 144 == int.from_bytes(b"US")

    @pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
    def test_keys_of_every_algorithm(self, world: World, algorithm: KeyAlgorithm) -> None:
        root = CAConfig(common_name="Root", key_algorithm=algorithm)
        with world.manager() as manager:
            manager.create_self_signed_ca(root)
            # Read back, since a key that can't be loaded again is lost.
            manager.open_ca()
            certificate, key, csr = manager.issue_certificate(leaf(key_algorithm=algorithm))
            assert key.public_key() == certificate.public_key() == csr.public_key()
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
            assert usage.key_encipherment is (algorithm is KeyAlgorithm.RSA)
            assert manager.verify_certificate(certificate)
            manager.revoke_certificate(certificate.serial_number)
            crl = manager.generate_crl()
            assert serials(crl) == {certificate.serial_number}
            assert crl.is_signature_valid(manager.factory.certificate.public_key())


class TestOverwrite:
    def test_deletes_the_files_of_the_old_one(self, ca: CertLifecycleManager, world: World) -> None:
        old, _, _ = ca.issue_certificate(leaf(), "services", "old")
        ca.issue_certificate(leaf(), "services", "new", is_overwrite=True)
        assert not (world.base / "services/old").exists()
        assert len(list((world.base / "services/new").iterdir())) == 3
        assert ca.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED

    def test_in_the_same_folder_replaces_it(self, ca: CertLifecycleManager, world: World) -> None:
        ca.issue_certificate(leaf(name="before"), uuid_str="mine")
        new, key, _ = ca.issue_certificate(leaf(name="after"), uuid_str="mine", is_overwrite=True)
        folder = world.base / "mine"
        assert {path.name for path in folder.iterdir()} == {
            "after.pem",
            "after.key",
            "after.csr",
        }
        stored = load_pem_private_key((folder / "after.key").read_bytes(), None)
        assert stored.public_key() == key.public_key() == new.public_key()
        assert world.staged() == []

    def test_of_the_same_uuid_in_another_folder(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        ca.issue_certificate(leaf(), "one", "mine")
        ca.issue_certificate(leaf(), "two", "mine", is_overwrite=True)
        assert not (world.base / "one/mine").exists()
        assert len(list((world.base / "two/mine").iterdir())) == 3

    def test_of_nothing_just_issues(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf(), is_overwrite=True)
        assert ca.verify_certificate(certificate)

    def test_of_a_folder_that_no_row_knows(self, ca: CertLifecycleManager, world: World) -> None:
        (world.base / "mine").mkdir()
        (world.base / "mine/other").touch()
        with pytest.raises(FileAlreadyExists):
            ca.issue_certificate(leaf(), uuid_str="mine")
        ca.issue_certificate(leaf(), uuid_str="mine", is_overwrite=True)
        assert len(list((world.base / "mine").iterdir())) == 3


class RepeatingEntropy:
    """The same 64 bits, a number of times; what else is asked for is random."""

    def __init__(self, times: int) -> None:
        self.times = times

    def random_bits(self, count: int) -> int:
        if count == 64 and self.times > 0:
            self.times -= 1
            return 7
        return SystemEntropy().random_bits(count)


class TestSerialNumbers:
    @pytest.fixture
    def entropy(self) -> RepeatingEntropy:
        return RepeatingEntropy(0)

    @pytest.fixture
    def ca(self, world: World, entropy: RepeatingEntropy) -> Iterator[CertLifecycleManager]:
        with world.ca(entropy=entropy) as manager:
            entropy.times = 1
            first, _, _ = manager.issue_certificate(leaf())
            assert first.serial_number & (1 << 64) - 1 == 7
            manager.revoke_certificate(first.serial_number)
            yield manager

    def test_that_collide_are_drawn_again(
        self, ca: CertLifecycleManager, entropy: RepeatingEntropy
    ) -> None:
        entropy.times = 5
        certificate, _, _ = ca.issue_certificate(leaf())
        assert certificate.serial_number & (1 << 64) - 1 != 7
        assert ca.verify_certificate(certificate)

    def test_that_always_collide_are_given_up(
        self, ca: CertLifecycleManager, entropy: RepeatingEntropy, world: World
    ) -> None:
        entropy.times = 1000
        before, rows = world.tree(), world.rows()
        with pytest.raises(SerialNumberCollision):
            ca.issue_certificate(leaf())
        assert world.tree() == before
        assert world.rows() == rows
        assert entropy.times > 900


def test_logs_hold_no_key(ca: CertLifecycleManager, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="tiny_ca"):
        certificate, key, _ = ca.issue_certificate(leaf())
        ca.rotate_certificate(certificate.serial_number, leaf())
        ca.revoke_certificate(certificate.serial_number)
        ca.generate_crl()
    text = json.dumps([str(record.__dict__) for record in caplog.records])
    assert "a.internal" in text
    assert "PRIVATE" not in text
    assert str(key.private_numbers().private_value) not in text
