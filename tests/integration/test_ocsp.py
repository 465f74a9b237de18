"""An OCSP responder on real databases and files, asked by cryptography."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.ocsp_client import ask, cert_id, read, request_of, verify
from tiny_ca import (
    AsyncCertLifecycleManager,
    AsyncDBHandler,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.crypto import OCSPBackend, der
from tiny_ca.application.ocsp import OCSPResponder
from tiny_ca.domain.errors import InvalidRequest, RegistryError
from tiny_ca.domain.records import CertificateStatus

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOLD = x509.ReasonFlags.certificate_hold


def leaf(ca: CertLifecycleManager, name: str = "a.example", **fields: Any) -> x509.Certificate:
    config = ClientConfig(common_name=name, key_algorithm="p-256", is_server_cert=True, **fields)
    return ca.issue_certificate(config)[0]


def root_of(ca: CertLifecycleManager) -> x509.Certificate:
    assert ca.factory is not None
    return ca.factory.certificate


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ca(db_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[CertLifecycleManager]:
    """A manager on files and a database, SQLite and PostgreSQL in turn."""
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url), clock=clock
    ) as made:
        made.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        yield made


@pytest.fixture
def memory(clock: ManualClock) -> CertLifecycleManager:
    made = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=clock)
    made.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
    return made


@pytest.fixture(params=[True, False], ids=["delegated", "by the issuer"])
def responder(ca: CertLifecycleManager, request: pytest.FixtureRequest) -> OCSPResponder:
    return ca.ocsp_responder(delegated=request.param)


def asked(
    responder: OCSPResponder, cert: x509.Certificate, issuer: x509.Certificate, **options: Any
) -> ocsp.OCSPResponse:
    """Ask, check who signed, and give the response."""
    response = read(responder.respond(ask(cert, issuer, **options)))
    assert response.response_status is OCSPResponseStatus.SUCCESSFUL
    verify(response, issuer)
    return response


class TestAnswers:
    @pytest.mark.parametrize("digest", ["sha1", "sha256"])
    @pytest.mark.parametrize("nonce", [None, b"n", b"n" * 128])
    def test_good_revoked_held_and_released(
        self, ca: CertLifecycleManager, responder: OCSPResponder, digest: str, nonce: bytes | None
    ) -> None:
        cert, root = leaf(ca), root_of(ca)

        def state() -> ocsp.OCSPResponse:
            response = asked(responder, cert, root, digest=digest, nonce=nonce)
            repeated = [each.value.nonce for each in response.extensions]
            assert repeated == ([] if nonce is None else [nonce])
            assert response.serial_number == cert.serial_number
            assert response.hash_algorithm.name == digest
            return response

        good = state()
        assert good.certificate_status is OCSPCertStatus.GOOD
        assert good.this_update_utc == good.produced_at_utc == NOW
        assert good.next_update_utc == NOW + 12 * HOUR
        ca.revoke_certificate(cert.serial_number, HOLD)
        assert (state().certificate_status, state().revocation_reason) == (
            OCSPCertStatus.REVOKED,
            HOLD,
        )
        ca.release_certificate(cert.serial_number)
        assert state().certificate_status is OCSPCertStatus.GOOD
        ca.revoke_certificate(cert.serial_number, x509.ReasonFlags.key_compromise)
        revoked = state()
        assert revoked.revocation_time_utc == NOW
        assert revoked.revocation_reason is x509.ReasonFlags.key_compromise

    def test_a_reason_is_left_out_when_it_says_nothing(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        cert = leaf(ca)
        ca.revoke_certificate(cert.serial_number)
        response = asked(responder, cert, root_of(ca))
        assert response.certificate_status is OCSPCertStatus.REVOKED
        assert response.revocation_reason is None

    def test_what_was_never_handed_out_is_unknown(
        self, ca: CertLifecycleManager, responder: OCSPResponder, db_url: str
    ) -> None:
        """Reserved, abandoned, or never heard of."""
        cert, root = leaf(ca), root_of(ca)
        engine = create_engine(db_url)
        for status in (CertificateStatus.PENDING, CertificateStatus.ABANDONED):
            with engine.begin() as connection:
                connection.execute(
                    text("UPDATE certificates SET status = :status WHERE serial_number = :serial"),
                    {"status": status.value, "serial": str(cert.serial_number)},
                )
            response = asked(responder, cert, root)
            assert response.certificate_status is OCSPCertStatus.UNKNOWN
            assert response.next_update_utc == NOW + timedelta(minutes=1)
        engine.dispose()
        never = leaf(CertLifecycleManager(NoStorage(), ca.factory), "never.example")
        assert asked(responder, never, root).certificate_status is OCSPCertStatus.UNKNOWN

    def test_no_answer_outlives_its_certificate(
        self, ca: CertLifecycleManager, responder: OCSPResponder, clock: ManualClock
    ) -> None:
        cert, root = leaf(ca, days_valid=1), root_of(ca)
        clock.advance(20 * HOUR)
        assert asked(responder, cert, root).next_update_utc == cert.not_valid_after_utc
        clock.advance(4 * HOUR)
        assert asked(responder, cert, root).certificate_status is OCSPCertStatus.GOOD
        clock.advance(timedelta(seconds=1))
        assert asked(responder, cert, root).certificate_status is OCSPCertStatus.UNKNOWN

    def test_a_revoked_certificate_stays_so_after_its_end(
        self, ca: CertLifecycleManager, responder: OCSPResponder, clock: ManualClock
    ) -> None:
        cert, root = leaf(ca, days_valid=1), root_of(ca)
        ca.revoke_certificate(cert.serial_number)
        clock.advance(2 * DAY)
        response = asked(responder, cert, root)
        assert response.certificate_status is OCSPCertStatus.REVOKED
        assert response.next_update_utc is not None
        assert response.next_update_utc > response.this_update_utc

    def test_several_at_once(self, ca: CertLifecycleManager, responder: OCSPResponder) -> None:
        root = root_of(ca)
        certs = [leaf(ca, f"{i}.example") for i in range(3)]
        ca.revoke_certificate(certs[1].serial_number)
        request = request_of(*(cert_id(ask(cert, root)) for cert in certs))
        # cryptography reads one answer at a time.
        response = read(responder.respond(request))
        verify(response, root)
        answers = list(response.responses)
        assert [each.serial_number for each in answers] == [each.serial_number for each in certs]
        assert [each.certificate_status for each in answers] == [
            OCSPCertStatus.GOOD,
            OCSPCertStatus.REVOKED,
            OCSPCertStatus.GOOD,
        ]

    def test_the_certid_comes_back_as_it_was_asked(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        """Also one that leaves out the NULL of its algorithm, and is not pre-signed so."""
        cert, root = leaf(ca), root_of(ca)
        responder.presign()
        usual = cert_id(ask(cert, root))
        rare = usual.replace(
            bytes.fromhex("300906052b0e03021a0500"), bytes.fromhex("300706052b0e03021a")
        )
        rare = bytes((rare[0], rare[1] - 2)) + rare[2:]
        for one in (usual, rare):
            response = responder.respond(request_of(one))
            assert one in response
            assert read(response).certificate_status is OCSPCertStatus.GOOD

    def test_the_crl_says_the_same(
        self, ca: CertLifecycleManager, responder: OCSPResponder, clock: ManualClock
    ) -> None:
        cert, root = leaf(ca), root_of(ca)
        clock.advance(HOUR)
        ca.revoke_certificate(cert.serial_number, x509.ReasonFlags.superseded)
        clock.advance(HOUR)
        listed = ca.generate_crl().get_revoked_certificate_by_serial_number(cert.serial_number)
        assert listed is not None
        answered = asked(responder, cert, root)
        assert answered.revocation_time_utc == listed.revocation_date_utc
        [reason] = listed.extensions
        assert answered.revocation_reason is reason.value.reason


class TestIssuers:
    def test_each_ca_on_record_has_its_signer(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        root, under_root = root_of(ca), leaf(ca)
        asked(responder, under_root, root)
        # Made after the responder has looked which CAs there are.
        between, _ = ca.issue_intermediate_ca("Between", key_algorithm="ed25519")
        below = leaf(ca.under("Between"), "b.example")
        assert asked(responder, below, between).certificate_status is OCSPCertStatus.GOOD
        assert asked(responder, between, root).certificate_status is OCSPCertStatus.GOOD

    def test_one_signer_does_not_speak_for_two(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        between, _ = ca.issue_intermediate_ca("Between", key_algorithm="p-256")
        below = leaf(ca.under("Between"), "b.example")
        ids = cert_id(ask(leaf(ca), root_of(ca))), cert_id(ask(below, between))
        answers = list(read(responder.respond(request_of(*ids))).responses)
        assert [each.certificate_status for each in answers] == [
            OCSPCertStatus.GOOD,
            OCSPCertStatus.UNKNOWN,
        ]

    def test_a_serial_number_counts_with_its_issuer(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        between, _ = ca.issue_intermediate_ca("Between", key_algorithm="p-256")
        own, codec = leaf(ca), OCSPBackend()
        other = codec.cert_id("sha1", codec.issuer_hashes(between)["sha1"], own.serial_number)
        request = request_of(cert_id(ask(own, root_of(ca))), other.der)
        answers = list(read(responder.respond(request)).responses)
        assert [each.certificate_status for each in answers] == [
            OCSPCertStatus.GOOD,
            OCSPCertStatus.UNKNOWN,
        ]

    def test_a_ca_after_its_rollover(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        old_root, old = root_of(ca), leaf(ca)
        ca.rollover_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        new_root, new = root_of(ca), leaf(ca, "b.example")
        assert asked(responder, old, old_root).certificate_status is OCSPCertStatus.GOOD
        assert asked(responder, new, new_root).certificate_status is OCSPCertStatus.GOOD

    def test_nobody_answers_for_strangers(
        self, ca: CertLifecycleManager, responder: OCSPResponder, tmp_path: Path
    ) -> None:
        with CertLifecycleManager(
            MemoryStorage(), db_handler=MemoryRegistry(), clock=ManualClock(NOW)
        ) as other:
            other.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
            stranger, its_root = leaf(other), root_of(other)
        response = read(responder.respond(ask(stranger, its_root)))
        assert response.response_status is OCSPResponseStatus.UNAUTHORIZED
        # Its certificate alone gives nobody the right to sign for it.
        ca.import_ca(its_root)
        response = read(responder.respond(ask(stranger, its_root)))
        assert response.response_status is OCSPResponseStatus.UNAUTHORIZED


class TestDelegation:
    def test_the_certificate_is_recorded_and_shared(
        self, ca: CertLifecycleManager, tmp_path: Path, db_url: str, clock: ManualClock
    ) -> None:
        cert, root = leaf(ca), root_of(ca)
        [signer] = asked(ca.ocsp_responder(), cert, root).certificates
        [record] = [one for one in ca.list_certificates() if one.profile == "ocsp-responder"]
        assert record.serial_number == signer.serial_number
        [key] = (tmp_path / "pki/ocsp").glob("*/ocsp.key")
        assert key.stat().st_mode & 0o777 == 0o600
        with CertLifecycleManager(
            LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url), clock=clock
        ) as another:
            assert asked(another.ocsp_responder(), cert, root).certificates == [signer]

    def test_it_is_replaced_at_half_its_life(
        self, memory: CertLifecycleManager, clock: ManualClock
    ) -> None:
        responder, root = memory.ocsp_responder(), root_of(memory)
        cert = leaf(memory)
        [first] = asked(responder, cert, root).certificates
        clock.advance(3 * DAY)
        assert asked(responder, cert, root).certificates == [first]
        clock.advance(DAY)
        [second] = asked(responder, cert, root).certificates
        assert second != first
        assert second.public_key() != first.public_key()

    def test_it_serves_to_its_end_when_it_cant_be_replaced(
        self, memory: CertLifecycleManager, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        responder, root = memory.ocsp_responder(validity=DAY), root_of(memory)
        cert = leaf(memory)
        [signer] = asked(responder, cert, root).certificates
        memory.revoke_certificate(root.serial_number, x509.ReasonFlags.ca_compromise)
        clock.advance(timedelta(days=6, hours=12))
        last = asked(responder, cert, root)
        assert last.certificates == [signer]
        assert "issuer is revoked" in caplog.text
        # RFC 6960 §4.2.2.2: nobody believes an answer that outlives its signer.
        assert last.next_update_utc == signer.not_valid_after_utc
        clock.advance(DAY)
        response = read(responder.respond(ask(cert, root)))
        assert response.response_status is OCSPResponseStatus.UNAUTHORIZED

    def test_it_ends_with_its_issuer_without_a_warning(self, clock: ManualClock) -> None:
        ca = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=clock)
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256", days_valid=2))
        cert = leaf(ca, days_valid=1)
        responder = ca.ocsp_responder(validity=10 * DAY)
        [signer] = asked(responder, cert, root_of(ca)).certificates
        assert signer.not_valid_after_utc == root_of(ca).not_valid_after_utc

    def test_without_files_it_lives_in_memory(self, clock: ManualClock) -> None:
        ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry(), clock=clock)
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        responder, cert = ca.ocsp_responder(), leaf(ca)
        first = asked(responder, cert, root_of(ca)).certificates
        assert asked(responder, cert, root_of(ca)).certificates == first

    @pytest.mark.parametrize(
        "algorithm", ["rsa", "p-384", "p-521", "ed25519", "ed448", "ml-dsa-44"]
    )
    @pytest.mark.parametrize("is_delegated", [True, False])
    def test_every_algorithm(self, clock: ManualClock, algorithm: Any, is_delegated: bool) -> None:
        ca = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=clock)
        ca.create_self_signed_ca(
            CAConfig(common_name="Root", key_algorithm=algorithm, key_size=2048)
        )
        responder, root, cert = ca.ocsp_responder(delegated=is_delegated), root_of(ca), leaf(ca)
        der_ = responder.respond(ask(cert, root))
        if algorithm.startswith("ml-dsa"):
            # cryptography does not say which hash that is: it has none.
            outer = der.Reader(der_).sequence()
            assert outer.enumerated() == 0
            return
        verify(read(der_), root)


class TestPreSigned:
    def test_it_is_served_until_its_time(
        self, ca: CertLifecycleManager, responder: OCSPResponder, clock: ManualClock
    ) -> None:
        cert, root = leaf(ca), root_of(ca)
        responder.respond(ask(cert, root))
        count = responder.presign()
        assert count >= 2
        assert responder.presign() == 0
        first = responder.respond(ask(cert, root))
        clock.advance(5 * HOUR)
        assert responder.respond(ask(cert, root)) == first
        assert responder.presign() == 0
        clock.advance(2 * HOUR)
        assert responder.presign() == count
        second = asked(responder, cert, root)
        assert second.this_update_utc == NOW + 7 * HOUR
        clock.advance(12 * HOUR)
        assert asked(responder, cert, root).this_update_utc == NOW + 19 * HOUR

    def test_a_revocation_by_whomever_shows_at_once(
        self, ca: CertLifecycleManager, responder: OCSPResponder, db_url: str
    ) -> None:
        certs, root = [leaf(ca, f"{i}.example") for i in range(4)], root_of(ca)
        responder.presign()
        other = CertLifecycleManager(NoStorage(), db_handler=SyncDBHandler(db_url))
        with other:
            other.revoke_certificate(certs[0].serial_number)
            other.revoke_many([certs[1].serial_number], HOLD)
        ca.rotate_certificate(
            certs[2].serial_number, ClientConfig(common_name="2.example", key_algorithm="p-256")
        )
        statuses = [asked(responder, cert, root).certificate_status for cert in certs]
        assert statuses == [OCSPCertStatus.REVOKED] * 3 + [OCSPCertStatus.GOOD]
        ca.release_certificate(certs[1].serial_number)
        assert asked(responder, certs[1], root).certificate_status is OCSPCertStatus.GOOD

    def test_a_nonce_is_never_answered_from_the_table(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        cert, root = leaf(ca), root_of(ca)
        responder.presign()
        response = asked(responder, cert, root, nonce=b"fresh")
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"fresh"

    def test_each_digest_has_its_own(
        self, ca: CertLifecycleManager, responder: OCSPResponder
    ) -> None:
        cert, root = leaf(ca), root_of(ca)
        assert responder.presign("sha256") == responder.presign("sha1")
        for digest in ("sha1", "sha256"):
            assert asked(responder, cert, root, digest=digest).hash_algorithm.name == digest

    def test_it_goes_with_its_certificate(
        self, ca: CertLifecycleManager, responder: OCSPResponder, clock: ManualClock, db_url: str
    ) -> None:
        cert, root = leaf(ca, days_valid=1), root_of(ca)
        responder.presign()
        clock.advance(2 * DAY)
        assert ca.delete_certificate(cert.serial_number)
        with create_engine(db_url, poolclass=NullPool).begin() as connection:
            kept = connection.execute(text("SELECT serial_number FROM ocsp_responses")).scalars()
            assert str(cert.serial_number) not in set(kept)
        assert asked(responder, cert, root).certificate_status is OCSPCertStatus.UNKNOWN

    def test_in_memory(self, memory: CertLifecycleManager) -> None:
        responder, cert = memory.ocsp_responder(), leaf(memory)
        assert responder.presign() == 3
        assert responder.presign() == 0
        first = responder.respond(ask(cert, root_of(memory)))
        assert responder.respond(ask(cert, root_of(memory))) == first
        memory.revoke_certificate(cert.serial_number)
        assert asked(responder, cert, root_of(memory)).certificate_status is OCSPCertStatus.REVOKED
        with pytest.raises(InvalidRequest):
            responder.presign("md5")


class TestFailures:
    """RFC 6960 §2.3; a database error is tryLater, never good."""

    @pytest.mark.parametrize("presigned", [False, True])
    def test_a_database_that_is_gone(self, tmp_path: Path, presigned: bool) -> None:
        path = tmp_path / "registry.db"
        with CertLifecycleManager(
            LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(f"sqlite:///{path}")
        ) as ca:
            ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
            cert, root, responder = leaf(ca), root_of(ca), ca.ocsp_responder()
            asked(responder, cert, root)
            if presigned:
                responder.presign()
            path.rename(tmp_path / "away.db")
            response = read(responder.respond(ask(cert, root)))
            assert response.response_status is OCSPResponseStatus.TRY_LATER
            (tmp_path / "away.db").rename(path)
            assert asked(responder, cert, root).certificate_status is OCSPCertStatus.GOOD

    def test_a_table_that_is_gone(
        self, ca: CertLifecycleManager, responder: OCSPResponder, db_url: str
    ) -> None:
        cert, root = leaf(ca), root_of(ca)
        asked(responder, cert, root)
        with create_engine(db_url, poolclass=NullPool).begin() as connection:
            connection.execute(text("DROP TABLE ocsp_responses"))
        response = read(responder.respond(ask(cert, root)))
        assert response.response_status is OCSPResponseStatus.TRY_LATER

    def test_keys_that_are_gone(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        between, _ = ca.issue_intermediate_ca("Between", key_algorithm="p-256", uuid_str="between")
        below = leaf(ca.under("Between"), "b.example")
        (tmp_path / "pki/between").rename(tmp_path / "away")
        response = read(ca.ocsp_responder().respond(ask(below, between)))
        assert response.response_status is OCSPResponseStatus.TRY_LATER

    def test_a_bug_is_an_internal_error_and_logged(
        self,
        memory: CertLifecycleManager,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        responder, cert = memory.ocsp_responder(), leaf(memory)
        monkeypatch.setattr(MemoryRegistry, "cert_state", lambda *_: 1 / 0)
        response = read(responder.respond(ask(cert, root_of(memory))))
        assert response.response_status is OCSPResponseStatus.INTERNAL_ERROR
        assert "division by zero" in caplog.text

    def test_presign_raises_what_goes_wrong(self, tmp_path: Path) -> None:
        path = tmp_path / "registry.db"
        with CertLifecycleManager(NoStorage(), db_handler=SyncDBHandler(f"sqlite:///{path}")) as ca:
            ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
            responder = ca.ocsp_responder()
            path.unlink()
            with pytest.raises(RegistryError):
                responder.presign()

    @pytest.mark.parametrize("validity", [timedelta(0), timedelta(milliseconds=1500)])
    def test_a_validity_that_is_none(
        self, memory: CertLifecycleManager, validity: timedelta
    ) -> None:
        with pytest.raises(InvalidRequest):
            memory.ocsp_responder(validity=validity)


@pytest.mark.parametrize("handler", [AsyncDBHandler, SyncDBHandler])
@pytest.mark.anyio
async def test_the_async_face(tmp_path: Path, handler: Any) -> None:
    ca = AsyncCertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=handler(f"sqlite:///{tmp_path / 'r.db'}")
    )
    async with ca:
        await ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        cert, _, _ = await ca.issue_certificate(
            ClientConfig(common_name="a", key_algorithm="p-256")
        )
        responder = await ca.ocsp_responder()
        assert ca.factory is not None
        request = ask(cert, ca.factory.certificate)
        first = await responder.respond(request)
        assert read(first).certificate_status is OCSPCertStatus.GOOD
        assert await responder.presign() == 3
        reply = await responder.reply(request)
        assert reply.der == await responder.respond(request)
        assert reply.next_update == read(reply.der).next_update_utc


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_requests_that_come_together(memory: CertLifecycleManager, backend: str) -> None:
    """Each gets its own answer, and who goes away takes nobody's along."""
    certs = [leaf(memory, f"n{i}.example") for i in range(40)]
    requests = [ask(cert, root_of(memory)) for cert in certs]
    ca = AsyncCertLifecycleManager.wrapping(memory)
    answers: dict[int, int] = {}

    async def main() -> None:
        responder = await ca.ocsp_responder()

        async def one(place: int) -> None:
            with anyio.CancelScope() as scope:
                if place % 7 == 0:
                    scope.cancel()
                response = read(await responder.respond(requests[place]))
                answers[place] = response.serial_number

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for place in range(40):
                    group.start_soon(one, place)

    # Of one event loop after another.
    for _ in range(2):
        answers.clear()
        anyio.run(main, backend=backend)
        expected = {i: cert.serial_number for i, cert in enumerate(certs)}
        assert answers.items() <= expected.items()
        assert {place for place in range(40) if place % 7} <= set(answers)


def test_a_forked_child_answers_beside_its_parent(
    ca: CertLifecycleManager, responder: OCSPResponder
) -> None:
    """On connections of its own: on one, each would read the other's answers."""
    good, revoked, root = leaf(ca), leaf(ca, "b.example"), root_of(ca)
    ca.revoke_certificate(revoked.serial_number)
    asked(responder, good, root)

    def are_right(cert: x509.Certificate, status: OCSPCertStatus) -> bool:
        responses = (read(responder.respond(ask(cert, root))) for _ in range(300))
        return all(
            (each.serial_number, each.certificate_status) == (cert.serial_number, status)
            for each in responses
        )

    child = os.fork()
    if child == 0:
        is_right = False
        try:
            is_right = are_right(revoked, OCSPCertStatus.REVOKED)
        finally:
            os._exit(0 if is_right else 1)
    is_right = are_right(good, OCSPCertStatus.GOOD)
    assert os.waitpid(child, 0)[1] == 0
    assert is_right
