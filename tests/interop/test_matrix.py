"""Every profile with every kind of key, judged by other people's programs."""

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.interop.test_nginx import Answer, Nginx
from tests.interop.test_pkilint import lint
from tests.interop.test_tls import INVALID_PURPOSE, refusal, shake_hands
from tests.interop.three import Served, Three
from tests.support import need, run
from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec

pytestmark = pytest.mark.xdist_group("matrix")
SPECS = [
    KeySpec(rsa_bits=2048),
    KeySpec(rsa_bits=3072),
    KeySpec(rsa_bits=4096),
    *(KeySpec(algorithm) for algorithm in KeyAlgorithm if algorithm is not KeyAlgorithm.RSA),
]
TLS_SPECS = [KeySpec(), KeySpec(KeyAlgorithm.P256), KeySpec(KeyAlgorithm.ED25519)]
HOSTS = (
    x509.DNSName("server.example"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.UniformResourceIdentifier("spiffe://corp.example/api"),
)
MAILBOX = (x509.RFC822Name("jane@mail.example"),)
NAMES: dict[str, tuple[x509.GeneralName, ...]] = {
    "server": HOSTS,
    "client": HOSTS,
    "mtls": HOSTS,
    "short-lived": HOSTS,
    "device": HOSTS,
    "user": MAILBOX,
    "code-signing": MAILBOX,
    "timestamping": (),
    "ocsp-responder": (),
    "ca": (),
}
# As OpenSSL 3.0 calls them; it has none for code signing.
PURPOSES = {
    "server": ("sslserver",),
    "client": ("sslclient",),
    "mtls": ("sslserver", "sslclient"),
    "short-lived": ("sslserver", "sslclient"),
    "device": ("sslclient",),
    "user": ("smimesign", "sslclient"),
    "timestamping": ("timestampsign",),
    "ocsp-responder": ("ocsphelper",),
}
_URI = "extensions.3.extnValue.subjectAltName.2.uniformResourceIdentifier"
# What pkilint says in error, by code and place, with the reason.
ALLOWED = {
    # RFC 3986 §3.1 leaves schemes open; it knows those of the web alone, and not SPIFFE's.
    f"ERROR pkix.invalid_uri_syntax certificate.tbsCertificate.{_URI}",
}


def name_of(spec: KeySpec) -> str:
    return f"rsa-{spec.rsa_bits}" if spec.algorithm is KeyAlgorithm.RSA else spec.algorithm


@pytest.fixture(scope="module", params=SPECS, ids=name_of)
def three(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Three]:
    with Three.opened(tmp_path_factory.mktemp("three"), request.param) as made:
        yield made


def test_every_profile_is_here() -> None:
    assert set(NAMES) == set(BUILT_IN_PROFILES)


def complaints(certificate: x509.Certificate) -> list[str]:
    return [found for found in lint(certificate) if found not in ALLOWED]


def test_the_cas_above(three: Three) -> None:
    assert complaints(three.root) == []
    assert complaints(three.issuing) == []


@pytest.mark.parametrize("profile", NAMES)
def test_every_profile_with_every_kind_of_key(three: Three, profile: str) -> None:
    need("openssl")
    certificate = three.issue(profile, *NAMES[profile])
    assert complaints(certificate) == []
    above = [three.root] if profile == "ca" else [three.issuing, three.root]
    for signed, signer in pairwise([certificate, *above]):
        signed.verify_directly_issued_by(signer)
    if "ml-dsa" not in three.spec.algorithm:
        pem = three.write("leaf.pem", certificate.public_bytes(Encoding.PEM))
        for purpose in PURPOSES.get(profile, ("any",)):
            assert_openssl_accepts(three, pem, purpose)


def assert_openssl_accepts(three: Three, pem: Path, purpose: str) -> None:
    result = run(
        "openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-check_ss_sig",
        "-purpose", purpose, "-CAfile", three.root_pem, "-untrusted", three.issuing_pem, pem,
    )  # fmt: skip
    assert result.returncode == 0, (purpose, result.stderr)


class TestWithoutRevocation:
    """RFC 9608, for certificates of minutes."""

    def test_says_so_and_points_nowhere(self, three: Three) -> None:
        minutes = timedelta(minutes=5)
        certificate = three.issue("short-lived", *HOSTS, valid_for=minutes)
        assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == minutes
        assert complaints(certificate) == []
        by_oid = {one.oid.dotted_string: one for one in certificate.extensions}
        no_rev_avail = by_oid["2.5.29.56"]
        # §2: not critical, and its value is NULL.
        assert not no_rev_avail.critical
        assert no_rev_avail.value.public_bytes() == b"\x05\x00"
        # §3: neither CRLs nor a responder; who issued it, it may say.
        assert x509.CRLDistributionPoints.oid.dotted_string not in by_oid
        access = by_oid[x509.AuthorityInformationAccess.oid.dotted_string].value
        assert {one.access_method for one in access} == {
            x509.AuthorityInformationAccessOID.CA_ISSUERS
        }


def context(protocol: int, three: Three, served: Served) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    # The root alone: the CA between comes with the handshake.
    made.load_verify_locations(three.root_pem)
    made.load_verify_locations(three.crl_pem)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_CHAIN
    made.load_cert_chain(served.pem, served.key)
    return made


def contexts(three: Three, server: str, client: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return (
        context(ssl.PROTOCOL_TLS_SERVER, three, three.serve(server, *HOSTS)),
        context(ssl.PROTOCOL_TLS_CLIENT, three, three.serve(client, *HOSTS)),
    )


@pytest.fixture(scope="module", params=TLS_SPECS, ids=name_of)
def tls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Three]:
    with Three.opened(tmp_path_factory.mktemp("tls"), request.param) as made:
        yield made


class TestHandshakes:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize(
        ("server", "client"),
        [("server", "client"), ("mtls", "mtls"), ("short-lived", "short-lived")],
    )
    def test_both_sides_know_each_other(
        self, tls: Three, server: str, client: str, version: ssl.TLSVersion
    ) -> None:
        at_server, at_client = contexts(tls, server, client)
        at_server.minimum_version = at_server.maximum_version = version
        client_side, server_side = shake_hands(at_server, at_client)
        for side in (client_side, server_side):
            issuer = dict(pair for [pair] in side.getpeercert()["issuer"])
            assert issuer["commonName"] == "Interop Issuing"
        assert client_side.version() == version.name.replace("_", ".")

    @pytest.mark.parametrize(
        ("server", "client"), [("client", "client"), ("server", "server"), ("mtls", "server")]
    )
    def test_each_serves_its_purpose_alone(self, tls: Three, server: str, client: str) -> None:
        assert refusal(*contexts(tls, server, client)) == INVALID_PURPOSE

    def test_nginx_and_curl(self, tls: Three, tmp_path: Path) -> None:
        need("nginx", "curl")
        client = tls.serve("client")
        with Nginx.started(tmp_path / "site", tls, tls.serve("server", *HOSTS)) as nginx:
            assert nginx.get(client) == Answer(0, 200, f"SUCCESS {client.serial_number:X}")
            assert nginx.get(client, host="127.0.0.1").status == 200
            # A server's certificate is no client's.
            assert nginx.get(tls.serve("server", *HOSTS)).status == 400
