"""Which names a profile lets a certificate have."""

from ipaddress import ip_network

import pytest

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import GeneralName

dns, ip, email, uri = GeneralName.dns, GeneralName.ip, GeneralName.email, GeneralName.uri
TEN = ip_network("10.0.0.0/8")
DOCUMENTATION = ip_network("2001:db8::/32")


def is_allowed(rules: NameRules, name: GeneralName) -> bool:
    return not list(rules.problems(name))


def test_without_rules_all_names_are_allowed() -> None:
    for name in (dns("a.test"), dns("*.test.example"), ip("::1"), email("a@b.test")):
        assert is_allowed(NameRules(), name)


class TestSuffixes:
    @pytest.mark.parametrize("suffix", ["corp.test", ".corp.test", "CORP.Test"])
    def test_a_suffix_covers_itself_and_what_lies_below(self, suffix: str) -> None:
        allow, deny = NameRules(allowed_suffixes=(suffix,)), NameRules(denied_suffixes=(suffix,))
        for inside in ("corp.test", "a.corp.test", "a.b.corp.test", "*.corp.test", "A.CORP.TEST"):
            assert is_allowed(allow, dns(inside)), inside
            assert not is_allowed(deny, dns(inside)), inside
        # Whole labels alone count.
        for outside in ("test", "acorp.test", "corp.test.evil", "corp-test", "a.corp.tes"):
            assert not is_allowed(allow, dns(outside)), outside
            assert is_allowed(deny, dns(outside)), outside

    def test_what_is_denied_stays_denied(self) -> None:
        rules = NameRules(allowed_suffixes=("corp.test",), denied_suffixes=("hr.corp.test",))
        assert is_allowed(rules, dns("www.corp.test"))
        assert not is_allowed(rules, dns("hr.corp.test"))
        assert not is_allowed(rules, dns("pay.hr.corp.test"))

    def test_a_wildcard_does_not_reach_over_a_denied_name(self) -> None:
        rules = NameRules(denied_suffixes=("hr.corp.test",))
        # RFC 9525 §6.3: it stands for one label, so for hr.corp.test, but for nothing below it.
        assert not is_allowed(rules, dns("*.corp.test"))
        assert not is_allowed(rules, dns("*.hr.corp.test"))
        assert is_allowed(rules, dns("*.test.example"))
        assert is_allowed(NameRules(denied_suffixes=("a.hr.corp.test",)), dns("*.corp.test"))
        # The name that the wildcard hangs from is not meant by it.
        assert is_allowed(NameRules(denied_suffixes=("corp.example",)), dns("*.a.test"))

    def test_mailboxes_and_uris_count_by_their_hosts(self) -> None:
        rules = NameRules(allowed_suffixes=("corp.test",), denied_suffixes=("hr.corp.test",))
        assert is_allowed(rules, email("jane@corp.test"))
        assert is_allowed(rules, uri("spiffe://corp.test/api"))
        for name in (
            email("jane@evil.test"),
            email("corp.test@evil.test"),
            email("jane@hr.corp.test"),
            uri("https://evil.test/corp.test"),
            uri("https://corp.test@evil.test/"),
            uri("spiffe://hr.corp.test/api"),
        ):
            assert not is_allowed(rules, name), name

    def test_they_say_nothing_of_addresses(self) -> None:
        assert is_allowed(NameRules(allowed_suffixes=("corp.test",)), ip("192.0.2.1"))


class TestNetworks:
    def test_an_address_lies_in_an_allowed_one(self) -> None:
        rules = NameRules(allowed_networks=(TEN, DOCUMENTATION))
        for inside in ("10.0.0.0", "10.255.255.255", "2001:db8::1"):
            assert is_allowed(rules, ip(inside)), inside
        for outside in ("11.0.0.0", "9.255.255.255", "2001:db9::", "::1", "::ffff:10.0.0.1"):
            assert not is_allowed(rules, ip(outside)), outside
        assert is_allowed(rules, dns("a.test"))

    def test_what_is_denied_stays_denied(self) -> None:
        rules = NameRules(allowed_networks=(TEN,), denied_networks=(ip_network("10.1.0.0/16"),))
        assert is_allowed(rules, ip("10.0.0.1"))
        assert not is_allowed(rules, ip("10.1.0.1"))

    def test_a_denied_address_does_not_slip_through_inside_ipv6(self) -> None:
        assert not is_allowed(NameRules(denied_networks=(TEN,)), ip("::ffff:10.0.0.1"))
        assert is_allowed(NameRules(denied_networks=(TEN,)), ip("::ffff:11.0.0.1"))

    def test_a_uri_counts_by_its_address(self) -> None:
        rules = NameRules(allowed_networks=(TEN,), denied_networks=(DOCUMENTATION,))
        assert is_allowed(rules, uri("https://10.0.0.1/"))
        assert not is_allowed(rules, uri("https://192.0.2.1/"))
        assert not is_allowed(rules, uri("https://[2001:db8::1]/"))


class TestSwitches:
    def test_wildcards(self) -> None:
        rules = NameRules(allow_wildcards=False)
        assert not is_allowed(rules, dns("*.corp.example"))
        assert is_allowed(rules, dns("corp.example"))

    @pytest.mark.parametrize(
        "name",
        ["localhost", "a.local", "a.test", "www.example", "a.internal", "x.invalid", "b.onion",
         "router.home.arpa", "a.alt"],
    )  # fmt: skip
    def test_reserved_domains(self, name: str) -> None:
        assert is_allowed(NameRules(), dns(name))
        assert not is_allowed(NameRules(allow_reserved=False), dns(name))

    @pytest.mark.parametrize("name", ["example.com", "local.net", "test.org", "in-addr.arpa"])
    def test_names_that_only_look_reserved(self, name: str) -> None:
        assert is_allowed(NameRules(allow_reserved=False), dns(name))


class TestMistakes:
    """A rule that means nothing must not be taken for one that denies."""

    @pytest.mark.parametrize("which", ["allowed_suffixes", "denied_suffixes"])
    @pytest.mark.parametrize(
        "suffixes",
        [("",), (".",), ("a b",), ("*.evil.test",), ("10.0.0.0/8",), ("192.0.2.1",), ("bücher",),
         "com", ["ok.test", ""]],
    )  # fmt: skip
    def test_suffixes(self, which: str, suffixes: tuple[str, ...]) -> None:
        with pytest.raises(InvalidRequest):
            NameRules(**{which: suffixes})

    @pytest.mark.parametrize("which", ["allowed_networks", "denied_networks"])
    @pytest.mark.parametrize("networks", [("10.0.0.0/8",), "10.0.0.0/8", (None,)])
    def test_networks(self, which: str, networks: tuple[object, ...]) -> None:
        with pytest.raises(InvalidRequest):
            NameRules(**{which: networks})
