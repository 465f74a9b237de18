"""`inspect_certificate` tells what is there, and what it can't read."""

import json
import time
import warnings
from collections import Counter
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from tests.certificates import (
    ISSUER,
    NOT_AFTER,
    NOT_BEFORE,
    SERIAL_NUMBER,
    SUBJECT,
    bare_certificate,
    mutated,
    rich_certificate,
    rich_der,
    with_serial_number,
)
from tiny_ca import (
    CertificateDetails,
    CertLifecycleManager,
    CertType,
    ClientConfig,
    KeyAlgorithm,
    MemoryStorage,
    TinyCAError,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBackend, CryptographyInspector
from tiny_ca.domain.errors import ErrorLoadCert
from tiny_ca.domain.keys import KeySpec
from tiny_ca.ports.inspector import Inspector
from tiny_ca.testing.samples import root_plan, sample_key

EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
# Of no group that is one, which nobody checks before it is used.
DSA_KEY = dsa.DSAPublicNumbers(2, dsa.DSAParameterNumbers(2**1023 + 1, 2**159 + 1, 2)).public_key()
UNKNOWN_KEY = bytes.fromhex("06072a8648ce3d0263")


_MANY = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")] * 2200)
_NETWORK = x509.IPAddress(ip_network("10.0.0.0/8"))
HOSTILE: dict[str, tuple[x509.Name, x509.ExtensionType, set[str]]] = {
    "networks": (
        SUBJECT,
        x509.NameConstraints([_NETWORK] * 4500, None),
        {"extension 2.5.29.30"},
    ),
    "hosts": (
        SUBJECT,
        x509.SubjectAlternativeName([x509.DNSName("a")] * 19_000),
        {"extension 2.5.29.17"},
    ),
    "a name": (_MANY, x509.OCSPNoCheck(), {"subject"}),
    "a name, and what has to be salvaged": (
        _MANY,
        x509.UnrecognizedExtension(x509.NameConstraints.oid, b"\x30\x01"),
        {"subject", "extension 2.5.29.30"},
    ),
}


@pytest.fixture
def ca() -> CertLifecycleManager:
    """Inspecting needs no CA, no files and no registry."""
    return CertLifecycleManager(MemoryStorage())


def inspect(certificate: x509.Certificate | bytes | str) -> CertificateDetails:
    return CryptographyInspector().inspect(certificate)


def test_the_adapter_is_an_inspector() -> None:
    assert isinstance(CryptographyInspector(), Inspector)


def test_all_that_a_certificate_says(ca: CertLifecycleManager) -> None:
    details = ca.inspect_certificate(rich_certificate())
    assert details.model_dump(exclude={"fingerprint_sha256"}) == {
        "serial_number": SERIAL_NUMBER,
        "serial_hex": "badc0de",
        "cert_type": None,
        "subject": SUBJECT.rfc4514_string(),
        "issuer": "CN=Somebody's CA",
        "common_name": "Läaf",
        "organization": "ACME, Inc",
        "country": "UA",
        "issuer_cn": "Somebody's CA",
        "not_valid_before": NOT_BEFORE,
        "not_valid_after": NOT_AFTER,
        "public_key_algorithm": "p-256",
        "public_key_size": 256,
        "signature_algorithm": "ecdsa-with-sha256",
        "is_ca": True,
        "path_length": 2,
        "key_usage": [
            "digital_signature",
            "key_encipherment",
            "key_agreement",
            "key_cert_sign",
            "encipher_only",
        ],
        "extended_key_usage": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
        "san_dns": ["a.example", "*.b.example"],
        "san_ip": ["192.0.2.1", "2001:db8::1"],
        "san_email": ["a@b.example"],
        "san_uri": ["spiffe://a.example/b"],
        "san_other": [
            f"dirName:{ISSUER.rfc4514_string()}",
            "RID:1.2.3",
            "otherName:1.3.6.1.4.1.311.20.2.3",
        ],
        "subject_key_identifier": "aabb",
        "authority_key_identifier": "ccdd",
        "crl_urls": ["http://c.example/crl"],
        "ocsp_urls": ["http://o.example"],
        "issuer_urls": ["http://i.example"],
        "policies": ["1.3.6.1.4.1.99999.1"],
        "permitted_subtrees": ["DNS:example", "IP:192.0.2.0/24"],
        "excluded_subtrees": ["email:evil.example"],
        "unknown_critical_extensions": ["2.999.7"],
        "unreadable": [],
    }


def test_what_a_certificate_does_not_say() -> None:
    details = inspect(bare_certificate())
    assert (details.subject, details.common_name, details.is_ca) == ("", None, False)
    assert (details.key_usage, details.san_dns, details.unreadable) == ([], [], [])


def test_a_certificate_of_this_ca(manager: CertLifecycleManager) -> None:
    config = ClientConfig(
        common_name="sensor", serial_type=CertType.DEVICE, key_algorithm="p-256", san_ip=["::1"]
    )
    certificate, _, _ = manager.issue_certificate(config)
    details = manager.inspect_certificate(certificate)
    assert details.cert_type is CertType.DEVICE
    assert (details.common_name, details.issuer_cn) == ("sensor", "Test Root")
    assert (details.is_ca, details.san_ip) == (False, ["::1"])
    assert manager.factory is not None
    root = manager.inspect_certificate(manager.factory.certificate)
    assert (root.is_ca, root.cert_type) == (True, CertType.CA)
    assert details.authority_key_identifier == root.subject_key_identifier


class TestInputs:
    @pytest.mark.parametrize("read", ["object", "DER", "PEM", "text", "among others"])
    def test_all_give_the_same(self, read: str) -> None:
        certificate = rich_certificate()
        pem = certificate.public_bytes(Encoding.PEM)
        inputs: dict[str, Any] = {
            "object": certificate,
            "DER": rich_der(),
            "PEM": pem,
            "text": pem.decode(),
            # As `openssl s_client -showcerts` prints: begins with a DER tag's letter.
            "among others": b"0 s:CN = L\xc3\xa4af\n"
            + pem
            + bare_certificate().public_bytes(Encoding.PEM),
        }
        assert inspect(inputs[read]) == inspect(certificate)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            "",
            b"0",
            b"0\x82",
            b"\0" * 100,
            "no PEM",
            "\ud800",
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----\n",
            rich_der()[:-1],
            rich_der() + b"\0",
        ],
    )
    def test_what_is_none_is_a_typed_error(self, data: bytes | str) -> None:
        with pytest.raises(ErrorLoadCert):
            inspect(data)

    def test_what_is_too_long_is_not_parsed(self) -> None:
        # It would be read: PEM may have any text before it.
        padded = rich_certificate().public_bytes(Encoding.PEM).rjust(64 * 1024)
        inspect(padded)
        with pytest.raises(ErrorLoadCert, match="longer than 65536"):
            inspect(b" " + padded)

    @pytest.mark.parametrize("data", [None, 1, bytearray(b"a"), SUBJECT])
    def test_what_can_not_be_meant_is_a_type_error(self, data: Any) -> None:
        with pytest.raises(TypeError, match="object, bytes or str"):
            inspect(data)


class TestKeys:
    @pytest.mark.parametrize("algorithm", KeyAlgorithm)
    def test_ours_have_our_names(self, algorithm: KeyAlgorithm) -> None:
        crypto, spec = CryptographyBackend(), KeySpec(algorithm)
        certificate = crypto.self_sign(root_plan(key=spec), crypto.generate_private_key(spec))
        details = inspect(certificate)
        assert details.public_key_algorithm == algorithm
        sizes = {"rsa": 2048, "p-256": 256, "p-384": 384, "p-521": 521}
        assert details.public_key_size == sizes.get(algorithm)
        assert details.unreadable == []
        # Those that hash for themselves sign under the name of the key.
        names = {"rsa": "rsa-with-sha256", "p-521": "ecdsa-with-sha512"}
        if algorithm in names or algorithm.startswith("ml"):
            assert details.signature_algorithm == names.get(algorithm, algorithm)

    @pytest.mark.parametrize(
        ("key", "name", "bits"),
        [
            (ec.generate_private_key(ec.SECP256K1()).public_key(), "secp256k1", 256),
            (DSA_KEY, "dsa", 1024),
            (x25519.X25519PrivateKey.generate().public_key(), "x25519", None),
        ],
        ids=["k1", "dsa", "x25519"],
    )
    def test_others_have_theirs(self, key: Any, name: str, bits: int | None) -> None:
        certificate = x509.CertificateBuilder(ISSUER, SUBJECT, key, 1, NOT_BEFORE, NOT_AFTER).sign(
            sample_key(), SHA256()
        )
        details = inspect(certificate)
        assert (details.public_key_algorithm, details.public_key_size) == (name, bits)

    def test_an_unknown_one_is_reported(self) -> None:
        details = inspect(rich_der().replace(EC_PUBLIC_KEY, UNKNOWN_KEY))
        assert details.public_key_algorithm == "1.2.840.10045.2.99"
        assert details.public_key_size is None
        assert [one.partition(":")[0] for one in details.unreadable] == ["public key"]
        assert details.san_dns == ["a.example", "*.b.example"]

    def test_a_malformed_one_too(self) -> None:
        point = sample_key().public_key().public_numbers().x.to_bytes(32)
        details = inspect(rich_der().replace(point, bytes(32)))
        assert details.public_key_algorithm == "ec-public-key"
        assert [one.partition(":")[0] for one in details.unreadable] == ["public key"]


class TestMalformedParts:
    """One that can't be read does not hide the others."""

    @staticmethod
    def changed(old: bytes, new: bytes) -> CertificateDetails:
        assert rich_der().count(old) == 1
        return inspect(rich_der().replace(old, new))

    def test_an_extension(self) -> None:
        # A DNS name becomes an x400Address, which nobody reads.
        details = self.changed(b"\x82\x09a.example", b"\xa3\x09a.example")
        [why] = details.unreadable
        assert why.startswith("extension 2.5.29.17: ")
        assert (details.san_dns, details.san_ip) == ([], [])
        whole = inspect(rich_certificate()).model_dump()
        ours = details.model_dump()
        assert {name for name in ours if ours[name] != whole[name]} == {
            "fingerprint_sha256",
            "san_dns",
            "san_email",
            "san_ip",
            "san_other",
            "san_uri",
            "unreadable",
        }

    def test_basic_constraints(self) -> None:
        # CA:TRUE as 0x01, which is no DER (X.690 §11.1): neither a CA nor none.
        details = self.changed(b"\x01\x01\xff\x02\x01\x02", b"\x01\x01\x01\x02\x01\x02")
        assert (details.is_ca, details.path_length) == (None, None)
        assert details.unreadable[0].startswith("extension 2.5.29.19: ")
        assert details.key_usage

    def test_a_repeated_extension_counts_for_nothing(self) -> None:
        # RFC 5280 §4.2: one instance of each.  The second says something else.
        details = self.changed(
            # subjectKeyIdentifier becomes subjectAltName.
            b"\x06\x03\x55\x1d\x0e",
            b"\x06\x03\x55\x1d\x11",
        )
        assert details.unreadable == ["extension 2.5.29.17: it occurs 2 times"]
        assert (details.san_dns, details.subject_key_identifier) == ([], None)
        assert details.is_ca
        # 2.999.8 becomes 2.999.7.
        details = self.changed(b"\x06\x03\x88\x37\x08", b"\x06\x03\x88\x37\x07")
        assert details.unreadable == ["extension 2.999.7: it occurs 2 times"]

    def test_a_name(self) -> None:
        details = self.changed(b"\x0c\x05L\xc3\xa4af", b"\x0c\x05L\xff\xffaf")
        assert (details.subject, details.common_name) == (None, None)
        assert details.issuer == "CN=Somebody's CA"
        assert [one.partition(":")[0] for one in details.unreadable] == ["subject"]

    def test_more_extensions_than_are_read_one_by_one(self) -> None:
        builder = x509.CertificateBuilder(
            ISSUER, SUBJECT, sample_key().public_key(), 1, NOT_BEFORE, NOT_AFTER
        ).add_extension(x509.BasicConstraints(ca=True, path_length=2), True)
        for last in range(64):
            oid = x509.ObjectIdentifier(f"2.999.{last}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, b""), False)
        der = builder.sign(sample_key(), SHA256()).public_bytes(Encoding.DER)
        assert inspect(der).is_ca
        details = inspect(der.replace(b"\x01\x01\xff\x02\x01\x02", b"\x01\x01\x01\x02\x01\x02"))
        assert details.is_ca is None
        assert [one.partition(":")[0] for one in details.unreadable] == ["extensions"]

    @pytest.mark.parametrize("what", HOSTILE)
    def test_what_takes_long_is_not_read(self, what: str) -> None:
        """60 KiB of names, or 61 extensions beside thousands of names, took 100-206 ms."""
        subject, extension, unreadable = HOSTILE[what]
        builder = x509.CertificateBuilder(
            SUBJECT, subject, sample_key().public_key(), 1, NOT_BEFORE, NOT_AFTER
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=2), True)
        for last in range(60):
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"2.999.{last}"), b"")
            builder = builder.add_extension(unknown, False)
        builder = builder.add_extension(extension, False)
        der = builder.sign(sample_key(), SHA256()).public_bytes(Encoding.DER)
        assert 24 * 1024 < len(der) < 64 * 1024
        start = time.thread_time()
        details = inspect(der)
        assert time.thread_time() - start < 0.25
        assert {one.partition(":")[0] for one in details.unreadable} == unreadable
        assert any("longer than 16384" in one for one in details.unreadable)
        assert details.is_ca

    def test_without_a_validity_it_is_no_certificate(self) -> None:
        with pytest.raises(ErrorLoadCert):
            self.changed(b"\x17\x0d300101000000Z", b"\x17\x0d301301000000Z")

    def test_a_serial_number_without_end(self) -> None:
        with pytest.raises(ErrorLoadCert, match="1024 bits"):
            inspect(with_serial_number(1 << 1024))
        assert inspect(with_serial_number(1 << 1023)).serial_number == 1 << 1023


class TestTheModel:
    def test_json_brings_all_of_it_back(self) -> None:
        details = inspect(rich_certificate())
        written = details.model_dump_json()
        assert CertificateDetails.model_validate_json(written) == details
        assert json.loads(written)["serial_hex"] == "badc0de"
        assert json.loads(written)["not_valid_after"] == "2031-01-01T00:00:00Z"

    def test_it_is_frozen(self) -> None:
        details = inspect(rich_certificate())
        with pytest.raises(ValidationError):
            details.is_ca = False  # type: ignore[misc]

    def test_it_is_made_of_the_fields_of_0_2_alone(self) -> None:
        details = CertificateDetails(
            serial_number=1,
            not_valid_before=NOT_BEFORE,
            not_valid_after=NOT_AFTER,
            is_ca=False,
            fingerprint_sha256="AA",
        )
        assert details.unreadable == []


def test_thousands_of_mutations_raise_typed_errors_only_and_take_no_time() -> None:
    """Where cryptography only warns, as of a country of three letters, so do we."""
    inspector, outcomes, slowest = CryptographyInspector(), Counter[str](), 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(2_000):
            data = mutated(rich_der(), seed)
            # Of this thread: a shared machine stalls now and then.
            started = time.thread_time()
            try:
                details = inspector.inspect(data)
                details.model_dump_json()
                outcomes["partly" if details.unreadable else "wholly"] += 1
            except TinyCAError:
                outcomes["not"] += 1
            slowest = max(slowest, time.thread_time() - started)
    # All three kinds of outcome were tried.
    assert min(outcomes[how] for how in ("wholly", "partly", "not")) > 100
    assert slowest < 0.05


def test_a_serial_number_that_cryptography_warns_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        certificate = x509.load_der_x509_certificate(with_serial_number(0))
        assert inspect(certificate).serial_number == 0
        warnings.simplefilter("error")
        with pytest.raises(ErrorLoadCert):
            inspect(certificate)


def test_warnings_that_are_errors_are_typed_ones() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(2_000):
            try:
                inspect(mutated(rich_der(), seed))
            except TinyCAError:
                continue
