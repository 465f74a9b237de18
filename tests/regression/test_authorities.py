"""CAs are not lost, nor revoked by the way: their keys, their names, their successors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.regression.world import ROOT_CONFIG, Hook, World, fail, hooked, leaf
from tests.support import need, run
from tiny_ca import (
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    NoStorage,
    SyncDBHandler,
    TinyCAError,
)
from tiny_ca.adapters.outbound.db.engine import sync_engine
from tiny_ca.domain.errors import (
    AnotherIssuer,
    ErrorLoadCert,
    InvalidRequest,
    ValidationCertError,
    WeakKey,
)

KEY = ec.generate_private_key(ec.SECP256R1())


def a_request(common_name: str) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    return x509.CertificateSigningRequestBuilder(subject).sign(KEY, hashes.SHA256())


def ca_config(common_name: str, **fields: Any) -> CAConfig:
    return CAConfig(common_name=common_name, key_algorithm="p-256", days_valid=1000, **fields)


def elsewhere(clock: ManualClock) -> CertLifecycleManager:
    offline = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=clock)
    offline.create_self_signed_ca(CAConfig(common_name="Offline", key_algorithm="p-256"))
    return offline


class TestAKeyIsNotLost:
    """`import_ca` removed the waiting key of a CA whose certificate was on record already."""

    def test_of_a_ca_that_was_signed_in_the_same_registry(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        ca.import_ca(ca.sign_csr(ca.request_ca(ca_config("Sub CA")), profile="ca"))
        self.check_opens(world, "Sub CA")

    def test_of_a_ca_that_came_in_as_part_of_a_chain(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        offline = elsewhere(clock)
        answer = offline.sign_csr(ca.request_ca(ca_config("Online")), profile="ca")
        ca.import_ca(offline.factory.certificate, chain=[answer])
        for _ in range(2):
            ca.import_ca(answer)
        self.check_opens(world, "Online")

    def test_of_a_ca_that_was_an_anchor(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        offline = elsewhere(clock)
        ca.import_ca(offline.factory.certificate)
        ca.import_ca(offline.factory.certificate, offline.factory._key)
        self.check_opens(world, "Offline")

    @pytest.mark.parametrize("storage", [MemoryStorage, NoStorage])
    def test_whatever_the_storage(self, clock: ManualClock, storage: type) -> None:
        offline, registry = elsewhere(clock), MemoryRegistry()
        manager = CertLifecycleManager(storage(), db_handler=registry, clock=clock)
        for key in (None, offline.factory._key, offline.factory._key):
            manager.import_ca(offline.factory.certificate, key)
        assert manager.issue_certificate(leaf())
        assert len(list(registry.authorities())) == 1

    @pytest.mark.parametrize("method", ["publish", "delete"])
    def test_by_a_death_in_between(
        self, ca: CertLifecycleManager, world: World, method: str
    ) -> None:
        answer = ca.sign_csr(ca.request_ca(ca_config("Sub CA")), profile="ca")
        hook = Hook(method, action=fail(KeyboardInterrupt()))
        with world.manager(storage=hooked(LocalStorage, hook)(world.base)) as dying:
            with pytest.raises(KeyboardInterrupt):
                dying.import_ca(answer)
        ca.recover()
        ca.import_ca(answer)
        self.check_opens(world, "Sub CA")

    def check_opens(self, world: World, common_name: str) -> None:
        assert world.statuses(common_name) == ["valid"]
        assert not any(name.startswith("requests/") for name in world.files())
        assert not world.staged()
        with world.manager() as later:
            later.open_ca(common_name)
            assert later.issue_certificate(leaf())


class TestNobodyNamesACAToRevokeIt:
    """A requester's common name, and `is_overwrite`, superseded the CA of that name."""

    @pytest.fixture
    def sub(self, ca: CertLifecycleManager) -> CertLifecycleManager:
        ca.issue_intermediate_ca(ca_config("Sub CA", path_length=1))
        return ca.under("Sub CA")

    @pytest.mark.parametrize("name", ["Sub CA", "Test Root"])
    def test_by_a_request(self, sub: CertLifecycleManager, world: World, name: str) -> None:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        csr = x509.CertificateSigningRequestBuilder(subject).sign(KEY, hashes.SHA256())
        before = world.rows(), world.tree()
        for act in (
            lambda: sub.sign_csr(csr, "client", is_overwrite=True),
            lambda: sub.issue_certificate(leaf(name), is_overwrite=True),
            lambda: sub.issue_intermediate_ca(ca_config(name), is_overwrite=True),
        ):
            with pytest.raises(InvalidRequest, match="the name of a CA"):
                act()
        assert (world.rows(), world.tree()) == before

    def test_by_a_rotation(self, ca: CertLifecycleManager, sub: CertLifecycleManager) -> None:
        for authority in (ca, sub):
            number = authority.factory.certificate.serial_number
            with pytest.raises(ValidationCertError, match="roll the CA over"):
                ca.rotate_certificate(number, leaf("web.internal"))
        assert sub.issue_certificate(leaf("web.internal"))

    def test_another_ca_still_supersedes_it(
        self, ca: CertLifecycleManager, sub: CertLifecycleManager, world: World
    ) -> None:
        ca.issue_intermediate_ca(ca_config("Sub CA"), is_overwrite=True)
        assert world.statuses("Sub CA") == ["revoked", "valid"]


class TestAnotherCAsCertificate:
    """Names are claimed across CAs: another one's certificate was superseded for its name."""

    @pytest.fixture
    def sub(self, ca: CertLifecycleManager) -> CertLifecycleManager:
        ca.issue_intermediate_ca(ca_config("Sub CA", path_length=1))
        return ca.under("Sub CA")

    def test_is_not_superseded(
        self, ca: CertLifecycleManager, sub: CertLifecycleManager, world: World
    ) -> None:
        theirs, _, _ = sub.issue_certificate(leaf())
        sub.issue_intermediate_ca(ca_config("Below"))
        before = world.rows(), world.tree()
        for act in (
            lambda: ca.issue_certificate(leaf(), is_overwrite=True),
            lambda: ca.sign_csr(a_request("a.internal"), "client", is_overwrite=True),
            lambda: ca.rotate_certificate(theirs.serial_number, leaf()),
            lambda: ca.issue_intermediate_ca(ca_config("Below"), is_overwrite=True),
            lambda: ca.create_self_signed_ca(ca_config("a.internal"), is_overwrite=True),
        ):
            with pytest.raises(AnotherIssuer, match="CN=Sub CA") as caught:
                act()
            assert caught.value.issuer.startswith("CN=Sub CA")
        assert (world.rows(), world.tree()) == before
        assert sub.rotate_certificate(theirs.serial_number, leaf())

    def test_but_a_ca_goes_on_with_what_its_former_key_issued(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        first, _, _ = ca.issue_certificate(leaf())
        ca.issue_certificate(leaf("b.internal"))
        ca.rollover_ca(ROOT_CONFIG)
        ca.rotate_certificate(first.serial_number, leaf())
        ca.issue_certificate(leaf("b.internal"), is_overwrite=True)
        assert world.statuses("a.internal") == ["revoked", "valid"]
        assert world.statuses("b.internal") == ["revoked", "valid"]


class TestACAThatIsRevokedMeanwhile:
    """What was checked before it was revoked was issued after."""

    @pytest.mark.parametrize("which", ["Sub CA", "Test Root"])
    @pytest.mark.parametrize("act", ["issue", "request", "many", "join"])
    def test_issues_nothing(self, tmp_path: Any, db_url: str, which: str, act: str) -> None:
        hook = Hook("stage")
        storage = hooked(LocalStorage, hook)(tmp_path)
        with CertLifecycleManager(storage, db_handler=SyncDBHandler(db_url)) as ca:
            ca.create_self_signed_ca(ROOT_CONFIG)
            root = ca.factory.certificate
            sub, _ = ca.issue_intermediate_ca(ca_config("Sub CA"))
            issuing = ca.under("Sub CA")
            acts = {
                "issue": lambda: issuing.issue_certificate(leaf()),
                "request": lambda: issuing.sign_csr(a_request("a.internal"), "client"),
                "many": lambda: issuing.issue_many([leaf(), leaf("b.internal")]),
                "join": lambda: self.join(issuing, db_url),
            }
            revoked = {"Sub CA": sub, "Test Root": root}[which]
            hook.action = lambda: ca.revoke_certificate(revoked.serial_number)
            files = {path for path in tmp_path.rglob("*") if path.is_file()}
            with pytest.raises(ValidationCertError, match=f"{which}' was revoked meanwhile"):
                acts[act]()
            assert (
                ca.list_certificates(status=CertificateStatus.VALID, common_name="a.internal") == []
            )
            assert {path for path in tmp_path.rglob("*") if path.is_file()} == files

    def join(self, issuing: CertLifecycleManager, db_url: str) -> None:
        engine = sync_engine(db_url)
        try:
            with issuing.prepare_certificate(leaf()) as prepared, engine.begin() as connection:
                prepared.join(connection)
        finally:
            engine.dispose()


class TestRollover:
    def test_of_a_root_that_has_leaves_only(self, world: World, tmp_path: Any) -> None:
        """RFC 5280 §4.2.1.9: certificates of the CA's own name don't count."""
        need("openssl")
        config = ca_config("Root", path_length=0)
        with world.manager() as ca:
            ca.create_self_signed_ca(config)
            old = ca.factory.certificate
            before, _, _ = ca.issue_certificate(leaf("before"))
            links = ca.rollover_ca(config)
            after, _, _ = ca.issue_certificate(leaf("after"))
            new = ca.factory.certificate
        for anchor, link, end in (
            (old, links.new_with_old, after),
            (new, links.old_with_new, before),
        ):
            paths = [tmp_path / name for name in ("anchor", "link", "end")]
            for path, certificate in zip(paths, (anchor, link, end), strict=True):
                path.write_bytes(certificate.public_bytes(Encoding.PEM))
            said = run("openssl", "verify", "-CAfile", paths[0], "-untrusted", *paths[1:])
            assert said.returncode == 0, said.stderr

    @pytest.mark.parametrize("what", ["revoked", "ends now", "expired"])
    def test_what_can_not_be_linked_is_not_rolled_over(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock, what: str
    ) -> None:
        """The new root was made, and then its links failed."""
        root = ca.factory.certificate
        if what == "revoked":
            ca.revoke_certificate(root.serial_number)
        else:
            clock.set(root.not_valid_after_utc + timedelta(days=what == "expired"))
        before = len(world.rows()), world.tree()
        with pytest.raises(TinyCAError):
            ca.rollover_ca(ROOT_CONFIG)
        assert (len(world.rows()), world.tree()) == before
        assert ca.factory.certificate == root

    def test_links_end_with_the_old_root_however_long_it_takes(self, world: World) -> None:
        """A second that passed on the way made them outlive it, and be cut with a warning."""

        class Ticking(ManualClock):
            def now(self) -> datetime:
                self.advance(timedelta(milliseconds=700))
                return super().now()

        with world.ca(clock=Ticking()) as ca:
            old = ca.factory.certificate
            links = ca.rollover_ca(ROOT_CONFIG)
        for link in (links.new_with_old, links.old_with_new):
            assert link.not_valid_after_utc == old.not_valid_after_utc

    def test_of_an_intermediate_goes_under_the_root_that_is_current(
        self, ca: CertLifecycleManager, world: World
    ) -> None:
        """It went under the root that had signed it, though that was rolled over."""
        ca.issue_intermediate_ca(ca_config("Sub CA"))
        ca.rollover_ca(ROOT_CONFIG)
        with world.manager() as issuing:
            issuing.open_ca("Sub CA")
            issuing.rollover_ca(ca_config("Sub CA"))
            renewed = issuing.factory.certificate
            renewed.verify_directly_issued_by(ca.factory.certificate)
            certificate, _, _ = issuing.issue_certificate(leaf())
            assert issuing.get_cert_chain(certificate)[1:] == [renewed, ca.factory.certificate]

    def test_the_only_ca_still_opens_without_its_name(
        self, ca: CertLifecycleManager, world: World, clock: ManualClock
    ) -> None:
        """Old roots, links and partners were counted, too."""
        ca.rollover_ca(ROOT_CONFIG)
        ca.rollover_ca(ROOT_CONFIG)
        ca.cross_sign_ca(elsewhere(clock).factory.certificate)
        with world.manager(clock=clock) as later:
            later.open_ca()
            assert later.factory.certificate == ca.factory.certificate


def foreign(*extensions: tuple[x509.ExtensionType, bool], curve: bytes = b"\7") -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "foreign.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 5, now, now + timedelta(30))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    der = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    prime256v1 = bytes.fromhex("06082a8648ce3d0301")
    return x509.load_der_x509_certificate(der.replace(prime256v1 + b"\7", prime256v1 + curve))


def broken(oid: str) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier(oid), b"\x30\x03\x02\x01\xff\xff"
    ), False


CA_TRUE = (x509.BasicConstraints(True, None), True)
UNREADABLE = {
    "basic constraints": foreign(broken("2.5.29.19")),
    "alternative names": foreign(broken("2.5.29.17")),
    "alternative names of a CA": foreign(CA_TRUE, broken("2.5.29.17")),
    "the key": foreign(curve=b"\x70"),
    "the key of a CA": foreign(CA_TRUE, curve=b"\x70"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_others_made_and_nobody_can_read_is_a_typed_error(
    ca: CertLifecycleManager, world: World, what: str
) -> None:
    before = world.rows(), world.tree()
    certificate = UNREADABLE[what]
    for take in (ca.cosign_certificate, ca.cross_sign_ca, ca.import_ca, ca.get_cert_chain):
        with pytest.raises(ErrorLoadCert, match="can't be read"):
            take(certificate)
    with pytest.raises(ErrorLoadCert):
        ca.import_ca(ca.factory.certificate, chain=[certificate])
    assert (world.rows(), world.tree()) == before


def test_a_key_that_is_not_certified_here_is_not_cross_signed(ca: CertLifecycleManager) -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Other")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now, now + timedelta(30))
    certificate = builder.add_extension(*CA_TRUE).sign(key, hashes.SHA256())
    with pytest.raises(WeakKey):
        ca.cross_sign_ca(certificate)


def test_a_plan_shows_a_taken_name_beside_other_problems(ca: CertLifecycleManager) -> None:
    ca.issue_certificate(leaf())
    problems = ca.plan(leaf(profile="server", days_valid=900)).problems
    assert len(problems) == 2
    assert "active certificate" in problems[1]
