"""Who signs OCSP responses once a delegated certificate, or the CA, is over or revoked."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus

from tests.ocsp_client import ask, read, verify
from tests.regression.world import leaf
from tiny_ca import CAConfig, CertLifecycleManager, LocalStorage, ManualClock, SyncDBHandler

DAY = timedelta(days=1)
COMPROMISED = x509.ReasonFlags.key_compromise


@pytest.fixture
def ca(db_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[CertLifecycleManager]:
    """A manager whose root holds for ten days, on SQLite and PostgreSQL in turn."""
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url), clock=clock
    ) as made:
        config = CAConfig(common_name="Root", key_algorithm="p-256", days_valid=10)
        made.create_self_signed_ca(config)
        yield made


def root_of(ca: CertLifecycleManager) -> x509.Certificate:
    assert ca.factory is not None
    return ca.factory.certificate


def test_a_delegate_that_is_revoked_signs_no_more(ca: CertLifecycleManager) -> None:
    cert, root = ca.issue_certificate(leaf(days_valid=1))[0], root_of(ca)
    responder = ca.ocsp_responder()
    first = verify(read(responder.respond(ask(cert, root))), root)
    ca.revoke_certificate(first.serial_number, COMPROMISED)
    second = verify(read(responder.respond(ask(cert, root))), root)
    assert second.public_key() != first.public_key()
    # Another one's, of whatever process, is the same.
    assert verify(read(ca.ocsp_responder().respond(ask(cert, root))), root) == second
    assert read(responder.respond(ask(first, root))).certificate_status is OCSPCertStatus.REVOKED


@pytest.mark.parametrize("is_delegated", [True, False])
def test_a_ca_that_is_over(
    ca: CertLifecycleManager,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    is_delegated: bool,
) -> None:
    cert, root = ca.issue_certificate(leaf(days_valid=1))[0], root_of(ca)
    responder = ca.ocsp_responder(delegated=is_delegated)
    verify(read(responder.respond(ask(cert, root))), root)
    clock.advance(11 * DAY)
    for each in (responder, ca.ocsp_responder(delegated=is_delegated)):
        status = read(each.respond(ask(cert, root))).response_status
        assert status is OCSPResponseStatus.UNAUTHORIZED
        assert each.presign() == 0
    # Whoever asks would fill the log.
    assert "OCSP: " not in caplog.text


def test_a_ca_that_is_over_keeps_no_other_from_signing_beforehand(
    ca: CertLifecycleManager, clock: ManualClock
) -> None:
    responder = ca.ocsp_responder()
    below = {}
    for name, days in (("Short", 2), ("Revoked", 9)):
        ca.issue_intermediate_ca(name, key_algorithm="p-256", days_valid=days)
        below[name] = ca.under(name)
        below[name].issue_certificate(leaf(f"of.{name}.example", days_valid=days - 1))
    ca.revoke_certificate(root_of(below["Revoked"]).serial_number, COMPROMISED)
    clock.advance(3 * DAY)
    # The root itself, the CA that is revoked, and the certificate that signs this.
    assert responder.presign() == 3
    assert below["Short"].publish_due(responder=responder)
