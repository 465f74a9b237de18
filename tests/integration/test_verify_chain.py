"""`verify_chain` on both faces: by the registry's roots, or by those of others."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.chains import NOW, Node, ca, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    ManualClock,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.errors import (
    DBNotInitedError,
    InvalidName,
    InvalidRequest,
    RegistryError,
    ValidationCertError,
)
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.domain.serial import CertType

SERVER = ClientConfig(
    common_name="www.example.com", is_server_cert=True, days_valid=9, key_algorithm="p-256"
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def manager(tmp_path: Path, clock: ManualClock) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(
        NoStorage(), db_handler=SyncDBHandler(f"sqlite:///{tmp_path / 'registry.db'}"), clock=clock
    ) as made:
        made.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        yield made


def root_of(manager: CertLifecycleManager) -> x509.Certificate:
    assert manager.factory is not None
    return manager.factory.certificate


def as_factory(node: Node, manager: CertLifecycleManager) -> None:
    manager.factory = CryptographyBackend().issuer(node.certificate, node.key)


class TestOwn:
    def test_gives_the_path(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(SERVER)
        path = [certificate, root_of(manager)]
        assert manager.verify_chain(certificate) == path
        assert manager.verify_chain(certificate, host="WWW.example.com") == path
        assert manager.verify_chain(path[1]) == path[1:]
        assert manager.verify_chain(certificate, conformance="webpki", host="www.example.com")

    def test_of_every_root_on_record(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(SERVER)
        old = root_of(manager)
        manager.create_self_signed_ca(CAConfig(common_name="Second", key_algorithm="p-256"))
        assert manager.verify_chain(certificate) == [certificate, old]

    def test_revoked(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(SERVER)
        manager.revoke_certificate(certificate.serial_number)
        with pytest.raises(ValidationCertError, match="is revoked"):
            manager.verify_chain(certificate)

    def test_of_a_root_that_is_revoked(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(SERVER)
        manager.revoke_certificate(root_of(manager).serial_number)
        with pytest.raises(ValidationCertError, match="is revoked"):
            manager.verify_chain(certificate)

    def test_not_on_record(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.factory.issue_certificate(
            "stray.example.com", valid_from=NOW, key_algorithm="p-256"
        )
        with pytest.raises(ValidationCertError, match="does not know"):
            manager.verify_chain(certificate)

    def test_at_another_moment(self, manager: CertLifecycleManager, clock: ManualClock) -> None:
        certificate, _, _ = manager.issue_certificate(SERVER)
        now = clock.now()
        clock.advance(timedelta(days=400))
        with pytest.raises(ValidationCertError, match="is valid from"):
            manager.verify_chain(certificate)
        assert manager.verify_chain(certificate, at=now)

    def test_a_foreign_certificate(self, manager: CertLifecycleManager) -> None:
        other = ca("Foreign Root")
        with pytest.raises(ValidationCertError, match="No path leads"):
            manager.verify_chain(
                leaf(other).certificate, intermediates=[other.certificate], crls=[]
            )

    def test_below_a_ca_with_its_root_elsewhere(self, manager: CertLifecycleManager) -> None:
        offline = ca("Offline")
        ica = ca("ICA", offline)
        as_factory(ica, manager)
        registry, certificate = manager._services.registry, leaf(ica).certificate
        registry.register(certificate, None, CertType.SERVICE, NOW)
        assert manager.verify_chain(certificate) == [certificate, ica.certificate]
        # On record, it stands or falls with its root, which is not.
        registry.register(ica.certificate, None, CertType.CA, NOW)
        with pytest.raises(ValidationCertError, match="The issuer of 'CN=ICA'"):
            manager.verify_chain(certificate)

    def test_what_another_registry_keeps_is_covered_by_crls(
        self, manager: CertLifecycleManager
    ) -> None:
        root = ca("Ours")
        as_factory(root, manager)
        below = ca("Theirs", root)
        target = leaf(below)
        chain = [one.certificate for one in (target, below, root)]
        with pytest.raises(ValidationCertError, match="does not know"):
            manager.verify_chain(chain[0], intermediates=[chain[1]])
        crls = [root.crl(), below.crl()]
        assert manager.verify_chain(chain[0], intermediates=[chain[1]], crls=crls) == chain
        with pytest.raises(ValidationCertError, match="is revoked"):
            crls = [root.crl(), below.crl(target)]
            manager.verify_chain(chain[0], intermediates=[chain[1]], crls=crls)

    def test_a_broken_registry_is_no_answer(
        self, manager: CertLifecycleManager, tmp_path: Path
    ) -> None:
        certificate, _, _ = manager.issue_certificate(SERVER)
        with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
            connection.execute("ALTER TABLE certificates RENAME TO lost")
        with pytest.raises(RegistryError):
            manager.verify_chain(certificate)


class TestOfOthers:
    ROOT = ca("Foreign Root")
    ICA = ca("Foreign ICA", ROOT)
    TARGET = leaf(ICA, "münchen.example".encode("idna").decode(), x509.RFC822Name("a@b.example"))
    CHAIN = (TARGET.certificate, ICA.certificate, ROOT.certificate)

    @pytest.fixture
    def verifier(self, clock: ManualClock) -> CertLifecycleManager:
        return CertLifecycleManager(NoStorage(), clock=clock)

    def verify(self, verifier: CertLifecycleManager, **asked: object) -> None:
        path = verifier.verify_chain(
            self.CHAIN[0],
            intermediates=[self.CHAIN[1]],
            roots=[self.CHAIN[2]],
            **asked,  # type: ignore[arg-type]
        )
        assert path == list(self.CHAIN)

    def test_needs_no_registry(self, verifier: CertLifecycleManager) -> None:
        self.verify(verifier)
        with pytest.raises(DBNotInitedError):
            verifier.verify_chain(self.CHAIN[0])

    def test_by_crls(self, verifier: CertLifecycleManager) -> None:
        self.verify(verifier, crls=[self.ROOT.crl(), self.ICA.crl()])
        with pytest.raises(ValidationCertError, match="No current CRL"):
            self.verify(verifier, crls=[])
        with pytest.raises(ValidationCertError, match="is revoked"):
            self.verify(verifier, crls=[self.ROOT.crl(), self.ICA.crl(self.TARGET)])

    @pytest.mark.parametrize(
        "asked",
        [
            {"host": "münchen.example"},
            {"host": "MÜNCHEN.example", "email": "a@b.example"},
            {"purpose": ExtendedKeyUsage.CLIENT_AUTH},
            {"purpose": ExtendedKeyUsageOID.CODE_SIGNING},
            {"purpose": "1.2.3.4", "conformance": "path", "max_intermediates": 1},
        ],
    )
    def test_what_can_be_asked(
        self, verifier: CertLifecycleManager, asked: dict[str, object]
    ) -> None:
        self.verify(verifier, **asked)

    @pytest.mark.parametrize(
        "asked",
        [
            {"host": "berlin.example"},
            {"email": "c@b.example"},
            {"at": datetime(2031, 1, 1, tzinfo=UTC)},
            {"max_intermediates": 0},
            {"conformance": "webpki"},
        ],
    )
    def test_what_it_is_not_good_for(
        self, verifier: CertLifecycleManager, asked: dict[str, object]
    ) -> None:
        with pytest.raises(ValidationCertError):
            self.verify(verifier, **asked)

    @pytest.mark.parametrize(
        ("asked", "error"),
        [
            ({"host": "*.example.com"}, InvalidRequest),
            ({"host": "no host"}, InvalidName),
            ({"host": "a..ü"}, InvalidName),
            ({"email": "no address"}, InvalidName),
            ({"purpose": "serverAuth"}, InvalidRequest),
            ({"at": datetime(2030, 1, 1)}, InvalidRequest),
            ({"conformance": "strict"}, InvalidRequest),
        ],
    )
    def test_what_can_not_be_asked(
        self, verifier: CertLifecycleManager, asked: dict[str, object], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            self.verify(verifier, **asked)

    def test_a_host_is_a_server(self, verifier: CertLifecycleManager) -> None:
        client = leaf(self.ROOT, "a.example", purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])
        asked = {"roots": [self.CHAIN[2]], "host": "a.example"}
        with pytest.raises(ValidationCertError, match="not for the purpose"):
            verifier.verify_chain(client.certificate, **asked)
        purpose = ExtendedKeyUsage.CLIENT_AUTH
        assert verifier.verify_chain(client.certificate, purpose=purpose, **asked)


@pytest.mark.anyio
async def test_the_async_face(clock: ManualClock) -> None:
    async with AsyncCertLifecycleManager(
        NoStorage(), db_handler=MemoryRegistry(), clock=clock
    ) as manager:
        await manager.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        certificate, _, _ = await manager.issue_certificate(SERVER)
        path = await manager.verify_chain(certificate, host="www.example.com")
        assert manager.factory is not None
        assert path == [certificate, manager.factory.certificate]
