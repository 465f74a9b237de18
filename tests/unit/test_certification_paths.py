"""Certification paths: which are found, and what makes them none (RFC 5280 §6)."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.chains import DAY, NOW, ca, leaf, made, usage
from tests.unit.verifying import CLIENT, ICA, ROOT, SERVER, certificates, hosts, refused, validate
from tiny_ca.adapters.outbound.crypto import CryptographyBackend, CryptographyPathValidator
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.names import GeneralName
from tiny_ca.domain.paths import PathLimits
from tiny_ca.ports.path import PathValidator

UNKNOWN_CRITICAL = (
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\5\0"),
    True,
)


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
        refused("No path leads", leaf(one), *circle, limits=PathLimits(steps=4))

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
