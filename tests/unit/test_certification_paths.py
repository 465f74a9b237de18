"""Certification paths: which are found, and what makes them none (RFC 5280 §6)."""

import time
import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.chains import CA_USAGE, DAY, NOW, Node, ca, dn, exclude, leaf, made, permit, usage
from tiny_ca.adapters.outbound.crypto import CryptographyBackend, CryptographyPathValidator
from tiny_ca.domain.errors import RegistryError, ValidationCertError
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.names import GeneralName
from tiny_ca.domain.paths import Conformance, PathLimits, PathRequest
from tiny_ca.ports.path import PathMaterial, PathValidator

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ROOT = ca("Root")
ICA = ca("ICA", ROOT)
UNKNOWN_CRITICAL = (
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\5\0"),
    True,
)


def validate(
    target: Node,
    *intermediates: Node,
    roots: Sequence[Node] = (ROOT,),
    on_record: Any = None,
    at: Any = NOW,
    **request: Any,
) -> list[x509.Certificate]:
    if isinstance(purpose := request.get("purpose"), x509.ObjectIdentifier):
        request["purpose"] = purpose.dotted_string
    material = PathMaterial(
        [one.certificate for one in roots],
        [one.certificate for one in intermediates],
        on_record=on_record,
    )
    return CryptographyPathValidator().validate(
        target.certificate, PathRequest(at, **request), material
    )


def refused(match: str, target: Node, *intermediates: Node, **request: Any) -> None:
    with pytest.raises(ValidationCertError, match=match):
        validate(target, *intermediates, **request)


def certificates(*nodes: Node) -> list[x509.Certificate]:
    return [node.certificate for node in nodes]


def hosts(*names: str) -> tuple[GeneralName, ...]:
    return tuple(map(GeneralName.dns, names))


class TestBuilding:
    def test_is_a_path_validator(self) -> None:
        assert isinstance(CryptographyPathValidator(), PathValidator)

    def test_gives_the_path_leaf_first(self) -> None:
        middle = ca("Middle", ICA)
        target = leaf(middle)
        others = [ca("Other"), ca("Middle", ROOT, key=ICA.key), ca("ICA", ca("Other"))]
        path = validate(target, *others, ICA, middle, *others)
        assert path == certificates(target, middle, ICA, ROOT)

    def test_ends_at_the_first_root(self) -> None:
        target = leaf(ICA)
        assert validate(target, ROOT, roots=[ICA]) == certificates(target, ICA)

    def test_a_root_is_its_own_path(self) -> None:
        assert validate(ROOT) == certificates(ROOT)
        alone = made("alone", extensions=[(usage("digital_signature"), True)])
        assert validate(alone, roots=[alone]) == certificates(alone)
        refused("is its own issuer, and not in roots", alone, alone)

    def test_goes_around_what_is_not_valid(self) -> None:
        renewed = ca("ICA", ROOT)
        expired = ca("ICA", ROOT, not_after=NOW - DAY)
        target = leaf(ICA)
        assert validate(target, expired, renewed) == certificates(target, renewed, ROOT)
        assert validate(target, renewed, expired) == certificates(target, renewed, ROOT)

    def test_goes_around_what_a_whole_path_forbids(self) -> None:
        short = ca("Root", path_length=0)
        target = leaf(ca("Middle", ICA))
        middle = ca("Middle", ICA)
        for roots in ([short, ROOT], [ROOT, short]):
            path = validate(target, ICA, middle, roots=roots)
            assert path == certificates(target, middle, ICA, ROOT)

    def test_a_cross_signed_ca_leads_to_either_root(self) -> None:
        other = ca("Other Root")
        crossed = ca("ICA", other)
        target = leaf(ICA)
        for root, link in ((ROOT, ICA), (other, crossed)):
            assert validate(target, ICA, crossed, roots=[root]) == certificates(target, link, root)

    def test_a_new_key_under_the_old_one(self) -> None:
        new = ca("Root", ROOT, key=ec.generate_private_key(ec.SECP256R1()))
        target = leaf(new)
        assert validate(target, new) == certificates(target, new, ROOT)

    def test_no_name_and_key_comes_twice(self) -> None:
        one, other = ca("One"), ca("Other")
        circle = [ca("One", other), ca("Other", one)]
        refused("No path leads", leaf(one), *circle, limits=PathLimits(steps=6))

    def test_says_what_is_missing(self) -> None:
        target = leaf(ICA)
        refused("The issuer of 'CN=leaf' .* is among neither", target)
        refused("is its own issuer, and not in roots", target, ICA, ROOT, roots=[])

    def test_a_name_alone_is_no_issuer(self) -> None:
        impostor = ca("ICA", ROOT, key=ec.generate_private_key(ec.SECP256R1()))
        refused("The key of 'CN=ICA' .* did not sign 'CN=leaf'", leaf(ICA), impostor)

    @pytest.mark.parametrize("algorithm", KeyAlgorithm)
    def test_every_algorithm(self, algorithm: KeyAlgorithm) -> None:
        def key() -> Any:
            return CryptographyBackend().generate_private_key(KeySpec(algorithm))

        root = ca("Algorithm", key=key())
        middle = ca("Middle", root, key=key())
        target = leaf(middle, key=key())
        assert validate(target, middle, roots=[root]) == certificates(target, middle, root)


class TestValidity:
    @pytest.mark.parametrize("which", ["leaf", "ICA", "Root"])
    @pytest.mark.parametrize(
        ("start", "end"), [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)]
    )
    def test_of_every_certificate(self, which: str, start: Any, end: Any) -> None:
        def period(name: str) -> dict[str, Any]:
            return {"not_before": start, "not_after": end} if name == which else {}

        root = ca("Root", **period("Root"))
        middle = ca("ICA", root, **period("ICA"))
        target = leaf(middle, **period("leaf"))
        refused(f"'CN={which}' .* is valid from", target, middle, roots=[root])
        inside = start + DAY
        assert validate(target, middle, roots=[root], at=inside)

    def test_both_ends_are_in(self) -> None:
        target = leaf(ROOT, not_before=NOW - DAY, not_after=NOW)
        assert validate(target, at=NOW - DAY)
        assert validate(target, at=NOW + timedelta(microseconds=999_999))
        refused("valid", target, at=NOW - DAY - timedelta(microseconds=1))
        refused("valid", target, at=NOW + timedelta(seconds=1))


class TestPurpose:
    def test_of_the_certificate(self) -> None:
        target = leaf(ICA, purposes=[CLIENT])
        assert validate(target, ICA, purpose=CLIENT)
        refused("is not for the purpose", target, purpose=SERVER)
        refused("is not for the purpose 1.3.6.1.5.5.7.3.1", target, ICA, purpose=SERVER)
        assert validate(target, ICA)

    @pytest.mark.parametrize(
        "purposes", [[], [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], [CLIENT, SERVER]]
    )
    def test_any_purpose(self, purposes: list[x509.ObjectIdentifier]) -> None:
        assert validate(leaf(ICA, purposes=purposes), ICA, purpose=SERVER)

    def test_of_the_cas_above(self) -> None:
        clients = ca("Clients", ROOT, extensions=[(x509.ExtendedKeyUsage([CLIENT]), False)])
        target = leaf(clients, purposes=[CLIENT, SERVER])
        assert validate(target, clients, purpose=CLIENT)
        refused("'CN=Clients' .* is not for", target, clients, purpose=SERVER)

    def test_key_usage_is_consistent_with_it(self) -> None:
        target = leaf(ICA, purposes=[SERVER], extensions=[(usage("content_commitment"), True)])
        refused("key usage of 'CN=leaf'", target, ICA, purpose=SERVER)
        assert validate(target, ICA)
        # §4.2.1.12: where both are there.
        without = leaf(ICA, extensions=[(usage("content_commitment"), True)])
        assert validate(without, ICA, purpose=SERVER)


class TestNames:
    TARGET = leaf(
        ICA,
        "www.example.com",
        "*.example.org",
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.RFC822Name("Ann@Example.com"),
        name="cn.example.com",
    )

    @pytest.mark.parametrize(
        "name",
        [
            GeneralName.dns("www.example.com"),
            GeneralName.dns("WWW.EXAMPLE.COM"),
            GeneralName.dns("a.example.org"),
            GeneralName.ip("192.0.2.1"),
            GeneralName.ip("2001:0db8:0::1"),
            GeneralName.email("Ann@example.com"),
        ],
        ids=lambda name: name.value,
    )
    def test_that_it_has(self, name: GeneralName) -> None:
        assert validate(self.TARGET, ICA, names=(name,))

    @pytest.mark.parametrize(
        "name",
        [
            GeneralName.dns("cn.example.com"),
            GeneralName.dns("example.com"),
            GeneralName.dns("a.www.example.com"),
            GeneralName.dns("example.org"),
            GeneralName.dns("a.b.example.org"),
            GeneralName.ip("192.0.2.2"),
            GeneralName.ip("2001:db8::2"),
            GeneralName.email("ann@example.com"),
        ],
        ids=lambda name: name.value,
    )
    def test_that_it_has_not(self, name: GeneralName) -> None:
        refused("does not name", self.TARGET, ICA, names=(name,))

    def test_all_that_are_asked_for(self) -> None:
        assert validate(self.TARGET, ICA, names=hosts("www.example.com", "b.example.org"))
        refused("'b.com'", self.TARGET, ICA, names=hosts("www.example.com", "b.com"))

    def test_an_address_is_no_dns_name(self) -> None:
        target = leaf(ICA, "192.0.2.1")
        refused("does not name", target, ICA, names=(GeneralName.ip("192.0.2.1"),))


class TestCAs:
    def test_a_leaf_issues_nothing(self) -> None:
        middle = leaf(ICA, name="Middle")
        refused("'CN=Middle' .* is not a CA's", leaf(middle), ICA, middle)

    def test_key_cert_sign(self) -> None:
        middle = ca("Middle", ICA, bits=["crl_sign"])
        refused("may not sign certificates", leaf(middle), ICA, middle)

    def test_path_length(self) -> None:
        for length, is_enough in ((0, False), (1, True), (None, True)):
            top = ca("Top", ROOT, path_length=length)
            middle = ca("Middle", top)
            if is_enough:
                assert validate(leaf(middle), top, middle)
            else:
                refused("longer than a CA above allows", leaf(middle), top, middle)
            # The last certificate is no intermediate, though it may be a CA's.
            assert validate(middle, top)

    def test_path_length_of_a_root(self) -> None:
        root = ca("Root", path_length=0)
        refused("longer than a CA above allows", leaf(ICA), ICA, roots=[root])

    def test_self_issued_ones_are_not_counted(self) -> None:
        top = ca("Top", ROOT, path_length=0)
        again = ca("Top", top, path_length=0, key=ec.generate_private_key(ec.SECP256R1()))
        assert len(validate(leaf(again), top, again, max_intermediates=1)) == 4

    def test_at_most_so_many_intermediates(self) -> None:
        middle = ca("Middle", ICA)
        target = leaf(middle)
        assert validate(target, ICA, middle, max_intermediates=2)
        refused("raise max_intermediates", target, ICA, middle, max_intermediates=1)

    def test_critical_and_unknown(self) -> None:
        refused("not known here", leaf(ICA, extensions=[UNKNOWN_CRITICAL]), ICA)
        assert validate(leaf(ICA, extensions=[(UNKNOWN_CRITICAL[0], False)]), ICA)
        middle = ca("Middle", ICA, extensions=[UNKNOWN_CRITICAL])
        refused("not known here", leaf(middle), ICA, middle)
        root = ca("Root", extensions=[UNKNOWN_CRITICAL])
        refused("not known here", leaf(ROOT), roots=[root])

    def test_a_policy_that_is_required(self) -> None:
        for skipped, is_required in ((0, True), (1, True), (2, False)):
            constraints = (x509.PolicyConstraints(skipped, None), True)
            top = ca("Top", ROOT, extensions=[constraints])
            if is_required:
                refused("requires a certificate policy", leaf(top), top)
            else:
                assert validate(leaf(top), top)


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


class TestNameConstraints:
    @pytest.mark.parametrize(
        ("base", "inside", "outside"),
        [
            (x509.DNSName("example.com"), "a.example.com", "example.org"),
            (x509.DNSName("example.com"), "*.example.com", "notexample.com"),
            (
                x509.IPAddress(ip_network("192.0.2.0/24")),
                x509.IPAddress(ip_address("192.0.2.7")),
                x509.IPAddress(ip_address("192.0.3.7")),
            ),
            (
                x509.RFC822Name("example.com"),
                x509.RFC822Name("ann@EXAMPLE.com"),
                x509.RFC822Name("ann@a.example.com"),
            ),
            (
                x509.UniformResourceIdentifier(".example.com"),
                x509.UniformResourceIdentifier("https://u@a.example.com:8443/x?y"),
                x509.UniformResourceIdentifier("https://example.com/"),
            ),
            (
                x509.DirectoryName(dn("O=ACME")),
                x509.DirectoryName(dn("CN=a", "O=acme")),
                x509.DirectoryName(dn("CN=a", "O=ACME Inc")),
            ),
        ],
    )
    def test_permitted_and_excluded(self, base: Any, inside: Any, outside: Any) -> None:
        name = dn() if isinstance(base, x509.DirectoryName) else "leaf"
        permitting = ca("Limited", ROOT, extensions=[permit(base)])
        assert validate(leaf(permitting, inside, name=name), permitting)
        refused("do not permit", leaf(permitting, inside, outside, name=name), permitting)
        excluding = ca("Limited", ROOT, extensions=[exclude(base)])
        assert validate(leaf(excluding, outside, name=name), excluding)
        refused("exclude", leaf(excluding, outside, inside, name=name), excluding)

    def test_of_the_subject(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DirectoryName(dn("O=ACME")))])
        assert validate(leaf(limited, name=dn("CN=a", "OU=b", "O=ACME")), limited)
        refused("do not permit", leaf(limited, name=dn("CN=a", "O=Other")), limited)
        emails = ca("Limited", ROOT, extensions=[exclude(x509.RFC822Name("example.com"))])
        name = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "ann@example.com")])
        refused("exclude", leaf(emails, name=name), emails)

    def test_of_cas_below_unless_self_issued(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DNSName("example.com"))])
        alternative = (x509.SubjectAlternativeName([x509.DNSName("other.org")]), False)
        below = ca("Below", limited, extensions=[alternative])
        refused("do not permit", leaf(below, "a.example.com"), limited, below)
        rolled = ca(
            "Limited",
            limited,
            extensions=[alternative],
            key=ec.generate_private_key(ec.SECP256R1()),
        )
        assert validate(leaf(rolled, "a.example.com"), limited, rolled)
        # The last certificate is held against them, self-issued or not.
        key = ec.generate_private_key(ec.SECP256R1())
        refused("do not permit", leaf(limited, "other.org", name="Limited", key=key), limited)

    def test_each_ca_narrows(self) -> None:
        wide = ca("Wide", ROOT, extensions=[permit(x509.DNSName("com"))])
        narrow = ca("Narrow", wide, extensions=[permit(x509.DNSName("a.com"))])
        assert validate(leaf(narrow, "x.a.com"), wide, narrow)
        refused("do not permit", leaf(narrow, "x.b.com"), wide, narrow)
        wider = ca("Wider", narrow, extensions=[permit(x509.DNSName("com"))])
        refused("do not permit", leaf(wider, "x.b.com"), wide, narrow, wider)

    def test_of_a_root(self) -> None:
        root = ca("Root", extensions=[permit(x509.DNSName("example.com"))])
        refused("do not permit", leaf(ICA, "example.org"), ICA, roots=[root])

    def test_what_is_not_processed_is_refused(self) -> None:
        other = x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
        limited = ca("Limited", ROOT, extensions=[exclude(other)])
        refused("can't be told", leaf(limited, other), limited)
        assert validate(leaf(limited, "a.example.com"), limited)

    def test_an_internationalised_mailbox_is_an_email_address(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.RFC822Name("example.com"))])
        oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
        mailbox = x509.OtherName(oid, b"\x0c\x0e\xc3\xa4@example.org")
        refused("can't be told", leaf(limited, mailbox), limited)

    @pytest.mark.parametrize("field", [b"\x80\x01\x01", b"\x81\x01\x01"], ids=["min", "max"])
    def test_limits_of_depth_are_refused(self, field: bytes) -> None:
        name = b"\x82\x0bexample.com"
        subtree = b"\x30" + bytes([len(name + field)]) + name + field
        value = b"\xa0" + bytes([len(subtree)]) + subtree
        raw = x509.UnrecognizedExtension(
            x509.NameConstraints.oid, b"\x30" + bytes([len(value)]) + value
        )
        limited = ca("Limited", ROOT, extensions=[(raw, True)])
        refused("limited in depth", leaf(limited, "example.com"), limited)

    def test_a_leading_period(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DNSName(".example.com"))])
        target = leaf(limited, "a.example.com")
        refused("leading period", target, limited)
        assert validate(target, limited, conformance=Conformance.PATH)
        apex = leaf(limited, "example.com")
        refused("do not permit", apex, limited, conformance=Conformance.PATH)


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


class TestOnRecord:
    """What the caller's own registry says, through the port."""

    TARGET = leaf(ICA)

    def test_all_but_the_root_have_to_be(self) -> None:
        asked: list[x509.Certificate] = []

        def lookup(certificate: x509.Certificate) -> bool:
            asked.append(certificate)
            return certificate != ROOT.certificate

        assert validate(self.TARGET, ICA, on_record=lookup)
        assert asked == certificates(self.TARGET, ICA, ROOT)
        for missing in (self.TARGET, ICA):
            refused(
                "does not know",
                self.TARGET,
                ICA,
                on_record=lambda one, missing=missing: one != missing.certificate,
            )

    @pytest.mark.parametrize("revoked", [TARGET, ICA, ROOT], ids=["leaf", "ICA", "root"])
    def test_a_revoked_one_is_refused(self, revoked: Node) -> None:
        def lookup(certificate: x509.Certificate) -> bool:
            if certificate == revoked.certificate:
                raise ValidationCertError("It is revoked.")
            return True

        refused("It is revoked", self.TARGET, ICA, on_record=lookup)

    def test_another_path_is_tried(self) -> None:
        renewed = ca("ICA", ROOT)

        def lookup(certificate: x509.Certificate) -> bool:
            if certificate == ICA.certificate:
                raise ValidationCertError("It is revoked.")
            return True

        path = validate(self.TARGET, ICA, renewed, on_record=lookup)
        assert path == certificates(self.TARGET, renewed, ROOT)

    def test_each_is_looked_up_once(self) -> None:
        roots = [ca("Root") for _ in range(3)]
        asked: list[x509.Certificate] = []

        def lookup(certificate: x509.Certificate) -> bool:
            asked.append(certificate)
            return certificate == self.TARGET.certificate

        refused("does not know 'CN=ICA'", self.TARGET, ICA, roots=roots, on_record=lookup)
        assert asked.count(self.TARGET.certificate) == 1

    def test_a_registry_that_fails_is_no_answer(self) -> None:
        def lookup(certificate: x509.Certificate) -> bool:
            raise RegistryError("The database is gone.")

        with pytest.raises(RegistryError):
            validate(self.TARGET, ICA, on_record=lookup)


class TestWorkIsBounded:
    def test_when_everybody_signs_everybody(self) -> None:
        cas = [ca(f"Dense {number}") for number in range(12)]
        crossed = [ca(f"Dense {i}", issuer) for i in range(12) for issuer in cas]
        start = time.process_time()
        refused("No path was found within", leaf(cas[0]), *crossed, max_intermediates=255)
        assert time.process_time() - start < 2

    def test_when_many_have_one_name(self) -> None:
        twins = [ca("ICA", ROOT, key=ec.generate_private_key(ec.SECP256R1())) for _ in range(200)]
        refused("within 128 signatures", leaf(ICA), *twins)
        # The issuer's key is named, so it is tried first.
        assert validate(leaf(ICA), *twins, ICA)

    @pytest.mark.parametrize("what", ["signatures", "steps", "paths"])
    def test_by_each_limit(self, what: str) -> None:
        limits = PathLimits(**{what: 0})
        refused(f"within 0 {what}", leaf(ICA), ICA, limits=limits)

    def test_by_the_comparisons_of_names(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DNSName("a"), x509.DNSName("b"))])
        target = leaf(limited, "x.a", "y.b")
        # Its three names, with the subject, against two subtrees.
        assert validate(target, limited, limits=PathLimits(comparisons=6))
        refused("comparisons", target, limited, limits=PathLimits(comparisons=5))


_TBS = {
    x509.Certificate: "tbs_certificate_bytes",
    x509.CertificateRevocationList: "tbs_certlist_bytes",
}


class TestHostileBytes:
    """A certificate or CRL with some octets changed is refused, by a typed error."""

    REQUESTS = tuple(
        PathRequest(NOW, SERVER.dotted_string, hosts("a.example"), conformance=conformance)
        for conformance in Conformance
    )

    def test_what_can_still_be_loaded_is_refused(self) -> None:
        limits = permit(x509.DNSName("example"), x509.RFC822Name("b.example"))
        names = "a.example", x509.RFC822Name("a@b.example"), x509.DirectoryName(dn("CN=a"))
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier("http://a.example/")], None, None, None
        )
        middle = ca("Middle", ROOT, path_length=0, extensions=[limits])
        target = leaf(
            middle,
            *names,
            purposes=[SERVER],
            name="a.example",
            extensions=[(x509.CRLDistributionPoints([point]), False)],
        )
        signed = [target.certificate, middle.certificate, ROOT.crl(), middle.crl()]
        ders = [one.public_bytes(Encoding.DER) for one in signed]
        contents = {getattr(one, _TBS[type(one)]) for one in signed}
        outcomes = Counter(self._outcome(ders, contents, Random(seed)) for seed in range(1500))
        assert set(outcomes) <= {"not loaded", "refused", "unchanged"}
        assert outcomes["refused"] > 300

    def _outcome(self, ders: list[bytes], contents: set[bytes], random: Random) -> str:
        changed, which = list(ders), random.randrange(len(ders))
        octets = bytearray(ders[which])
        for _ in range(random.choice((1, 1, 2, 4))):
            octets[random.randrange(len(octets))] = random.choice((0, 3, 0x1E, 0x30, 0x82, 0xFF))
        changed[which] = bytes(octets)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                certificates = [x509.load_der_x509_certificate(der) for der in changed[:2]]
                crls = [x509.load_der_x509_crl(der) for der in changed[2:]]
        except Exception:  # noqa: BLE001
            return "not loaded"
        material = PathMaterial([ROOT.certificate], certificates[1:], crls)
        try:
            CryptographyPathValidator().validate(
                certificates[0], random.choice(self.REQUESTS), material
            )
        except ValidationCertError:
            return "refused"
        # The wrapping of a signature can be changed, by its unused bits; not what is signed.
        signed = {getattr(one, _TBS[type(one)]) for one in (*certificates, *crls)}
        return "unchanged" if signed == contents else "accepted"
