"""Malformed input ends in typed errors, and soon, whatever takes it."""

import ipaddress
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from tests.integration.fuzzing import Mutator, frames, frames_of, rebuilt
from tests.integration.test_csr import csr
from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    CRLIndex,
    KeyAlgorithm,
    NameConstraintsConfig,
    NoStorage,
    SyncDBHandler,
    TinyCAError,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain import der
from tiny_ca.domain.errors import ErrorLoadCert, ValidationCertError
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.plan import PublicationURLs

T = TypeVar("T")

SECONDS = 0.05
"""What each may take, on a machine of its own; the test allows for others on it."""


@dataclass
class Fuzz:
    """A CA, and seeds of all that is taken from outside."""

    ca: CertLifecycleManager
    key: ec.EllipticCurvePrivateKey
    leaf_key: ec.EllipticCurvePrivateKey
    csrs: list[bytes]
    certificates: list[bytes]
    crls: list[bytes]
    bundles: list[bytes]
    root: x509.Certificate
    registry: SyncDBHandler
    slowest: dict[str, float] = field(default_factory=dict)

    @property
    def targets(self) -> dict[str, Callable[[Mutator], Callable[[], object]]]:
        return {
            "sign_csr": self.sign_csr,
            "inspect_certificate": self.inspect,
            "import_ca_bundle": self.import_bundle,
            "verify_crl": self.verify_crl,
            "CRLIndex": self.index,
            "verify_chain": self.verify_chain,
        }

    def mutant(
        self, mutator: Mutator, seeds: list[bytes], key: ec.EllipticCurvePrivateKey
    ) -> bytes:
        """Half of them have a good signature: what comes after it is looked at, too."""
        if mutator.chance.random() < 0.5:
            return mutator.signed(seeds[0], key)
        return mutator.of(mutator.chance.choice(seeds))

    def sign_csr(self, mutator: Mutator) -> Callable[[], object]:
        data = self.mutant(mutator, self.csrs, self.leaf_key)
        profile = mutator.chance.choice(["server", "device", "user", "ca"])
        return lambda: self.ca.sign_csr(data, profile, is_overwrite=True)

    def inspect(self, mutator: Mutator) -> Callable[[], object]:
        data = self.mutant(mutator, self.certificates, self.key)
        return lambda: self.ca.inspect_certificate(data).model_dump_json()

    def import_bundle(self, mutator: Mutator) -> Callable[[], object]:
        data = mutator.of(mutator.chance.choice(self.bundles))

        def take_in() -> None:
            factory = self.ca.factory
            assert factory is not None
            try:
                self.ca.import_ca_bundle(data)
            finally:
                self.ca.factory = factory

        return take_in

    def verify_crl(self, mutator: Mutator) -> Callable[[], object]:
        data = self.mutant(mutator, self.crls[:1], self.key)
        return lambda: self.ca.verify_crl(data)

    def index(self, mutator: Mutator) -> Callable[[], object]:
        data = self.mutant(mutator, self.crls, self.key)
        return lambda: CRLIndex(data, self.root).get(17)

    def verify_chain(self, mutator: Mutator) -> Callable[[], object]:
        """Of objects: what cryptography does not parse has no chain."""
        leaf, sub, _ = map(x509.load_der_x509_certificate, self.certificates[:3])
        crl = x509.load_der_x509_crl(self.crls[0])
        which = mutator.chance.randrange(3)
        if which == 0:
            leaf = self.parsed(mutator, self.certificates[0], x509.load_der_x509_certificate)
        elif which == 1:
            sub = self.parsed(mutator, self.certificates[1], x509.load_der_x509_certificate)
        else:
            crl = self.parsed(mutator, self.crls[0], x509.load_der_x509_crl)
        return lambda: self.ca.verify_chain(
            leaf, intermediates=[sub], roots=[self.root], crls=[crl], host="a.internal"
        )

    def parsed(self, mutator: Mutator, seed: bytes, load: Callable[[bytes], T]) -> T:
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    return load(mutator.signed(seed, self.key))
                except UNREADABLE:
                    continue

    def run(self, target: str, rounds: int, seed: int = 20) -> None:
        mutator = Mutator(seed)
        for number in range(rounds):
            attempt = self.targets[target](mutator)
            start = time.thread_time()
            try:
                with warnings.catch_warnings():
                    # What cryptography warns of is not ours to raise.
                    warnings.simplefilter("ignore")
                    attempt()
            except TinyCAError:
                pass
            except Exception as error:
                error.add_note(f"at mutant {number} of {target}, seed {seed}")
                raise
            taken = time.thread_time() - start
            self.slowest[target] = max(self.slowest.get(target, 0.0), taken)


def requests(key: ec.EllipticCurvePrivateKey) -> Iterator[bytes]:
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("a.internal"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.RFC822Name("a@b.internal"),
            x509.UniformResourceIdentifier("spiffe://a.internal/b"),
        ]
    )
    purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")])
    asked = csr(
        "a.internal",
        (names, False),
        (x509.KeyUsage(True, *[False] * 8), True),
        (x509.BasicConstraints(False, None), True),
        (purposes, False),
        subject=[
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "ACME"),
            x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "a@b.internal"),
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "UA"),
        ],
        key=key,
    )
    yield asked.public_bytes(Encoding.DER)
    yield asked.public_bytes(Encoding.PEM)
    for algorithm in (KeyAlgorithm.RSA, KeyAlgorithm.ED25519, KeyAlgorithm.ML_DSA_44):
        other = CryptographyBackend().generate_private_key(KeySpec(algorithm))
        yield csr("b.internal", dns=["b.internal"], key=other).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    urls = PublicationURLs(crl=("http://c.test/a.crl",), ocsp=("http://o.test",))
    registry = SyncDBHandler(f"sqlite:///{folder / 'r.db'}")
    with CertLifecycleManager(NoStorage(), db_handler=registry, urls=urls) as ca:
        ca.create_self_signed_ca(
            CAConfig(
                common_name="Root",
                key_algorithm="p-256",
                path_length=2,
                name_constraints=NameConstraintsConfig(
                    excluded_dns=("bad.test",),
                    excluded_ip=("10.0.0.0/8",),  # type: ignore[arg-type]
                ),
            )
        )
        factory: Any = ca.factory
        leaf = ca.issue_certificate(
            ClientConfig(
                common_name="a.internal",
                key_algorithm="p-256",
                profile="server",
                san_ip=["192.0.2.1"],
                san_dns=["*.a.internal"],
            )
        )[0]
        config = CAConfig(common_name="Sub", key_algorithm="p-256", path_length=0, days_valid=900)
        sub, sub_key = ca.issue_intermediate_ca(config)
        old, _, _ = ca.issue_certificate(ClientConfig(common_name="old", key_algorithm="p-256"))
        ca.revoke_certificate(old.serial_number, x509.ReasonFlags.key_compromise)
        crl = ca.generate_crl()
        forms = [one.public_bytes(Encoding.DER) for one in (leaf, sub, factory.certificate)]
        plain = sub_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = sub.public_bytes(Encoding.PEM) + factory.certificate.public_bytes(Encoding.PEM)
        made: Any = sub_key
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        yield Fuzz(
            ca=ca,
            key=factory._key,
            leaf_key=leaf_key,
            csrs=list(requests(leaf_key)),
            certificates=[*forms, leaf.public_bytes(Encoding.PEM)],
            crls=[crl.public_bytes(Encoding.DER), crl.public_bytes(Encoding.PEM)],
            bundles=[
                plain + chain,
                chain + plain,
                pkcs12.serialize_key_and_certificates(
                    b"ca", made, sub, [factory.certificate], NoEncryption()
                ),
            ],
            root=factory.certificate,
            registry=registry,
        )


TARGETS = (
    "sign_csr",
    "inspect_certificate",
    "import_ca_bundle",
    "verify_crl",
    "CRLIndex",
    "verify_chain",
)


@pytest.mark.parametrize("target", TARGETS)
def test_malformed_input_ends_in_a_typed_error(fuzz: Fuzz, target: str) -> None:
    fuzz.run(target, 80)
    assert fuzz.slowest[target] < 10 * SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_ten_thousand_in_all(fuzz: Fuzz, target: str) -> None:
    fuzz.run(target, 1_700, seed=21)
    assert fuzz.slowest[target] < 10 * SECONDS


def test_a_bundle_with_a_key_that_can_not_be_read(fuzz: Fuzz) -> None:
    """Found by fuzzing: the certificates' keys were read where nothing caught it."""
    _, sub, root = fuzz.certificates[:3]
    p256, unknown = b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x7f"
    damaged = x509.load_der_x509_certificate(root.replace(p256, unknown))
    for first, second in ((sub, damaged), (damaged, sub)):
        pem = b"".join(
            (
                one if isinstance(one, x509.Certificate) else x509.load_der_x509_certificate(one)
            ).public_bytes(Encoding.PEM)
            for one in (first, second)
        )
        key = fuzz.bundles[0].partition(b"-----BEGIN CERTIFICATE")[0]
        with pytest.raises(ErrorLoadCert):
            fuzz.ca.import_ca_bundle(key + pem)


@pytest.mark.parametrize("serial_number", [1 << 160, 1 << 20_000], ids=["161 bits", "long"])
def test_a_ca_with_a_serial_number_that_no_row_can_have(fuzz: Fuzz, serial_number: int) -> None:
    """Found by fuzzing: Python refuses to write thousands of digits, by a `ValueError`."""
    root = fuzz.certificates[2]
    (_, content, _), *_ = frames(root)
    old = der.integer(fuzz.root.serial_number)
    to_be_signed = frames_of(root, content, len(root))[0]
    tbs = root[to_be_signed[1] : to_be_signed[2]].replace(old, der.integer(serial_number), 1)
    forged = der.sequence(der.sequence(tbs), root[to_be_signed[2] :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ca = x509.load_der_x509_certificate(forged)
        assert ca.serial_number == serial_number
        with pytest.raises(ErrorLoadCert, match="20 octets"):
            fuzz.ca.import_ca(ca)
        assert fuzz.registry.get_by_serial(serial_number) is None


@pytest.mark.parametrize("entry", [b"", b"\x02\x05\x01", b"\x02"], ids=bytes.hex)
def test_a_crl_with_an_entry_that_is_none(fuzz: Fuzz, entry: bytes) -> None:
    """Found by fuzzing: at the end of the entries, an `IndexError`."""
    crl = fuzz.crls[0]
    [revoked] = x509.load_der_x509_crl(crl)
    number = der.integer(revoked.serial_number)
    begin, stop = next(
        (begin, stop)
        for begin, content, stop in frames(crl)
        if crl[begin] == der.SEQUENCE and crl[content:stop].startswith(number)
    )
    changed = rebuilt(crl, {(begin, stop): der.tlv(der.SEQUENCE, entry)})
    (_, content, _), *_ = frames(changed)
    to_be_signed, algorithm, _ = frames_of(changed, content, len(changed))
    tbs = changed[to_be_signed[0] : to_be_signed[2]]
    signature = der.bit_string(fuzz.key.sign(tbs, ec.ECDSA(SHA256())))
    signed = der.sequence(tbs, changed[algorithm[0] : algorithm[2]], signature)
    with pytest.raises(ValidationCertError):
        CRLIndex(signed, fuzz.root)
