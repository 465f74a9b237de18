"""How strictly certificates are read: strength, RFC 5280 §4, the Web PKI."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.chains import CA_USAGE, Node, ca, dn, leaf, permit, usage
from tests.unit.verifying import ICA, ROOT, SERVER, hosts, refused, validate
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.paths import Conformance


def _weak_keys() -> list[Any]:
    return [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP192R1()),
        dsa.generate_private_key(1024),
    ]


def _with_sha1(node: Node) -> x509.Certificate:
    """Say, in both places, that it is signed with SHA-1; cryptography signs so no more."""
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    der = node.certificate.public_bytes(Encoding.DER)
    assert der.count(sha256) == 2
    return x509.load_der_x509_certificate(der.replace(sha256, sha1))


class TestStrength:
    @pytest.mark.parametrize("key", _weak_keys(), ids=lambda key: type(key).__name__)
    def test_of_keys(self, key: Any) -> None:
        refused("weak", leaf(ICA, key=key), ICA, conformance=Conformance.PATH)

    def test_of_a_root(self) -> None:
        root = ca("Weak", key=_weak_keys()[0])
        refused("weak", leaf(root), roots=[root], conformance=Conformance.PATH)

    def test_of_signatures(self) -> None:
        root = ca("Old", key=rsa.generate_private_key(65537, 2048))
        old = Node(_with_sha1(root), root.key)
        refused("broken hash", Node(_with_sha1(leaf(root)), None), roots=[root])
        # Nobody relies on a root's own signature.
        assert validate(leaf(root), roots=[old])


class TestConformance:
    @pytest.mark.parametrize(
        "target",
        [
            leaf(ICA, leave_out=[x509.AuthorityKeyIdentifier]),
            leaf(ICA, serial_number=1 << 159),
            leaf(ICA, extensions=[(usage("key_cert_sign"), True)]),
            leaf(ICA, extensions=[permit(x509.DNSName("a"))]),
            ca(dn(), ICA, extensions=[(x509.SubjectAlternativeName([x509.DNSName("a")]), True)]),
        ],
    )
    def test_a_path_can_be_all_that_is_asked(self, target: Node) -> None:
        assert validate(target, ICA, conformance=Conformance.PATH)
        refused("RFC 5280 §4", target, ICA)

    def test_a_ca_without_key_identifier(self) -> None:
        middle = ca("Middle", ROOT, leave_out=[x509.SubjectKeyIdentifier])
        assert validate(leaf(middle), middle, conformance=Conformance.PATH)
        refused("§4.2.1.2", leaf(middle), middle)

    def test_of_the_web(self) -> None:
        names = hosts("www.example.com")
        request = {"names": names, "purpose": SERVER, "conformance": Conformance.WEBPKI}
        good = leaf(ICA, "www.example.com", name="www.example.com", purposes=[SERVER])
        assert validate(good, ICA, **request)
        for bad in (
            leaf(ICA, "www.example.com", name="WWW.example.com", purposes=[SERVER]),
            leaf(ICA, "www.example.com", name="www.example.com"),
            ca("www.example.com", ICA, bits=[*CA_USAGE, "digital_signature"]),
        ):
            with pytest.raises(ValidationCertError):
                validate(bad, ICA, **request)
