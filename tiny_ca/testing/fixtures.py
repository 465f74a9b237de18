"""pytest fixtures for tests of what speaks TLS: nothing is written, and every key is P-256.

    # conftest.py, the one at the top
    pytest_plugins = ["tiny_ca.testing.fixtures"]

Each test has a CA of its own.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tiny_ca.adapters.outbound.memory import ManualClock, MemoryRegistry, MemoryStorage
from tiny_ca.application.requests import CAConfig
from tiny_ca.lifecycle import CertLifecycleManager, IssuedCertificate

__all__ = [
    "expired_leaf",
    "revoked_leaf",
    "tls_ca",
    "tls_client_context",
    "tls_server_context",
]

_HOSTS = ("localhost", "127.0.0.1", "::1")
_AGE = timedelta(days=30)


@pytest.fixture
def tls_ca() -> Iterator[CertLifecycleManager]:
    """A CA in memory, a month old, that keys of P-256 sign for."""
    config = CAConfig(
        common_name="Test CA",
        key_algorithm="p-256",
        valid_from=datetime.now(UTC) - _AGE,
    )
    with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as ca:
        ca.create_self_signed_ca(config)
        yield ca


@pytest.fixture
def tls_server_context(tls_ca: CertLifecycleManager) -> ssl.SSLContext:
    """A server's context for localhost, 127.0.0.1 and ::1.

    It trusts the CA's clients, once a test sets `verify_mode` to `ssl.CERT_REQUIRED`.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls_ca.issue(*_HOSTS, profile="server", key_algorithm="p-256").configure_cert(context)
    tls_ca.configure_trust(context)
    return context


@pytest.fixture
def tls_client_context(tls_ca: CertLifecycleManager) -> ssl.SSLContext:
    """A client's context that trusts the CA and nobody else, and has a certificate to show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    issued = tls_ca.issue("client@example.org", key_algorithm="p-256")
    issued.configure_cert(context)
    tls_ca.configure_trust(context)
    return context


@pytest.fixture
def expired_leaf(tls_ca: CertLifecycleManager) -> IssuedCertificate:
    """A certificate for expired.localhost and localhost, of servers and clients, long over."""
    services = tls_ca._services  # noqa: SLF001 - the same CA, a while ago
    then = CertLifecycleManager(
        services.storage,
        tls_ca.factory,
        services.registry,
        clock=ManualClock(datetime.now(UTC) - _AGE + timedelta(hours=1)),
    )
    return then.issue("expired.localhost", "localhost", key_algorithm="p-256", days_valid=1)


@pytest.fixture
def revoked_leaf(tls_ca: CertLifecycleManager) -> IssuedCertificate:
    """A certificate for revoked.localhost and localhost, of servers and clients, revoked.

    The CA's published CRL says so.
    """
    issued = tls_ca.issue("revoked.localhost", "localhost", key_algorithm="p-256")
    tls_ca.revoke_certificate(issued.serial_number, x509.ReasonFlags.key_compromise)
    tls_ca.publish_crl()
    return issued
