"""Profiles: what they let a certificate say, and what they refuse."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES, all_profiles
from tiny_ca.domain.errors import (
    InvalidRangeTimeCertificate,
    InvalidRequest,
    ProfileViolation,
)
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import CertificateInfo, GeneralName, GeneralNameKind
from tiny_ca.domain.plan import CertificatePlan, ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.planning import plan_issuance
from tiny_ca.domain.profiles import Profile, flag_profile
from tiny_ca.domain.requests import Authority, IssuanceRequest
from tiny_ca.domain.serial import CertType

NOW = datetime(2030, 6, 15, tzinfo=UTC)
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
ISSUER = Authority(
    CertificateInfo(organization="ACME", country="UA"), Validity(NOW - DAY, NOW + 3650 * DAY)
)
P256 = KeySpec(KeyAlgorithm.P256)
URLS = PublicationURLs(("http://c.test/",), ("http://o.test/",), ("http://i.test/",))


def own(**fields: Any) -> Profile:
    return Profile(**{"name": "own", **fields})


def plan(
    profile: Profile, common_name: str = "Jane Doe", authority: Authority = ISSUER, **asked: Any
) -> CertificatePlan:
    request = IssuanceRequest(common_name, profile, **{"key": P256, **asked})
    return plan_issuance(request, authority=authority, now=NOW, random_bits=1, urls=URLS)


def problems(profile: Profile, common_name: str = "Jane Doe", **asked: Any) -> tuple[str, ...]:
    with pytest.raises(ProfileViolation) as caught:
        plan(profile, common_name, **asked)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


class TestNames:
    RULES = own(names=NameRules(allowed_suffixes=("corp.test",), denied_networks=(
        ip_network("10.0.0.0/8"),)))  # fmt: skip

    def test_every_name_is_held_to_the_rules_and_all_problems_are_told(self) -> None:
        names = (
            GeneralName.dns("a.evil.test"),
            GeneralName.dns("a.corp.test"),
            GeneralName.ip("10.0.0.1"),
        )
        first, second = problems(self.RULES, names=names)
        assert "a.evil.test" in first
        assert "10.0.0.1" in second

    def test_a_common_name_that_is_a_host_is_too(self) -> None:
        assert "a.evil.test" in problems(self.RULES, "a.evil.test")[0]
        assert "10.0.0.1" in problems(self.RULES, "10.0.0.1")[0]
        assert "xn--" in problems(self.RULES, "bücher.evil", host_name="xn--bcher-kva.evil")[0]
        assert plan(self.RULES, "a.corp.test").subject.common_name == "a.corp.test"

    @pytest.mark.parametrize("common_name", ["Jane Doe", "jane", "sensor-17"])
    def test_a_common_name_of_one_word_is_nobodys_host(self, common_name: str) -> None:
        assert plan(self.RULES, common_name).subject.common_name == common_name
        # Unless it is in the SAN, where a server's is.
        server = replace(self.RULES, extended_key_usage=(ExtendedKeyUsage.SERVER_AUTH,))
        if " " not in common_name:
            assert problems(server, common_name)

    @pytest.mark.parametrize("kind", GeneralNameKind)
    def test_kinds(self, kind: GeneralNameKind) -> None:
        names = {
            GeneralNameKind.DNS: GeneralName.dns("a.test"),
            GeneralNameKind.IP: GeneralName.ip("192.0.2.1"),
            GeneralNameKind.EMAIL: GeneralName.email("a@a.test"),
            GeneralNameKind.URI: GeneralName.uri("spiffe://a.test/b"),
        }
        profile = own(san_kinds=frozenset({kind}))
        assert plan(profile, names=(names[kind],)).subject_alternative_names == (names[kind],)
        others = tuple(name for each, name in names.items() if each is not kind)
        found = problems(profile, names=others)
        assert len(found) == 3
        assert all("of kind" in problem for problem in found)

    def test_one_at_least(self) -> None:
        profile = own(is_san_required=True, san_kinds=frozenset({GeneralNameKind.DNS}))
        assert problems(profile) == ("at least one subject alternative name (dns) is needed",)
        assert plan(profile, names=(GeneralName.dns("a.test"),))
        # A server's common name is one, if it is a host's.
        assert plan(BUILT_IN_PROFILES["server"], "a.test")
        assert problems(BUILT_IN_PROFILES["server"], "Jane Doe")


class TestSubject:
    def test_what_is_required(self) -> None:
        profile = own(required_subject=frozenset({"email", "locality", "organization"}))
        # The organization is the issuer's.
        assert problems(profile) == ("the subject needs email", "the subject needs locality")
        there = plan(profile, email="a@a.test", subject=CertificateInfo(locality="Kyiv"))
        assert there.subject.locality == "Kyiv"

    def test_what_is_fixed_holds_whatever_is_asked_for(self) -> None:
        profile = own(fixed_subject={"organization": "Fixed", "locality": "Kyiv"})
        asked = CertificateInfo(organization="Mine", locality="Lviv", state="Lviv")
        subject = plan(profile, subject=asked).subject
        assert (subject.organization, subject.locality, subject.state) == ("Fixed", "Kyiv", "Lviv")
        assert subject.country == "UA"

    def test_a_fixed_one_meets_a_requirement(self) -> None:
        profile = own(fixed_subject={"locality": "Kyiv"}, required_subject=frozenset({"locality"}))
        assert plan(profile).subject.locality == "Kyiv"

    def test_it_can_not_be_changed_afterwards(self) -> None:
        mine = {"locality": "Kyiv"}
        profile = own(fixed_subject=mine)
        mine["locality"] = "Lviv"
        assert profile.fixed_subject == {"locality": "Kyiv"}
        with pytest.raises(TypeError):
            profile.fixed_subject["locality"] = "Lviv"  # type: ignore[index]
        with pytest.raises(FrozenInstanceError):
            profile.name = "other"  # type: ignore[misc]


class TestValidity:
    def test_the_maximum_counts_both_ends(self) -> None:
        profile = own(default_validity=90 * DAY, max_validity=90 * DAY)
        for lifetime in (None, 90, 90 * DAY):
            validity = plan(profile, lifetime=lifetime).validity
            assert validity.not_before == NOW
            assert validity.duration == 90 * DAY
        assert plan(profile, lifetime=90 * DAY - SECOND).validity.duration == 90 * DAY

    @pytest.mark.parametrize("lifetime", [91, 90 * DAY + SECOND])
    def test_more_is_refused(self, lifetime: object) -> None:
        profile = own(default_validity=DAY, max_validity=90 * DAY)
        assert "more than 90 days" in problems(profile, lifetime=lifetime)[0]

    def test_the_usual_one_counts_unless_another_is_asked_for(self) -> None:
        profile = own(default_validity=12 * HOUR)
        assert plan(profile).validity == Validity(NOW, NOW + 12 * HOUR)
        assert plan(profile, lifetime=HOUR).validity == Validity(NOW, NOW + HOUR)

    def test_backdating_lies_inside_the_maximum(self) -> None:
        profile = own(default_validity=DAY, max_validity=DAY, backdate=HOUR)
        validity = plan(profile).validity
        assert validity.not_before == NOW - HOUR
        assert validity.duration == DAY
        # Shorter ones keep their end.
        assert plan(profile, lifetime=HOUR).validity == Validity(NOW - HOUR, NOW + HOUR)

    def test_a_start_that_is_asked_for_is_not_backdated(self) -> None:
        validity = plan(own(backdate=HOUR), valid_from=NOW + DAY, lifetime=1).validity
        assert validity == Validity(NOW + DAY, NOW + 2 * DAY)

    def test_nothing_begins_before_its_issuer(self) -> None:
        young = replace(ISSUER, validity=Validity(NOW - 60 * SECOND, NOW + DAY))
        validity = plan(own(backdate=HOUR), authority=young, lifetime=HOUR).validity
        assert validity.not_before == young.validity.not_before
        # Backdating never makes it begin later than now.
        future = replace(ISSUER, validity=Validity(NOW + HOUR, NOW + 3 * DAY))
        assert plan(own(backdate=HOUR), authority=future).validity.not_before == NOW

    def test_nothing_outlives_its_issuer(self) -> None:
        short = replace(ISSUER, validity=Validity(NOW - DAY, NOW + DAY))
        cut = plan(own(), authority=short)
        assert cut.validity.not_after == NOW + DAY
        assert cut.is_shortened
        with pytest.raises(InvalidRangeTimeCertificate):
            plan(own(), authority=short, is_strict=True)

    def test_a_cut_to_the_maximum_is_no_cut_by_the_issuer(self) -> None:
        profile = own(default_validity=DAY, max_validity=DAY)
        assert not plan(profile, is_strict=True).is_shortened


class TestKeys:
    @pytest.mark.parametrize("algorithm", KeyAlgorithm)
    def test_algorithms(self, algorithm: KeyAlgorithm) -> None:
        others = tuple(each for each in KeyAlgorithm if each is not algorithm)
        assert plan(own(key_algorithms=(algorithm,)), key=KeySpec(algorithm))
        assert str(algorithm) in problems(own(key_algorithms=others), key=KeySpec(algorithm))[0]

    def test_rsa_bits(self) -> None:
        profile = own(min_rsa_bits=3072)
        assert problems(profile, key=KeySpec(rsa_bits=2048)) == (
            "an RSA key has at least 3072 bits here, not 2048",
        )
        assert plan(profile, key=KeySpec(rsa_bits=3072))
        assert plan(profile, key=P256)

    def test_only_rsa_keys_encipher_keys(self) -> None:
        for algorithm in KeyAlgorithm:
            usage = plan(own(), key=KeySpec(algorithm)).key_usage
            assert (KeyUsage.KEY_ENCIPHERMENT in usage) is (algorithm is KeyAlgorithm.RSA)
            assert KeyUsage.DIGITAL_SIGNATURE in usage


class TestContent:
    def test_what_a_profile_says_the_certificate_says(self) -> None:
        profile = own(
            cert_type=CertType.DEVICE,
            extended_key_usage=("1.3.6.1.4.1.99999.1", ExtendedKeyUsage.CLIENT_AUTH),
            is_extended_key_usage_critical=True,
            key_usage=frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.CONTENT_COMMITMENT}),
            policies=("2.23.140.1.2.1", "2.999.18446744073709551616"),
            claims_name=False,
        )
        planned = plan(profile)
        assert planned.extended_key_usage == profile.extended_key_usage
        assert planned.is_extended_key_usage_critical
        assert planned.policies == profile.policies
        assert planned.key_usage == profile.key_usage
        assert planned.cert_type is CertType.DEVICE
        assert planned.profile == "own"
        assert not planned.claims_name
        assert planned.urls == URLS

    def test_a_certificate_type_of_another_kind(self) -> None:
        assert plan(own(), cert_type=CertType.USER).cert_type is CertType.USER
        assert problems(own(), cert_type=CertType.CA)

    def test_what_can_not_be_revoked_points_at_nothing_that_would_tell(self) -> None:
        planned = plan(own(no_rev_avail=True))
        assert planned.no_rev_avail
        assert planned.urls == PublicationURLs(issuer=URLS.issuer)

    @pytest.mark.parametrize("shards", [1, 4])
    def test_neither_by_deltas_nor_by_shards(self, shards: int) -> None:
        which = "{shard}" if shards > 1 else ""
        urls = PublicationURLs(
            crl=(f"http://a.test/{which}.crl",),
            delta=(f"http://a.test/{which}.delta",),
            issuer=URLS.issuer,
            crl_shards=shards,
        )
        request = IssuanceRequest("Jane Doe", own(no_rev_avail=True), P256)
        planned = plan_issuance(request, authority=ISSUER, now=NOW, random_bits=1, urls=urls)
        assert planned.urls == PublicationURLs(issuer=URLS.issuer)


SIGNING = frozenset({KeyUsage.DIGITAL_SIGNATURE})
STAMPING = (ExtendedKeyUsage.TIME_STAMPING,)
CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "64 printable": {"name": "x" * 65},
    "printable characters": {"name": "a\nb"},
    "no key algorithm": {"key_algorithms": ()},
    "not a valid KeyAlgorithm": {"key_algorithms": ("p-257",)},
    "not a valid KeyUsage": {"key_usage": ("digitalSignature",)},
    "san_kinds": {"san_kinds": ("host",)},
    "max_validity is a timedelta": {"max_validity": 90},
    "names is a NameRules": {"names": {"allowed_suffixes": ("a.test",)}},
    "unplanned_requests": {"unplanned_requests": "deny"},
    "no such attribute of a subject: mail": {"required_subject": frozenset({"mail"})},
    "attribute of a subject: street": {"fixed_subject": {"street": "a"}},
    "of a subject: serial": {"subject_from_csr": frozenset({"serial"})},
    "two capital letters": {"fixed_subject": {"country": "Ukraine"}},
    "common_name is 1-64": {"fixed_subject": {"common_name": ""}},
    "an email in the subject": {
        "required_subject": frozenset({"email"}),
        "san_kinds": frozenset({GeneralNameKind.DNS}),
    },
    "is_san_required without": {"is_san_required": True, "san_kinds": frozenset()},
    "whole seconds": {"default_validity": timedelta(seconds=1.5)},
    "not positive": {"default_validity": timedelta(0)},
    "backdate is negative": {"backdate": -SECOND},
    "longer than max_validity": {"max_validity": DAY},
    "backdate is longer than": {
        "default_validity": HOUR,
        "max_validity": HOUR,
        "backdate": HOUR,
    },
    "min_rsa_bits": {"min_rsa_bits": 1024},
    "octets": {"min_rsa_bits": 2052},
    "no key_usage is left for keys of p-256": {
        "key_usage": frozenset({KeyUsage.KEY_ENCIPHERMENT}),
        "key_algorithms": (KeyAlgorithm.RSA, KeyAlgorithm.P256),
    },
    "path_length": {"path_length": 0},
    "path_length is 0": {
        "path_length": -1,
        "is_ca": True,
        "cert_type": CertType.CA,
        "key_usage": frozenset({KeyUsage.KEY_CERT_SIGN}),
    },
    "keyCertSign": {"is_ca": True, "cert_type": CertType.CA},
    "keyCertSign and is_ca": {"key_usage": frozenset({KeyUsage.KEY_CERT_SIGN})},
    "cert_type CA": {"cert_type": CertType.CA},
    "can be revoked": {
        "no_rev_avail": True,
        "is_ca": True,
        "cert_type": CertType.CA,
        "key_usage": frozenset({KeyUsage.KEY_CERT_SIGN}),
    },
    "no_rev_avail and URLs": {"no_rev_avail": True, "urls": URLS},
    "no_rev_avail and URLs of CRLs": {
        "no_rev_avail": True,
        "urls": PublicationURLs(delta=("http://a.test/delta.crl",)),
    },
    "serverAuth is no object": {"extended_key_usage": ("serverAuth",)},
    "policies: 3.1 is no": {"policies": ("3.1",)},
    "policies: 1.40.1, 1, 1.02 is no": {"policies": ("1.40.1", "1", "1.02")},
    "policies has one twice": {"policies": ("2.999.1", "2.999.1")},
    "extended_key_usage has one twice": {"extended_key_usage": ("2.999.1", "2.999.1")},
    "time stamping is": {"extended_key_usage": STAMPING, "key_usage": SIGNING},
    "time stamping is the only": {
        "extended_key_usage": (*STAMPING, ExtendedKeyUsage.CODE_SIGNING),
        "is_extended_key_usage_critical": True,
    },
    "ocsp_no_check": {"ocsp_no_check": True},
}


@pytest.mark.parametrize(("says", "fields"), CONTRADICTIONS.items())
def test_contradictions_are_refused_at_construction(says: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=says):
        own(**fields)


class TestTheTable:
    def test_namesakes_take_the_place_of_built_in_ones(self) -> None:
        mine = Profile(name="server", default_validity=DAY)
        table = all_profiles([mine, own()])
        assert table["server"] is mine
        assert set(table) == {*BUILT_IN_PROFILES, "own"}
        assert BUILT_IN_PROFILES["server"] is not mine

    def test_two_of_ones_own_do_not_share_a_name(self) -> None:
        with pytest.raises(InvalidRequest, match="one name"):
            all_profiles([own(), own(default_validity=DAY)])

    def test_each_has_a_name(self) -> None:
        with pytest.raises(InvalidRequest, match="has a name"):
            all_profiles([flag_profile()])

    def test_the_profile_of_intermediates_is_for_cas(self) -> None:
        with pytest.raises(InvalidRequest, match="for CAs"):
            all_profiles([Profile(name="ca")])

    @pytest.mark.parametrize("profile", BUILT_IN_PROFILES.values(), ids=lambda one: one.name)
    def test_a_built_in_one_can_be_taken_for_a_base(self, profile: Profile) -> None:
        assert replace(profile, name="mine").name == "mine"
