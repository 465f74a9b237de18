"""What people put into `pytest_plugins` works in their test suites."""

import sys

import pytest

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["tiny_ca.testing.fixtures"]'
TESTS = """
import ssl

import pytest
from cryptography import x509
from tiny_ca import CertificateStatus, TinyCAError


def shake_hands(server, client, name="localhost"):
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(5):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_both_sides(tls_server_context, tls_client_context, name):
    tls_server_context.verify_mode = ssl.CERT_REQUIRED
    _, server = shake_hands(tls_server_context, tls_client_context, name)
    assert server.getpeercert()["subjectAltName"] == (("email", "client@example.org"),)


def test_nobody_else_is_trusted(tls_client_context):
    assert [ca["subject"] for ca in tls_client_context.get_ca_certs()] == [
        ((("commonName", "Test CA"),),)
    ]


def test_over(tls_ca, tls_client_context, expired_leaf):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired_leaf.configure_cert(server)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(server, tls_client_context)
    status = tls_ca.get_certificate_status(expired_leaf.serial_number)
    assert status is CertificateStatus.EXPIRED


def test_revoked(tls_ca, tls_client_context, revoked_leaf):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    revoked_leaf.configure_cert(server)
    shake_hands(server, tls_client_context)
    crl = bytes(tls_ca.published_crl(tls_ca.factory.issuer_id).der)
    assert x509.load_der_x509_crl(crl).get_revoked_certificate_by_serial_number(
        revoked_leaf.serial_number
    )
    with pytest.raises(TinyCAError):
        tls_ca.verify_certificate(revoked_leaf.certificate)


def test_a_ca_of_its_own(tls_ca):
    assert len(tls_ca.list_certificates()) == 1
"""
IMPORTS = """
import sys
sys.modules["hypothesis"] = None
import tiny_ca.testing.fixtures
"""


def test_they_work_in_a_suite(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    arguments = ("-q", "-p", "no:cacheprovider", "-W", "error", "-p", "no:hypothesispytest")
    outcome = pytester.runpytest_subprocess(*arguments)
    outcome.assert_outcomes(passed=7)


def test_the_list_of_fixtures_tells_of_them(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    listed = pytester.runpytest_subprocess("--fixtures", "-q", "-p", "no:cacheprovider")
    for name in ("expired_leaf", "revoked_leaf", "tls_ca", "tls_client_context"):
        listed.stdout.fnmatch_lines(f"{name} -- *")


def test_they_need_pytest_alone(pytester: pytest.Pytester) -> None:
    done = pytester.run(sys.executable, "-c", IMPORTS)
    assert (done.ret, done.errlines) == (0, [])
