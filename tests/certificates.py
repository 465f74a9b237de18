"""A certificate that says everything, and the same with its octets changed."""

import ipaddress
import random
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tiny_ca.testing.samples import sample_key

SERIAL_NUMBER = 0x0BADC0DE
NOT_BEFORE = datetime(2030, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2031, 1, 1, tzinfo=UTC)
UNKNOWN_OID = x509.ObjectIdentifier("2.999.7")


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


SUBJECT = _name(
    (NameOID.COUNTRY_NAME, "UA"),
    (NameOID.ORGANIZATION_NAME, "ACME, Inc"),
    (NameOID.COMMON_NAME, "Läaf"),
    (NameOID.COMMON_NAME, "another"),
)
ISSUER = _name((NameOID.COMMON_NAME, "Somebody's CA"))


def _uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def _extensions() -> list[tuple[x509.ExtensionType, bool]]:
    names = [
        x509.DNSName("a.example"),
        x509.DNSName("*.b.example"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.RFC822Name("a@b.example"),
        _uri("spiffe://a.example/b"),
        x509.DirectoryName(ISSUER),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"),
    ]
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "crl_sign", "decipher_only"), False
    ) | dict.fromkeys(
        ("digital_signature", "key_encipherment", "key_agreement", "key_cert_sign"), True
    )
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, _uri("http://o.example")),
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, _uri("http://i.example")),
    ]
    point = x509.DistributionPoint([_uri("http://c.example/crl")], None, None, None)
    permitted = [x509.DNSName("example"), x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    policy = x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), None)
    return [
        (x509.BasicConstraints(ca=True, path_length=2), True),
        (x509.KeyUsage(**usage, encipher_only=True), True),
        (x509.ExtendedKeyUsage(purposes), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.SubjectKeyIdentifier(b"\xaa\xbb"), False),
        (x509.AuthorityKeyIdentifier(b"\xcc\xdd", None, None), False),
        (x509.CRLDistributionPoints([point]), False),
        (x509.AuthorityInformationAccess(access), False),
        (x509.CertificatePolicies([policy]), False),
        (x509.NameConstraints(permitted, [x509.RFC822Name("evil.example")]), True),
        (x509.UnrecognizedExtension(UNKNOWN_OID, b"\x05\x00"), True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.8"), b"\x05\x00"), False),
    ]


@cache
def rich_certificate() -> x509.Certificate:
    """Give a certificate with every extension that an inspection tells of, and two others."""
    builder = x509.CertificateBuilder(
        ISSUER, SUBJECT, sample_key().public_key(), SERIAL_NUMBER, NOT_BEFORE, NOT_AFTER
    )
    for extension, critical in _extensions():
        builder = builder.add_extension(extension, critical)
    return builder.sign(sample_key(), SHA256())


def rich_der() -> bytes:
    return rich_certificate().public_bytes(Encoding.DER)


def mutated(der: bytes, seed: int) -> bytes:
    """Change a few octets, or copy some over others: the same for the same *seed*."""
    chance, octets = random.Random(seed), bytearray(der)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        here, there = chance.randrange(len(octets)), chance.randrange(len(octets))
        kind = chance.randrange(4)
        if kind == 0:
            octets[here] ^= 1 << chance.randrange(8)
        elif kind == 1:
            octets[here : here + 4] = octets[there : there + 4]
        else:
            octets[here] = chance.randrange(256)
    return bytes(octets)


def bare_certificate() -> x509.Certificate:
    """Give a self-signed certificate without a name or extensions."""
    nobody = x509.Name([])
    return x509.CertificateBuilder(
        nobody, nobody, sample_key().public_key(), 1, NOT_BEFORE, NOT_BEFORE + timedelta(days=1)
    ).sign(sample_key(), SHA256())


def with_serial_number(number: int) -> bytes:
    """Give the DER of a certificate with any serial number, signed by nobody."""
    certificate = bare_certificate()
    tbs = certificate.tbs_certificate_bytes
    ours, serial = b"\x02\x01\x01", number.to_bytes(number.bit_length() // 8 + 1)
    # Two octets of a header, five of [0] version.
    start = tbs.index(ours, 5)
    fields = tbs[start - 5 : start] + _element(0x02, serial) + tbs[start + len(ours) :]
    rest = certificate.public_bytes(Encoding.DER).partition(tbs)[2]
    return _element(0x30, _element(0x30, fields) + rest)


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content
