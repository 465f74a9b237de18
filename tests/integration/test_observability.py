"""Log records, observers: what they tell, and what they never tell."""

import ast
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import create_engine

from tests.observing import ListObserver, in_memory
from tests.ocsp_client import ask, read
from tests.regression.world import PROJECT, ROOT_CONFIG, World, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    NoObserver,
    OpenSSLFolder,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    CertNotFound,
    InvalidRequest,
    NotUniqueCertOwner,
    RegistryError,
)
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.testing.samples import sample_key

PASSPHRASE = b"correct horse battery staple"
PASSWORD = "a password for bundles"
DOCUMENT = (PROJECT / "docs/observability.md").read_text()
PACKAGE = PROJECT / "tiny_ca"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
NOT_OPERATIONS = {"close", "factory", "iter_certificates"}


@pytest.fixture
def observer() -> ListObserver:
    return ListObserver()


def public_operations() -> set[str]:
    return {name for name in dir(CertLifecycleManager) if not name.startswith("_")} - NOT_OPERATIONS


class Everything:
    """Runs each operation there is, with keys under a passphrase; some of them fail.

    A new operation belongs in one of these methods, and in none of the log's secrets.
    """

    def __init__(self, folder: Path, observer: ListObserver) -> None:
        self.folder = folder
        self.observer = observer
        self.clock = ManualClock()
        self.keys: list[PrivateKey] = []
        self.ca = self.manager("one")

    def manager(self, name: str, passphrase: bytes = PASSPHRASE) -> CertLifecycleManager:
        storage = LocalStorage(
            self.folder / name / "pki",
            base_encryption_algorithm=BestAvailableEncryption(passphrase),
        )
        registry = SyncDBHandler(f"sqlite:///{self.folder / f'{name}.db'}")
        return CertLifecycleManager(
            storage, db_handler=registry, clock=self.clock, observer=self.observer
        )

    def run(self) -> None:
        with self.ca:
            self.ca.create_self_signed_ca(ROOT_CONFIG)
            self.ca.subscribe("billing", self.fail)
            self.issue()
            self.authorities()
            self.export()
            self.publish()
            self.tell()
            self.look_after()
            self.back_up()

    def fail(self, _event: object) -> None:
        raise RuntimeError("the billing system is down")

    def kept(self, key: PrivateKey) -> PrivateKey:
        self.keys.append(key)
        return key

    def issue(self) -> None:
        ca = self.ca
        ca.plan(leaf())
        self.cert, key, csr = ca.issue_certificate(leaf())
        self.kept(key)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())
        for _, key, _ in ca.issue_many([leaf("b.internal"), leaf("c.internal")]):
            self.kept(key)
        with pytest.raises(CertNotFound):
            ca.rotate_certificate(12345, leaf("x.internal"))
        old, key, _ = ca.issue_certificate(leaf("d.internal"))
        self.kept(key)
        _, key, _ = ca.rotate_certificate(old.serial_number, leaf("d.internal"))
        self.kept(key)
        ca.renew_certificate(self.cert.serial_number)
        ca.sign_csr(csr, "server", common_name="e.internal")
        _, key, other = in_memory().issue_certificate(leaf("g.internal"))
        self.kept(key)
        ca.sign_many_csrs([other])
        with ca.prepare_certificate(leaf("f.internal")) as prepared:
            engine = create_engine(f"sqlite:///{self.folder / 'one.db'}")
            with engine.begin() as connection:
                prepared.join(connection)
            engine.dispose()
        self.kept(prepared.issued[1])
        issued = ca.issue("h.internal", "127.0.0.1", key_algorithm="p-256")
        self.kept(ca.get_issued(issued.serial_number).private_key)
        self.kept(ca.ensure_certificate("i.internal", key_algorithm="p-256").private_key)
        ca.write_live(issued.serial_number, self.folder / "tls")
        ca.configure_trust(SSLContext(PROTOCOL_TLS_CLIENT))
        assert ca.trust_pem().bytes()
        assert ca.trusted_roots()
        assert ca.due_for_renewal() == []

    def authorities(self) -> None:
        ca = self.ca
        inner, key = ca.issue_intermediate_ca(
            CAConfig(common_name="Inner", key_algorithm="p-256", days_valid=1825)
        )
        self.kept(key)
        ca.under("Inner")
        other = in_memory(clock=self.clock)
        theirs, key, _ = other.issue_certificate(leaf("theirs.internal"))
        self.kept(key)
        assert other.factory is not None
        ca.cross_sign_ca(other.factory.certificate)
        ca.cosign_certificate(theirs)
        with self.manager("two") as offline:
            csr = offline.request_ca(CAConfig(common_name="Offline", key_algorithm="p-256"))
            answer = ca.sign_csr(csr, "ca")
            offline.import_ca(answer, chain=[ca.factory.certificate])
            pem = inner.public_bytes(Encoding.PEM) + key_pem(self.keys[-2], PASSWORD.encode())
            offline.import_ca_bundle(pem, PASSWORD)
            with pytest.raises(Exception, match=r"."):
                offline.import_ca_bundle(pem, "wrong " + PASSWORD)
        with self.manager("heir") as heir:
            history = self.history(inner, self.keys[-2])
            heir.import_history(OpenSSLFolder(history, passphrase=PASSWORD))
            with pytest.raises(Exception, match=r"."):
                heir.import_history(OpenSSLFolder(history, passphrase="wrong " + PASSWORD))
        ca.rollover_ca(ROOT_CONFIG)
        ca.open_ca("Inner")
        with self.manager("one", b"wrong " + PASSPHRASE) as stranger:
            with pytest.raises(Exception, match=r"."):
                stranger.open_ca("Inner")

    def history(self, certificate: x509.Certificate, key: PrivateKey) -> Path:
        """Leave a CA as `openssl ca` does."""
        folder = self.folder / "demoCA"
        for part in ("private", "newcerts"):
            (folder / part).mkdir(parents=True)
        (folder / "cacert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (folder / "private/cakey.pem").write_bytes(key_pem(key, PASSWORD.encode()))
        (folder / "index.txt").write_text("V\t20991231235959Z\t\t01\tunknown\t/CN=old\n")
        return folder

    def export(self) -> None:
        ca = self.ca
        ca.inspect_certificate(self.cert)
        ca.get_cert_chain(self.cert)
        ca.export_pkcs12(self.cert, password=PASSWORD)
        ca.export_fullchain(self.cert)
        ca.export_pkcs7(self.cert)
        ca.export_java_truststore(PASSWORD)
        ca.verify_chain(self.cert)

    def publish(self) -> None:
        ca = self.ca
        cert, key, _ = ca.issue_certificate(leaf("held.internal"))
        self.kept(key)
        ca.verify_certificate(cert)
        ca.revoke_certificate(cert.serial_number, x509.ReasonFlags.certificate_hold)
        ca.release_certificate(cert.serial_number)
        ca.revoke_many(common_name="held.*")
        ca.verify_crl(ca.generate_crl())
        ca.publish_crl()
        self.clock.advance(timedelta(hours=23))
        assert ca.publish_due()
        ca.crl_stamps()
        ca.published()
        issuer_id = ca.factory.issuer_id
        ca.published_crl(issuer_id)
        ca.issuer_certificate(issuer_id)
        responder = ca.ocsp_responder()
        responder.presign()
        responder.respond(b"nonsense")

    def tell(self) -> None:
        assert self.ca.announce_expiring(timedelta(days=400))
        assert self.ca.deliver_events().postponed
        self.ca.unsubscribe("billing")

    def look_after(self) -> None:
        ca = self.ca
        ca.get_certificate_status(self.cert.serial_number)
        ca.list_certificates()
        ca.find_certificate(self.cert.serial_number)
        ca.get_expiring_soon(60)
        ca.measure_expiry()
        ca.recover()
        next((self.folder / "one/pki").glob("*/h.internal.key")).chmod(0o644)
        assert ca.examine(fix=True).findings

    def back_up(self) -> None:
        archive = self.folder / "backup.tar"
        self.ca.backup(archive)
        with self.manager("three") as copy:
            copy.restore(archive)
            copy.refresh_expired_statuses()
            self.clock.advance(timedelta(days=4000))
            copy.refresh_expired_statuses()
            copy.delete_certificate(self.cert.serial_number)


def key_pem(key: Any, passphrase: bytes | None) -> bytes:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem


def secrets_of(key: Any) -> Iterator[str]:
    """Give the ways in which a key may get into a text."""
    number = key.private_numbers().private_value
    yield from (str(number), f"{number:x}", repr(number.to_bytes(32))[2:-1])
    for kind in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        der = key.private_bytes(Encoding.DER, kind, NoEncryption())
        yield from (der.hex(), repr(der)[2:-1])
        pem = key.private_bytes(Encoding.PEM, kind, NoEncryption()).decode()
        # The first line may say no more than the algorithm.
        yield from pem.splitlines()[2:-1]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Everything, list[Any]]:
    """Run all operations once, and give every log record that they made."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    level = logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    try:
        run = Everything(tmp_path_factory.mktemp("everything"), ListObserver())
        run.run()
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(level)
    return run, records


def documented_fields() -> dict[str, set[str]]:
    """Give the fields that the documentation promises, by event."""
    table = DOCUMENT[DOCUMENT.index("## Log records") :].split("\n## ")[0]
    return {
        event: set(re.findall(r"`(\w+)`", names))
        for events, names in re.findall(r"^\| (`.+?) \| (.*) \|$", table, re.MULTILINE)
        for event in re.findall(r"`(\w+)`", events)
    }


def events_in(path: Path) -> Iterator[str]:
    """Give the events of a module's log records, each of which has to have one."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=on, attr=attr)) if attr in LEVELS:
                if "logger" in ast.unparse(on).lower():
                    keywords = {one.arg for one in node.keywords}
                    assert "extra" in keywords, f"{path}:{node.lineno}"
            case ast.Call(func=ast.Name("fields"), args=[ast.Constant(str(event)), *_]):
                yield event
            case ast.Call(
                func=ast.Attribute(attr="_log" | "_issued"), args=[ast.Constant(str(event)), *_]
            ):
                yield event
            case ast.Dict(keys=[ast.Constant("event"), *_], values=[ast.Constant(str(event)), *_]):
                yield event


class TestLog:
    def test_no_secret_is_in_it(self, everything: tuple[Everything, list[Any]]) -> None:
        run, records = everything
        formatter = logging.Formatter("%(message)s")
        text = "\n".join(formatter.format(one) + repr(vars(one)) for one in records)
        assert "billing system is down" in text
        for secret in (PASSPHRASE.decode(), PASSWORD, "PRIVATE KEY"):
            assert secret not in text
        assert len(run.keys) > 8
        for key in run.keys:
            for secret in secrets_of(key):
                assert secret not in text

    def test_its_fields_are_the_documented_ones(
        self, everything: tuple[Everything, list[Any]]
    ) -> None:
        _, records = everything
        ordinary = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
        documented = documented_fields()
        ours = [one for one in records if one.name == "tiny_ca"]
        told = {one.event: set(vars(one)) - ordinary - {"event"} for one in ours}
        assert len(told) > 15
        strays = {event: names - documented.get(event, set()) for event, names in told.items()}
        assert set(told) <= set(documented)
        assert not any(strays.values()), strays

    def test_every_record_has_a_documented_event(self) -> None:
        """Those of rare events, too, which no test may bring about."""
        modules = (path for path in PACKAGE.rglob("*.py") if "cli" not in path.parts)
        told = {event for path in modules for event in events_in(path)}
        assert told <= set(documented_fields())
        assert len(told) > 30

    def test_its_values_are_plain(self, everything: tuple[Everything, list[Any]]) -> None:
        _, records = everything
        [created, *_] = [one for one in records if getattr(one, "event", "") == "ca_created"]
        assert int(created.serial_number, 16) > 0
        assert created.subject == "CN=Test Root,O=ACME,C=UA"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", created.not_after)
        [rotated, *_] = [one for one in records if getattr(one, "event", "") == "rotated"]
        assert int(rotated.predecessor, 16) != int(rotated.serial_number, 16)

    def test_the_search_finds_a_secret(self) -> None:
        key: Any = sample_key()
        number = key.private_numbers().private_value
        for text in (
            key_pem(key, None).decode(),
            repr(key_pem(key, None)),
            f"{key.private_numbers()!r} {number}",
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex(),
        ):
            assert any(secret in text for secret in secrets_of(key))


class TestOperations:
    def test_each_is_observed(self, everything: tuple[Everything, list[Any]]) -> None:
        """What is not in `Everything` has no proof that it keeps secrets, either."""
        run, _ = everything
        assert set(run.observer.began) == public_operations() | {"ocsp_reply", "ocsp_presign"}
        assert Counter(run.observer.began) == Counter(name for name, _ in run.observer.ended)

    def test_outcomes_and_durations(self, observer: ListObserver) -> None:
        ca = in_memory(observer)
        ca.issue_certificate(leaf())
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())
        assert observer.ended == [
            ("recover", None),
            ("create_self_signed_ca", None),
            ("issue_certificate", None),
            ("issue_certificate", "NotUniqueCertOwner"),
        ]
        assert all(0 < duration < 60 for duration in observer.durations)

    def test_one_call_is_one_operation(self, observer: ListObserver) -> None:
        """Also where one method does what another does."""
        ca = in_memory(observer)
        cert, _, _ = ca.issue_certificate(leaf())
        observer.began.clear()
        ca.generate_crl()
        ca.export_fullchain(cert)
        assert observer.began == ["generate_crl", "export_fullchain"]

    def test_the_same_under_another_ca(self, observer: ListObserver) -> None:
        ca = in_memory(observer)
        ca.issue_intermediate_ca("Inner", key_algorithm="p-256")
        ca.under("Inner").issue_certificate(leaf())
        assert observer.began[-1] == "issue_certificate"

    def test_several_see_the_same(self, observer: ListObserver) -> None:
        other = ListObserver()
        in_memory(observer, NoObserver(), other).issue_certificate(leaf())
        assert other.ended == observer.ended != []

    def test_what_is_no_observer_is_refused(self) -> None:
        for wrong in ("prometheus", [NoObserver(), 1]):
            with pytest.raises(TypeError, match="must be an Observer"):
                CertLifecycleManager(MemoryStorage(), observer=wrong)  # type: ignore[arg-type]

    @pytest.mark.anyio
    async def test_of_the_async_face(self, observer: ListObserver) -> None:
        async with AsyncCertLifecycleManager(
            MemoryStorage(), db_handler=MemoryRegistry(), observer=observer
        ) as ca:
            await ca.create_self_signed_ca(ROOT_CONFIG)
            told: list[Any] = []

            async def hear(event: object) -> None:
                told.append(event)

            await ca.subscribe("billing", hear)
            await ca.issue_certificate(leaf())
            await ca.deliver_events()
            assert len(told) == 1
        assert [name for name, _ in observer.ended[1:]] == [
            "create_self_signed_ca",
            "subscribe",
            "issue_certificate",
            "deliver_events",
        ]


class Broken(NoObserver):
    """Fails at everything."""

    def begin(self, operation: str) -> Any:
        raise RuntimeError("begin")

    issued = revoked = measured = begin  # type: ignore[assignment]


class BrokenAtTheEnd(NoObserver):
    def begin(self, operation: str) -> Any:
        return self

    def end(self, duration: float, error: BaseException | None) -> None:
        raise RuntimeError("end")


@pytest.mark.parametrize("broken", [Broken(), BrokenAtTheEnd()])
def test_a_broken_observer_breaks_no_operation(
    broken: Any, observer: ListObserver, caplog: pytest.LogCaptureFixture
) -> None:
    ca = in_memory(broken, observer)
    cert, _, _ = ca.issue_certificate(leaf())
    assert ca.revoke_certificate(cert.serial_number)
    ca.measure_expiry()
    with pytest.raises(NotUniqueCertOwner):
        ca.create_self_signed_ca(ROOT_CONFIG)
    assert len(observer.ended) == 6
    assert observer.issued_by_profile.total() == 2
    failures = [one for one in caplog.records if getattr(one, "event", "") == "observer_failed"]
    assert len(failures) >= 6
    assert all(one.levelno == logging.ERROR and one.exc_info for one in failures)


class TestCounts:
    def test_of_what_was_issued(self, observer: ListObserver) -> None:
        ca = in_memory(observer)
        for _ in range(2):
            # The same one, again.
            ca.issue_certificate(leaf(), idempotency_key="k")
        ca.issue_many([leaf("b.internal"), leaf("c.internal", is_server_cert=True)])
        with pytest.raises(InvalidRequest):
            ca.issue_certificate(leaf("d.internal", profile="nonsense"))
        assert observer.issued_by_profile.total() == 4
        assert set(observer.revoked_by_reason) == set()

    def test_of_what_was_revoked(self, observer: ListObserver) -> None:
        ca = in_memory(observer)
        first, _, _ = ca.issue_certificate(leaf())
        ca.rotate_certificate(first.serial_number, leaf())
        ca.issue_certificate(leaf(), is_overwrite=True)
        ca.revoke_many(common_name="a.*", dry_run=True)
        ca.revoke_many(common_name="a.*", reason=x509.ReasonFlags.key_compromise)
        ca.revoke_many(common_name="nobody")
        assert ca.revoke_certificate(1) is False
        ca.renew_certificate(ca.issue_certificate(leaf("b.internal"))[0].serial_number)
        assert observer.revoked_by_reason == {"superseded": 2, "keyCompromise": 1}

    @pytest.mark.parametrize("commits", [True, False])
    def test_of_a_joined_transaction(
        self, world: World, observer: ListObserver, commits: bool
    ) -> None:
        engine = create_engine(world.url)
        with world.ca(observer=observer) as ca, closing(engine.connect()) as connection:
            with ca.prepare_certificate(leaf()) as prepared:
                prepared.join(connection)
                assert observer.issued_by_profile.total() == 1
                (connection.commit if commits else connection.rollback)()
            assert observer.issued_by_profile.total() == 1 + commits
            prepared.settle()
            assert observer.issued_by_profile.total() == 1 + commits
        engine.dispose()


class TestExpiry:
    def test_of_one_ca(self, observer: ListObserver) -> None:
        clock = ManualClock()
        ca = in_memory(observer, clock=clock)
        soon, _, _ = ca.issue_certificate(leaf(days_valid=10))
        later, _, _ = ca.issue_certificate(leaf("b.internal", days_valid=20))
        ca.issue_certificate(leaf("c.internal", days_valid=90))
        ca.issue_intermediate_ca("Inner", key_algorithm="p-256", days_valid=100)
        ca.under("Inner").issue_certificate(leaf("d.internal", days_valid=5))
        report = ca.measure_expiry()
        assert report.common_name == "Test Root"
        assert report.not_after == ca.factory.certificate.not_valid_after_utc
        assert report.crls == {"crl": None}
        ends = [one.serial_number for one in report.certificates]
        assert ends == [soon.serial_number, later.serial_number]
        assert observer.reports == {report.issuer_id: report}

        crl = ca.generate_crl(days_valid=3)
        clock.advance(timedelta(days=11))
        report = ca.measure_expiry(limit=1)
        assert report.crls["crl"].next_update == crl.next_update_utc
        assert [one.serial_number for one in report.certificates] == [later.serial_number]
        assert ca.measure_expiry(0, limit=0).certificates == ()

    @pytest.mark.parametrize("wrong", [{"within_days": -1}, {"limit": -1}])
    def test_of_negative_numbers(self, wrong: dict[str, int]) -> None:
        with pytest.raises(InvalidRequest, match="0 or more"):
            in_memory().measure_expiry(**wrong)

    def test_past_a_page(self, observer: ListObserver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tiny_ca.application.measure._PAGE", 2)
        ca = in_memory(observer)
        ca.issue_intermediate_ca("Inner", key_algorithm="p-256", days_valid=100)
        inner = ca.under("Inner")
        for number in range(5):
            (ca if number % 2 else inner).issue_certificate(
                leaf(f"n{number}.internal", days_valid=number + 1)
            )
        names = [one.common_name for one in ca.measure_expiry().certificates]
        assert names == ["n1.internal", "n3.internal"]
        names = [one.common_name for one in inner.measure_expiry(limit=2).certificates]
        assert names == ["n0.internal", "n2.internal"]


class TestOCSP:
    @pytest.fixture
    def registry(self) -> MemoryRegistry:
        return MemoryRegistry()

    def test_replies(self, observer: ListObserver, registry: MemoryRegistry) -> None:
        ca = in_memory(observer, db_handler=registry)
        cert, _, _ = ca.issue_certificate(leaf())
        responder = ca.ocsp_responder(delegated=False)
        good = ask(cert, ca.factory.certificate)
        assert read(responder.respond(good)).response_status.name == "SUCCESSFUL"
        responder.respond(b"nonsense")
        registry.cert_state = broken_registry  # type: ignore[method-assign]
        assert read(responder.respond(good)).response_status.name == "TRY_LATER"
        assert [one for one in observer.ended if one[0] == "ocsp_reply"] == [
            ("ocsp_reply", None),
            ("ocsp_reply", None),
            ("ocsp_reply", "RegistryError"),
        ]


def broken_registry(*_: object) -> Any:
    raise RegistryError("The database is gone.")
