"""CSRs: the key and the allowed names are taken, everything else is not."""

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.regression.world import World
from tiny_ca import CertificateStatus, CertLifecycleManager, KeyAlgorithm
from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.adapters.outbound.crypto.keys import signature_hash
from tiny_ca.domain.errors import (
    IdempotencyConflict,
    InvalidCSR,
    InvalidName,
    InvalidRequest,
    NotUniqueCertOwner,
    ProfileViolation,
    WeakKey,
)
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.profiles import Profile, UnplannedRequests

Name = x509.NameOID


@pytest.fixture
def ca(world: World) -> Iterator[CertLifecycleManager]:
    strict = Profile(
        name="strict",
        extended_key_usage=("1.3.6.1.5.5.7.3.1",),
        unplanned_requests=UnplannedRequests.REFUSE,
    )
    with world.ca(profiles=[strict]) as manager:
        yield manager


ANY_OID = x509.ObjectIdentifier("1.2.3.4.5")
KEY = ec.generate_private_key(ec.SECP256R1())


def long_name() -> x509.CertificateSigningRequest:
    with pytest.warns(UserWarning, match="length"):
        name = x509.NameAttribute(Name.COMMON_NAME, "x" * 65, _validate=False)
    return csr(None, subject=[name])


def csr(
    common_name: str | None = "web.internal",
    *extensions: tuple[x509.ExtensionType, bool],
    dns: list[str] | None = None,
    key: Any = KEY,
    subject: list[x509.NameAttribute] | None = None,
) -> x509.CertificateSigningRequest:
    attributes = subject or []
    if common_name is not None:
        attributes = [*attributes, x509.NameAttribute(Name.COMMON_NAME, common_name)]
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    if dns is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns])
        builder = builder.add_extension(names, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, signature_hash(key))


def names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in found.value]


class TestWhatIsTaken:
    @pytest.mark.parametrize("form", ["object", "pem", "text", "der"])
    def test_key_and_names(self, ca: CertLifecycleManager, world: World, form: str) -> None:
        asked = csr(dns=["web.internal", "www.web.internal"])
        pem = asked.public_bytes(Encoding.PEM)
        given = {
            "object": asked,
            "pem": pem,
            "text": pem.decode(),
            "der": asked.public_bytes(Encoding.DER),
        }[form]
        certificate = ca.sign_csr(given, cert_path="csrs")
        assert certificate.public_key() == KEY.public_key()
        assert names_of(certificate) == ["web.internal", "www.web.internal"]
        assert ca.verify_certificate(certificate)
        # The certificate and the request are stored; nobody has the key but its owner.
        stored = sorted(name for name in world.files() if name.startswith("csrs/"))
        assert [name.rsplit(".", 1)[1] for name in stored] == ["csr", "pem"]

    def test_an_internationalised_common_name_is_a_hosts(self, ca: CertLifecycleManager) -> None:
        certificate = ca.sign_csr(csr("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.internal"))
        assert names_of(certificate) == ["xn--bcher-kva.internal"]

    @pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
    def test_of_every_algorithm(self, ca: CertLifecycleManager, algorithm: KeyAlgorithm) -> None:
        key = CryptographyBackend().generate_private_key(KeySpec(algorithm))
        certificate = ca.sign_csr(csr(f"{algorithm}.internal", key=key))
        assert certificate.public_key() == key.public_key()
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.key_encipherment == (algorithm is KeyAlgorithm.RSA)

    def test_nothing_else(self, ca: CertLifecycleManager) -> None:
        asked = csr(
            "web.internal",
            (x509.KeyUsage(*[True] * 9), True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.3")]), True),
            (
                x509.CertificatePolicies(
                    [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)]
                ),
                False,
            ),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), False),
            (x509.BasicConstraints(False, None), True),
            dns=["web.internal"],
            subject=[
                x509.NameAttribute(Name.ORGANIZATION_NAME, "Somebody Else"),
                x509.NameAttribute(Name.SERIAL_NUMBER, "0001"),
            ],
        )
        certificate = ca.sign_csr(asked)
        assert certificate.subject.rfc4514_string() == "CN=web.internal,O=ACME,C=UA"
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [oid.dotted_string for oid in purposes] == ["1.3.6.1.5.5.7.3.1"]
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert not usage.key_cert_sign
        oids = {extension.oid.dotted_string for extension in certificate.extensions}
        assert not oids & {"1.2.3.4.5", x509.CertificatePolicies.oid.dotted_string}
        with pytest.raises(ProfileViolation) as caught:
            ca.sign_csr(asked, profile="strict")
        for part in ("1.2.3.4.5", "1.3.6.1.5.5.7.3.3", "key_cert_sign", "organization"):
            assert any(part in problem for problem in caught.value.problems), part

    def test_what_the_profile_grants_anyway_may_be_asked_for(
        self, ca: CertLifecycleManager
    ) -> None:
        usage = [True, *[False] * 8]
        purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")])
        asked = csr("web.internal", (x509.KeyUsage(*usage), True), (purposes, False))
        assert ca.sign_csr(asked, profile="strict")

    def test_an_empty_subject_is_named_by_its_first_host(self, ca: CertLifecycleManager) -> None:
        certificate = ca.sign_csr(csr(None, dns=["first.internal", "second.internal"]))
        assert names_of(certificate) == ["first.internal", "second.internal"]
        assert "CN=first.internal" in certificate.subject.rfc4514_string()
        with pytest.raises(InvalidCSR, match="pass common_name"):
            ca.sign_csr(csr(None))
        assert ca.sign_csr(csr(None, key=KEY), common_name="given.internal")

    def test_how_long(self, ca: CertLifecycleManager) -> None:
        short = ca.sign_csr(csr(), valid_for=timedelta(minutes=5))
        assert short.not_valid_after_utc - short.not_valid_before_utc == timedelta(minutes=5)
        with pytest.raises(ProfileViolation, match="validity"):
            ca.sign_csr(csr("long.internal"), days_valid=900)

    def test_one_active_certificate_of_a_name(self, ca: CertLifecycleManager) -> None:
        first = ca.sign_csr(csr())
        with pytest.raises(NotUniqueCertOwner):
            ca.sign_csr(csr())
        second = ca.sign_csr(csr(), is_overwrite=True)
        assert ca.get_certificate_status(first.serial_number) is CertificateStatus.REVOKED
        assert ca.verify_certificate(second)

    def test_an_idempotency_key(self, ca: CertLifecycleManager) -> None:
        first = ca.sign_csr(csr(), idempotency_key="k")
        assert ca.sign_csr(csr(), idempotency_key="k") == first
        with pytest.raises(IdempotencyConflict):
            ca.sign_csr(csr("else.internal"), idempotency_key="k")


def weak_rsa(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def broken(asked: x509.CertificateSigningRequest) -> bytes:
    der = asked.public_bytes(Encoding.DER)
    return der[:-1] + bytes([der[-1] ^ 1])


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "CA:TRUE": (
        lambda: csr("x", (x509.BasicConstraints(True, None), True)),
        InvalidCSR,
        "CA:TRUE",
    ),
    "too large": (lambda: b"x" * (64 * 1024 + 1), InvalidCSR, "more than 65536"),
    "too large a text": (lambda: "x" * (64 * 1024 + 1), InvalidCSR, "more than 65536"),
    "too large an object": (
        lambda: csr("x", (x509.UnrecognizedExtension(ANY_OID, bytes(64 * 1024)), False)),
        InvalidCSR,
        "more than 65536",
    ),
    "a TLS feature that nobody knows": (
        lambda: csr(
            "x",
            (x509.UnrecognizedExtension(x509.TLSFeature.oid, b"\x30\x03\x02\x01\x7f"), False),
        ),
        InvalidCSR,
        "malformed",
    ),
    "too many names": (
        lambda: csr("x", dns=[f"n{n}.internal" for n in range(101)]),
        InvalidCSR,
        "101 names",
    ),
    "not its key's": (lambda: broken(csr()), InvalidCSR, "its own key"),
    "no CSR": (lambda: b"hello", InvalidCSR, "PEM or DER"),
    "not ASCII": (lambda: "ключ", InvalidCSR, "PEM or DER"),
    "empty": (lambda: b"", InvalidCSR, "PEM or DER"),
    "a short RSA key": (lambda: csr("x", key=weak_rsa(1024)), WeakKey, "2048"),
    "a small exponent": (lambda: csr("x", key=weak_rsa(exponent=3)), WeakKey, "exponent"),
    "another curve": (
        lambda: csr("x", key=ec.generate_private_key(ec.SECP256K1())),
        WeakKey,
        "not certified",
    ),
    "a bad host": (lambda: csr("x", dns=["bad domain!"]), InvalidName, "DNS name"),
    "a wildcard too wide": (lambda: csr("x", dns=["*"]), InvalidName, "DNS name"),
    "a long common name": (long_name, InvalidRequest, "name|length"),
    "no host": (lambda: csr("nobody special"), ProfileViolation, "subject alternative name"),
}


class TestWhatIsRefused:
    @pytest.mark.parametrize("which", REFUSED)
    def test_nothing_is_written(self, ca: CertLifecycleManager, world: World, which: str) -> None:
        make, error, match = REFUSED[which]
        rows, tree = world.rows(), world.tree()
        with pytest.raises(error, match=match):
            ca.sign_csr(make())
        assert (world.rows(), world.tree()) == (rows, tree)

    def test_a_profile_that_says_so_by_a_string(self, world: World) -> None:
        strict = Profile(
            name="strict",
            key_usage=["digital_signature"],  # type: ignore[arg-type]
            extended_key_usage=["1.3.6.1.5.5.7.3.2"],  # type: ignore[arg-type]
            san_kinds=["dns"],  # type: ignore[arg-type]
            unplanned_requests="refuse",  # type: ignore[arg-type]
        )
        asked = x509.UnrecognizedExtension(ANY_OID, b"\x05\x00")
        with world.ca(profiles=[strict]) as manager:
            with pytest.raises(ProfileViolation, match=ANY_OID.dotted_string):
                manager.sign_csr(csr("a.internal", (asked, False)), profile="strict")
            assert manager.sign_csr(csr("a.internal", dns=["a.internal"]), profile="strict")

    def test_names_of_other_kinds(self, ca: CertLifecycleManager) -> None:
        others = x509.SubjectAlternativeName(
            [
                x509.DNSName("web.internal"),
                x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
                x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            ]
        )
        certificate = ca.sign_csr(csr("web.internal", (others, False)))
        assert names_of(certificate) == ["web.internal", "192.0.2.1"]
        with pytest.raises(ProfileViolation, match="RegisteredID"):
            ca.sign_csr(csr("b.internal", (others, False)), profile="strict")

    def test_two_periods(self, ca: CertLifecycleManager) -> None:
        for sign in (ca.sign_csr, lambda one, **period: ca.sign_many_csrs([one], **period)):
            with pytest.raises(InvalidRequest, match="not both"):
                sign(csr(), days_valid=90, valid_for=timedelta(hours=1))

    def test_an_unknown_profile(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="there are: ca, client"):
            ca.sign_csr(csr(), profile="servers")

    def test_a_ca_only_by_a_profile_for_cas(self, ca: CertLifecycleManager) -> None:
        asked = csr("Sub CA", (x509.BasicConstraints(True, 3), True))
        certificate = ca.sign_csr(asked, profile="ca")
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        # The path length is the profile's, not the request's.
        assert (constraints.ca, constraints.path_length) == (True, 0)


class TestOverlap:
    """Whoever lost the answer goes on with the certificate that it has, and asks again."""

    def test_the_former_one_stays_valid(self, ca: CertLifecycleManager) -> None:
        former = ca.sign_csr(csr(key=rsa.generate_private_key(65537, 2048)))
        with pytest.raises(NotUniqueCertOwner):
            ca.sign_csr(csr())
        lost, again = ca.sign_csr(csr(), overlap=True), ca.sign_csr(csr(), overlap=True)
        for each in (former, lost, again):
            assert ca.verify_certificate(each)
        active = ca.find_certificate("web.internal")
        assert active is not None
        assert active.serial_number == again.serial_number
        # It has come with the new one: the others are not needed any more.
        others = ca.list_certificates("valid", exact_name="web.internal")
        numbers = {each.serial_number for each in others} - {again.serial_number}
        assert numbers == {former.serial_number, lost.serial_number}
        ca.revoke_many(numbers)
        assert ca.verify_certificate(again)

    def test_without_a_former_one(self, ca: CertLifecycleManager) -> None:
        assert ca.verify_certificate(ca.sign_csr(csr(), overlap=True))

    def test_once_under_an_idempotency_key(self, ca: CertLifecycleManager) -> None:
        first, again = (ca.sign_csr(csr(), overlap=True, idempotency_key="7") for _ in range(2))
        assert first == again
        with pytest.raises(IdempotencyConflict):
            ca.sign_csr(csr(), idempotency_key="7")

    def test_neither_together_nor_with_a_ca(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="choose"):
            ca.sign_csr(csr(), overlap=True, is_overwrite=True)
        ca.issue_intermediate_ca("web.internal", key_algorithm="p-256", days_valid=90)
        with pytest.raises(InvalidRequest, match="name of a CA"):
            ca.sign_csr(csr(), overlap=True)
