"""Profiles: whatever is asked for, what is planned keeps to them."""

from datetime import timedelta
from ipaddress import ip_address, ip_network

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.property.strategies import NOW, dns_names
from tiny_ca.domain.errors import InvalidRangeTimeCertificate, InvalidRequest, ProfileViolation
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import CertificateInfo, GeneralName
from tiny_ca.domain.planning import plan_issuance
from tiny_ca.domain.profiles import Profile
from tiny_ca.domain.requests import Authority, IssuanceRequest

SECOND = timedelta(seconds=1)
seconds = st.integers(1, 90).map(lambda count: timedelta(seconds=count))
# Few labels, so that names meet.
host_names = st.builds(
    lambda wildcard, labels: wildcard + ".".join(labels),
    st.sampled_from(["", "*."]),
    st.lists(st.sampled_from("abc"), min_size=2, max_size=4),
)
suffixes = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
addresses = st.integers(0, 255).map(lambda last: str(ip_address(f"10.0.0.{last}")))
networks = st.builds(
    lambda last, length: ip_network(f"10.0.0.{last}/{length}", strict=False),
    st.integers(0, 255),
    st.integers(22, 32),
)


def stands_for(name: str) -> set[str]:
    """What a name matches, of one more label where it is a wildcard (RFC 9525 §6.3)."""
    parent = name.removeprefix("*.")
    return {name} if parent == name else {f"{label}.{parent}" for label in "abcd"}


def is_below(name: str, suffix: str) -> bool:
    labels, end = name.split("."), suffix.split(".")
    return labels[-len(end) :] == end


class TestNames:
    @given(host_names, st.lists(suffixes, max_size=3), st.lists(suffixes, max_size=3))
    def test_a_host_is_allowed_iff_all_that_it_stands_for_is(self, name, allowed, denied):
        rules = NameRules(allowed_suffixes=tuple(allowed), denied_suffixes=tuple(denied))
        # No denied name may be matched; the wildcard itself hangs from an allowed one.
        is_denied = any(is_below(host, each) for host in stands_for(name) for each in denied)
        parent = name.removeprefix("*.")
        is_inside = not allowed or any(is_below(parent, each) for each in allowed)
        assert (not list(rules.problems(GeneralName.dns(name)))) is (is_inside and not is_denied)

    @given(addresses, st.lists(networks, max_size=3), st.lists(networks, max_size=3))
    def test_an_address_is_allowed_iff_it_is_inside_and_not_denied(self, text, allowed, denied):
        rules = NameRules(allowed_networks=tuple(allowed), denied_networks=tuple(denied))
        address = ip_address(text)
        is_inside = not allowed or any(address in network for network in allowed)
        is_denied = any(address in network for network in denied)
        assert (not list(rules.problems(GeneralName.ip(text)))) is (is_inside and not is_denied)

    @given(dns_names)
    def test_a_name_is_below_itself(self, name):
        suffix = name.removeprefix("*.")
        assert not list(NameRules(allowed_suffixes=(suffix,)).problems(GeneralName.dns(name)))
        assert list(NameRules(denied_suffixes=(suffix,)).problems(GeneralName.dns(name)))


class TestValidity:
    @given(seconds, seconds, st.integers(0, 90), st.none() | seconds, seconds, seconds)
    def test_never_longer_than_the_maximum_and_never_outside_the_issuers(
        self, usual, longest, back, asked, before, after
    ):
        try:
            profile = Profile(
                name="own",
                default_validity=usual,
                max_validity=longest,
                backdate=timedelta(seconds=back),
            )
        except InvalidRequest:
            assert usual > longest or timedelta(seconds=back) >= longest
            return
        issuer = Validity(NOW - before, NOW + after)
        request = IssuanceRequest("Jane Doe", profile, lifetime=asked)
        try:
            plan = plan_issuance(
                request, authority=Authority(CertificateInfo(), issuer), now=NOW, random_bits=1
            )
        except ProfileViolation:
            assert asked is not None
            assert asked > longest
            return
        except InvalidRangeTimeCertificate:
            # All of it would lie before now.
            assert longest <= profile.backdate + SECOND
            return
        validity = plan.validity
        assume(validity.not_after > NOW)
        assert validity.duration <= longest
        assert issuer.not_before <= validity.not_before <= NOW
        assert NOW < validity.not_after <= issuer.not_after
