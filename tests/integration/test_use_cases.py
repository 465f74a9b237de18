"""What the synchronous face promises, use-case by use-case."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.regression.world import ROOT_CONFIG, Hook, World, fail, hooked, leaf, serials
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
    ManualClock,
    NoStorage,
    PublicationURLs,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.crypto import CAMaterial, CryptographyBackend
from tiny_ca.adapters.outbound.system import SystemEntropy
from tiny_ca.application.recover import Recovery
from tiny_ca.domain.errors import (
    DBNotInitedError,
    ErrorLoadCert,
    FileAlreadyExists,
    NotOnHold,
    NotUniqueCertOwner,
    RegistryError,
    SerialNumberCollision,
    SigningError,
    StorageError,
    ValidationCertError,
)
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.planning import plan_issuance
from tiny_ca.domain.profiles import flag_profile
from tiny_ca.domain.requests import Authority

HOLD = x509.ReasonFlags.certificate_hold
COMPROMISE = x509.ReasonFlags.key_compromise


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ca(world: World, clock: ManualClock) -> Iterator[CertLifecycleManager]:
    with world.ca(clock=clock) as manager:
        yield manager


def _reasons(crl: x509.CertificateRevocationList) -> dict[int, x509.ReasonFlags]:
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in crl
    }


class TestStatus:
    def test_of_every_kind(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        seen = {}
        for name, days in (("valid", 300), ("revoked", 300), ("expired", 3)):
            certificate, _, _ = ca.issue_certificate(leaf(f"{name}.internal", days_valid=days))
            seen[name] = certificate.serial_number
        ca.revoke_certificate(seen["revoked"])
        hook = Hook("reserve", after=True)
        with world.ca(db_handler=hooked(SyncDBHandler, hook)(world.url), clock=clock) as dying:
            for name in ("abandoned", "pending"):
                hook.action = fail(KeyboardInterrupt())
                with pytest.raises(KeyboardInterrupt):
                    dying.issue_certificate(leaf(f"{name}.internal"))
                seen[name] = world.rows()[-1].serial_number
                if name == "abandoned":
                    clock.advance(timedelta(days=5))
                    assert ca.recover().abandoned == 1
        seen["unknown"] = 4711
        assert {name: ca.get_certificate_status(number) for name, number in seen.items()} == {
            name: CertificateStatus(name) for name in seen
        }

    def test_changes_with_the_second(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        certificate, _, _ = ca.issue_certificate(leaf(days_valid=1))
        number = certificate.serial_number
        clock.set(certificate.not_valid_after_utc + timedelta(microseconds=999_999))
        assert ca.get_certificate_status(number) is CertificateStatus.VALID
        assert ca.verify_certificate(certificate)
        clock.advance(timedelta(microseconds=1))
        assert ca.get_certificate_status(number) is CertificateStatus.EXPIRED
        with pytest.raises(ValidationCertError, match="validity"):
            ca.verify_certificate(certificate)

    def test_a_revoked_certificate_does_not_expire(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = ca.issue_certificate(leaf(days_valid=1))
        ca.revoke_certificate(certificate.serial_number)
        clock.advance(timedelta(days=9))
        status = ca.get_certificate_status(certificate.serial_number)
        assert status is CertificateStatus.REVOKED


def _twin(factory: CertificateFactory, certificate: x509.Certificate) -> x509.Certificate:
    plan = plan_issuance(
        leaf("evil.internal").to_request(flag_profile()),
        authority=Authority(factory.info, factory.validity),
        now=certificate.not_valid_before_utc,
        random_bits=0,
    )
    twin = replace(plan, serial_number=certificate.serial_number)
    return factory.sign_certificate(twin, certificate.public_key())


class TestVerify:
    def test_the_root_itself(self, ca: CertLifecycleManager) -> None:
        assert ca.verify_certificate(ca.factory.certificate)

    def test_not_before_its_time(self, ca: CertLifecycleManager, clock: ManualClock) -> None:
        start = clock.now() + timedelta(days=2)
        certificate, _, _ = ca.issue_certificate(leaf(valid_from=start))
        with pytest.raises(ValidationCertError, match="validity"):
            ca.verify_certificate(certificate)
        clock.set(start)
        assert ca.verify_certificate(certificate)

    def test_not_of_another_ca(self, ca: CertLifecycleManager, world: World) -> None:
        other = World(world.folder / "other")
        other.folder.mkdir()
        with other.manager() as foreign:
            # The same name, so that the signature has to tell them apart.
            foreign.create_self_signed_ca(ROOT_CONFIG)
            certificate, _, _ = foreign.issue_certificate(leaf())
        with pytest.raises(ValidationCertError, match="did not sign"):
            ca.verify_certificate(certificate)

    def test_not_another_one_with_its_serial_number(self, ca: CertLifecycleManager) -> None:
        """The CA's own key signed both; only one of them is on record."""
        certificate, _, _ = ca.issue_certificate(leaf())
        twin = _twin(ca.factory, certificate)
        ca.factory.verify(twin)
        with pytest.raises(ValidationCertError, match="another certificate"):
            ca.verify_certificate(twin)


class TestRevoke:
    def test_an_unknown_certificate(self, ca: CertLifecycleManager) -> None:
        assert ca.revoke_certificate(4711) is False
        assert ca.release_certificate(4711) is False

    def test_twice_keeps_the_first_reason_and_date(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        number, since = certificate.serial_number, clock.now()
        assert ca.revoke_certificate(number, COMPROMISE) is True
        clock.advance(timedelta(hours=1))
        assert ca.revoke_certificate(number, x509.ReasonFlags.superseded) is True
        crl = ca.generate_crl()
        assert _reasons(crl) == {number: COMPROMISE}
        assert crl[0].revocation_date_utc == since

    def test_frees_the_name(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        ca.revoke_certificate(certificate.serial_number)
        ca.issue_certificate(leaf())

    def test_the_root_itself(self, ca: CertLifecycleManager) -> None:
        root = ca.factory.certificate
        assert ca.revoke_certificate(root.serial_number, x509.ReasonFlags.ca_compromise)
        with pytest.raises(ValidationCertError, match="revoked"):
            ca.verify_certificate(root)

    def test_on_hold_and_released(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        number = certificate.serial_number
        assert ca.revoke_certificate(number, HOLD)
        with pytest.raises(ValidationCertError, match="revoked"):
            ca.verify_certificate(certificate)
        assert _reasons(ca.generate_crl()) == {number: HOLD}
        assert ca.release_certificate(number) is True
        assert ca.verify_certificate(certificate)
        assert serials(ca.generate_crl()) == set()
        with pytest.raises(NotOnHold):
            ca.release_certificate(number)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())

    def test_a_hold_becomes_final_and_keeps_its_date(
        self, ca: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        number, since = certificate.serial_number, clock.now()
        ca.revoke_certificate(number, HOLD)
        clock.advance(timedelta(days=1))
        ca.revoke_certificate(number, COMPROMISE)
        crl = ca.generate_crl()
        assert _reasons(crl) == {number: COMPROMISE}
        assert crl[0].revocation_date_utc == since
        with pytest.raises(NotOnHold):
            ca.release_certificate(number)

    def test_released_after_its_name_was_taken(self, ca: CertLifecycleManager) -> None:
        first, _, _ = ca.issue_certificate(leaf())
        ca.revoke_certificate(first.serial_number, HOLD)
        second, _, _ = ca.issue_certificate(leaf())
        assert ca.release_certificate(first.serial_number)
        assert ca.verify_certificate(first)
        assert ca.verify_certificate(second)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())


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


class TestCRL:
    def test_that_lost_the_race_leaves_the_newer_one(self, world: World) -> None:
        hook = Hook("crl_entries")
        slow_registry = hooked(SyncDBHandler, hook)(world.url)
        with world.ca() as fast, world.ca(db_handler=slow_registry) as slow:
            certificate, _, _ = fast.issue_certificate(leaf())

            def overtake() -> None:
                fast.revoke_certificate(certificate.serial_number)
                fast.generate_crl()

            hook.action = overtake
            with pytest.raises(RegistryError, match="higher number"):
                slow.generate_crl()
            published = x509.load_pem_x509_crl((world.base / "crl.pem").read_bytes())
            assert serials(published) == {certificate.serial_number}
            assert world.staged() == []
            assert _number(slow.generate_crl()) == 3

    def test_that_could_not_be_put_in_place(self, world: World) -> None:
        with world.ca() as manager:
            manager.generate_crl()
            (world.base / "crl.pem").rename(world.base / "kept")
            (world.base / "crl.pem").mkdir()
            with pytest.raises(StorageError):
                manager.generate_crl()
            assert world.staged() == []
            (world.base / "crl.pem").rmdir()
            assert _number(manager.generate_crl()) == 3

    def test_that_could_not_be_recorded(self, world: World) -> None:
        hook = Hook("publish_crl")
        with world.ca(db_handler=hooked(SyncDBHandler, hook)(world.url)) as manager:
            hook.action = fail(RegistryError("injected"))
            with pytest.raises(RegistryError, match="injected"):
                manager.generate_crl()
            assert not (world.base / "crl.pem").exists()
            assert world.staged() == []


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


class ForgetfulKey(ed25519.Ed25519PrivateKey):
    """A key, as of a module in hardware, that signs something else when it is told to."""

    def __init__(self) -> None:
        self._key = ed25519.Ed25519PrivateKey.generate()
        self.is_faulty = False

    def public_key(self) -> ed25519.Ed25519PublicKey:
        return self._key.public_key()

    def private_bytes_raw(self) -> bytes:
        return self._key.private_bytes_raw()

    def private_bytes(self, *arguments: Any) -> bytes:
        return self._key.private_bytes(*arguments)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(bytes(data) + b"!" * self.is_faulty)

    def __copy__(self) -> "ForgetfulKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "ForgetfulKey":
        return self


class ForgetfulCrypto(CryptographyBackend):
    """Makes the CA's key a forgetful one."""

    def __init__(self) -> None:
        self.key = ForgetfulKey()

    def generate_private_key(self, spec: KeySpec) -> Any:
        if spec.algorithm is KeyAlgorithm.ED25519:
            return self.key
        return super().generate_private_key(spec)


class TestASignatureThatIsNotWhatWasPlanned:
    @pytest.fixture
    def crypto(self) -> ForgetfulCrypto:
        return ForgetfulCrypto()

    @pytest.fixture
    def ca(self, world: World, crypto: ForgetfulCrypto) -> Iterator[CertLifecycleManager]:
        with world.manager(crypto=crypto) as manager:
            config = CAConfig(common_name="Root", key_algorithm=KeyAlgorithm.ED25519)
            manager.create_self_signed_ca(config)
            yield manager

    def test_on_a_certificate(
        self, ca: CertLifecycleManager, crypto: ForgetfulCrypto, world: World
    ) -> None:
        before = world.tree()
        crypto.key.is_faulty = True
        with pytest.raises(SigningError):
            ca.issue_certificate(leaf())
        assert world.tree() == before
        assert world.statuses("a.internal") == ["abandoned"]
        crypto.key.is_faulty = False
        assert ca.verify_certificate(ca.issue_certificate(leaf())[0])

    def test_on_a_root(self, ca: CertLifecycleManager, crypto: ForgetfulCrypto) -> None:
        first = ca.factory.certificate
        crypto.key.is_faulty = True
        config = CAConfig(common_name="Root", key_algorithm=KeyAlgorithm.ED25519)
        with pytest.raises(SigningError):
            ca.create_self_signed_ca(config, is_overwrite=True)
        crypto.key.is_faulty = False
        assert ca.factory.certificate == first
        assert ca.verify_certificate(first)

    def test_on_a_crl(
        self, ca: CertLifecycleManager, crypto: ForgetfulCrypto, world: World
    ) -> None:
        crypto.key.is_faulty = True
        with pytest.raises(SigningError):
            ca.generate_crl()
        assert not (world.base / "crl.pem").exists()
        assert world.staged() == []


class TestCertificateFactory:
    """The methods of tiny_ca 0.1, which keep no record."""

    @pytest.fixture
    def factory(self) -> CertificateFactory:
        root, key = CertificateFactory.build_self_signed_ca(
            "Own Root", "Own", "FI", days_valid=100, key_algorithm=KeyAlgorithm.P256
        )
        return CertificateFactory(CAMaterial(root, key))

    def test_build_self_signed_ca(self, factory: CertificateFactory) -> None:
        root = factory.certificate
        assert root.subject == root.issuer
        assert root.subject.rfc4514_string() == "CN=Own Root,O=Own,C=FI"
        assert root.not_valid_after_utc - root.not_valid_before_utc == timedelta(days=100)
        assert root.extensions.get_extension_for_class(x509.BasicConstraints).critical
        root.verify_directly_issued_by(root)

    def test_build_self_signed_ca_as_0_1_called_it(self) -> None:
        root, key = CertificateFactory.build_self_signed_ca()
        assert root.subject.rfc4514_string() == "CN=Internal CA,O=My Company,C=UA"
        assert key.key_size == 2048

    def test_issue_certificate(self, factory: CertificateFactory) -> None:
        certificate, key, csr = factory.issue_certificate(
            "a.internal",
            CertType.DEVICE,
            days_valid=10,
            is_server_cert=True,
            san_dns=["b.internal"],
            san_ip=["10.0.0.1"],
            key_algorithm=KeyAlgorithm.P256,
        )
        assert key.public_key() == certificate.public_key() == csr.public_key()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["a.internal", "b.internal"]
        assert certificate.issuer == factory.certificate.subject
        factory.validate_cert(certificate)

    def test_validate_cert(self, factory: CertificateFactory) -> None:
        start = datetime.now(UTC) + timedelta(days=1)
        future, _, _ = factory.issue_certificate(
            "a.internal", valid_from=start, days_valid=1, key_algorithm=KeyAlgorithm.P256
        )
        with pytest.raises(ValidationCertError, match="valid from"):
            factory.validate_cert(future)
        foreign, _ = CertificateFactory.build_self_signed_ca(key_algorithm=KeyAlgorithm.P256)
        with pytest.raises(ValidationCertError, match="issuer"):
            factory.validate_cert(foreign)

    def test_build_crl(self, factory: CertificateFactory) -> None:
        since = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        rows = [
            SimpleNamespace(serial_number="5", revocation_date=since, revocation_reason=None),
            SimpleNamespace(
                serial_number=6, revocation_date=since, revocation_reason="keyCompromise"
            ),
            SimpleNamespace(serial_number=7, revocation_date=None),
        ]
        crl = factory.build_crl(rows, days_valid=3, crl_number=9)
        assert serials(crl) == {5, 6}
        assert _number(crl) == 9
        assert crl.next_update_utc - crl.last_update_utc == timedelta(days=3)
        assert crl.is_signature_valid(factory.certificate.public_key())

    def test_of_a_leaf(self, factory: CertificateFactory) -> None:
        certificate, key, _ = factory.issue_certificate(
            "a.internal", key_algorithm=KeyAlgorithm.P256
        )
        with pytest.raises(ErrorLoadCert, match="not a CA"):
            CertificateFactory(CAMaterial(certificate, key))


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


def test_nothing_verifies_under_a_ca_that_is_revoked(manager: CertLifecycleManager) -> None:
    """RFC 5280 §6.1.3 (a)(3) holds for every certificate of the path."""
    certificate, _, _ = manager.issue_certificate(leaf())
    assert manager.verify_certificate(certificate)
    assert manager.factory is not None
    manager.revoke_certificate(manager.factory.certificate.serial_number)
    with pytest.raises(ValidationCertError, match="issuer"):
        manager.verify_certificate(certificate)
