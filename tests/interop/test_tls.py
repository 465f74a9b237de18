"""OpenSSL's TLS, as Python drives it, shakes hands with what we issued."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tests.interop.pki import PKI, Identity

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
SIGNATURE_FAILURE = 7
NO_LOCAL_ISSUER = 20
REVOKED = 23
INVALID_PURPOSE = 26
HOSTNAME_MISMATCH = 62
IP_ADDRESS_MISMATCH = 64


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PKI]:
    with PKI.opened(tmp_path_factory.mktemp("pki")) as made:
        made.ca.generate_crl()
        yield made


@pytest.fixture(scope="module")
def server(pki: PKI) -> Identity:
    return pki.issue(
        "server.example",
        is_server_cert=True,
        san_dns=["*.wild.example", "bücher.example"],
        san_ip=["127.0.0.1", "::1"],
    )


@pytest.fixture(scope="module")
def client(pki: PKI) -> Identity:
    return pki.issue("client", is_client_cert=True)


def context(
    protocol: int, pki: PKI, identity: Identity | None, *, with_crl: bool = False
) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.load_verify_locations(pki.root_pem)
    made.verify_mode = ssl.CERT_REQUIRED
    # On by default from Python 3.13 on.
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    if with_crl:
        made.load_verify_locations(pki.crl_pem)
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if identity is not None:
        made.load_cert_chain(identity.pem, identity.key)
    return made


def server_context(pki: PKI, identity: Identity, *, with_crl: bool = True) -> ssl.SSLContext:
    return context(ssl.PROTOCOL_TLS_SERVER, pki, identity, with_crl=with_crl)


def client_context(pki: PKI, identity: Identity | None, *, with_crl: bool = True) -> ssl.SSLContext:
    return context(ssl.PROTOCOL_TLS_CLIENT, pki, identity, with_crl=with_crl)


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str = "server.example"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Shake hands in memory; raises the exception of the side that refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    unfinished = list(sides)
    for _ in range(10):
        for side in tuple(unfinished):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            unfinished.remove(side)
        if not unfinished:
            return sides
    raise AssertionError("The handshake does not end.")


def refusal(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "server.example") -> int:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(server, client, name)
    return caught.value.verify_code


class TestMutualTLS:
    def test_both_sides_know_each_other(self, pki: PKI, server: Identity, client: Identity) -> None:
        at_client, at_server = shake_hands(server_context(pki, server), client_context(pki, client))
        assert at_server.getpeercert()["serialNumber"] == f"{client.serial_number:X}"
        assert at_client.getpeercert()["serialNumber"] == f"{server.serial_number:X}"
        at_client.write(b"hello")
        assert at_server.read(5) == b"hello"

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("key_algorithm", ["rsa", "p-256", "p-384", "p-521", "ed25519"])
    def test_every_key_algorithm_signs_handshakes(
        self, tmp_path: Path, key_algorithm: str, version: ssl.TLSVersion
    ) -> None:
        with PKI.opened(tmp_path, key_algorithm=key_algorithm) as pki:
            pki.ca.generate_crl()
            identity = pki.issue("server.example", is_server_cert=True, is_client_cert=True)
            at_server = server_context(pki, identity)
            at_server.maximum_version = at_server.minimum_version = version
            client, _ = shake_hands(at_server, client_context(pki, identity))
            assert client.version() == version.name.replace("_", ".")

    def test_a_revoked_client_is_out(self, pki: PKI, server: Identity, client: Identity) -> None:
        revoked = pki.issue("revoked client", is_client_cert=True)
        before = server_context(pki, server)
        shake_hands(before, client_context(pki, revoked))
        pki.revoke(revoked)
        pki.ca.generate_crl()
        after = server_context(pki, server)
        assert refusal(after, client_context(pki, revoked)) == REVOKED
        shake_hands(after, client_context(pki, client))

    def test_a_rotated_client_is_out_and_its_successor_in(self, pki: PKI, server: Identity) -> None:
        old = pki.issue("rotated client", is_client_cert=True)
        new = pki.rotate(old, "rotated client", is_client_cert=True)
        pki.ca.generate_crl()
        at_server = server_context(pki, server)
        assert refusal(at_server, client_context(pki, old)) == REVOKED
        shake_hands(at_server, client_context(pki, new))

    def test_a_revoked_server_is_out(self, pki: PKI, client: Identity) -> None:
        revoked = pki.issue("revoked.example", is_server_cert=True)
        pki.revoke(revoked)
        pki.ca.generate_crl()
        at_server = server_context(pki, revoked)
        assert refusal(at_server, client_context(pki, client), "revoked.example") == REVOKED

    def test_a_released_hold_lets_the_client_in_again(self, pki: PKI, server: Identity) -> None:
        held = pki.issue("held client", is_client_cert=True)
        pki.revoke(held, x509.ReasonFlags.certificate_hold)
        pki.ca.generate_crl()
        assert refusal(server_context(pki, server), client_context(pki, held)) == REVOKED
        assert pki.ca.release_certificate(held.serial_number)
        pki.ca.generate_crl()
        shake_hands(server_context(pki, server), client_context(pki, held))

    def test_a_client_without_certificate_is_out(self, pki: PKI, server: Identity) -> None:
        with pytest.raises(ssl.SSLError) as caught:
            shake_hands(server_context(pki, server), client_context(pki, None))
        assert caught.value.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"

    def test_a_client_of_a_namesake_is_out(
        self, pki: PKI, server: Identity, tmp_path: Path
    ) -> None:
        with PKI.opened(tmp_path) as namesake:
            assert namesake.root.subject == pki.root.subject
            stranger = namesake.issue("client", is_client_cert=True)
        at_server = server_context(pki, server, with_crl=False)
        code = refusal(at_server, client_context(pki, stranger))
        assert code in {SIGNATURE_FAILURE, NO_LOCAL_ISSUER}


class TestPurposes:
    def test_a_client_certificate_serves_nobody(self, pki: PKI, client: Identity) -> None:
        only_client = pki.issue("only-client.example", is_client_cert=True)
        at_server = server_context(pki, only_client)
        at_client = client_context(pki, client)
        assert refusal(at_server, at_client, "only-client.example") == INVALID_PURPOSE

    def test_a_server_certificate_is_no_client(self, pki: PKI, server: Identity) -> None:
        assert refusal(server_context(pki, server), client_context(pki, server)) == INVALID_PURPOSE


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "server.example",
            "SERVER.example",
            "a.wild.example",
            "xn--bcher-kva.example",
            "127.0.0.1",
            "::1",
        ],
    )
    def test_its_names_are_accepted(
        self, pki: PKI, server: Identity, client: Identity, name: str
    ) -> None:
        shake_hands(server_context(pki, server), client_context(pki, client), name)

    @pytest.mark.parametrize(
        "name",
        [
            "other.example",
            "a.server.example",
            "wild.example",
            "a.b.wild.example",
            "server.example.evil.example",
        ],
    )
    def test_other_names_are_refused(
        self, pki: PKI, server: Identity, client: Identity, name: str
    ) -> None:
        code = refusal(server_context(pki, server), client_context(pki, client), name)
        assert code == HOSTNAME_MISMATCH

    @pytest.mark.parametrize("address", ["127.0.0.2", "::2"])
    def test_other_addresses_are_refused(
        self, pki: PKI, server: Identity, client: Identity, address: str
    ) -> None:
        code = refusal(server_context(pki, server), client_context(pki, client), address)
        assert code == IP_ADDRESS_MISMATCH

    def test_a_common_name_that_is_an_address_is_one_in_the_san(
        self, pki: PKI, client: Identity
    ) -> None:
        by_address = server_context(pki, pki.issue("192.0.2.9", is_server_cert=True))
        shake_hands(by_address, client_context(pki, client), "192.0.2.9")
        assert refusal(by_address, client_context(pki, client), "192.0.2.8") == IP_ADDRESS_MISMATCH


def test_an_encrypted_key_opens_in_tls(tmp_path: Path) -> None:
    with PKI.opened(tmp_path, encryption=BestAvailableEncryption(b"correct horse")) as pki:
        identity = pki.issue("server.example", is_server_cert=True)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ssl.SSLError):
        made.load_cert_chain(identity.pem, identity.key, "wrong")
    made.load_cert_chain(identity.pem, identity.key, "correct horse")
    shake_hands(made, client_context(pki, None, with_crl=False))
