"""Profiles from end to end: a manager with one's own, real files and databases."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from tests.interop.test_pkilint import lint
from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    PublicationURLs,
    SyncDBHandler,
)
from tiny_ca.domain.errors import InvalidRequest, NotUniqueCertOwner, ProfileViolation
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage
from tiny_ca.domain.profiles import Profile, UnplannedRequests
from tiny_ca.ports.issuer import own_issuer_id
from tiny_ca.testing.samples import sample_key

OWN = Profile(
    name="own",
    default_validity=timedelta(days=30),
    max_validity=timedelta(days=30),
    extended_key_usage=("1.3.6.1.4.1.99999.1", ExtendedKeyUsage.CLIENT_AUTH),
    key_usage=frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.CONTENT_COMMITMENT}),
    policies=("1.3.6.1.4.1.99999.2", "1.3.6.1.4.1.99999.3"),
    fixed_subject={"organization": "Fixed"},
    key_algorithms=("p-384", "p-256"),  # type: ignore[arg-type]
    names=NameRules(allowed_suffixes=("corp.test",), allowed_networks=(ip_network("10.0.0.0/8"),)),
    urls=PublicationURLs(
        crl=("http://own.test/{issuer_id}.crl",), issuer=("http://own.test/{issuer_id}.cer",)
    ),
    claims_name=False,
)
Make = Callable[..., CertLifecycleManager]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[CertLifecycleManager] = []

    def manager(*profiles: Profile, **options: Any) -> CertLifecycleManager:
        ca = CertLifecycleManager(
            LocalStorage(tmp_path / "pki"),
            db_handler=SyncDBHandler(f"sqlite:///{tmp_path / 'registry.db'}"),
            profiles=profiles,
            **options,
        )
        made.append(ca)
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        return ca

    yield manager
    for ca in made:
        ca.close()


def issue(ca: CertLifecycleManager, profile: str, name: str, **fields: Any) -> x509.Certificate:
    config = ClientConfig(common_name=name, profile=profile, **fields)
    preview = ca.plan(config)
    certificate, _, _ = ca.issue_certificate(config)
    # What plan() shows is what is issued.
    assert preview.is_allowed
    assert preview.plan is not None
    assert preview.plan.validity.duration == _duration(certificate)
    assert [str(name.value) for name in _names(certificate)] == [
        name.value for name in preview.plan.subject_alternative_names
    ]
    return certificate


def _duration(certificate: x509.Certificate) -> timedelta:
    period = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return period + timedelta(seconds=1)


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    return certificate.extensions.get_extension_for_class(kind).value


def request(key: Any, *attributes: tuple[x509.ObjectIdentifier, str], **names: str) -> Any:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(names["dns"])])
        builder = builder.add_extension(san, critical=False)
    return builder.sign(key, SHA256())


class TestOwnProfiles:
    def test_the_certificate_says_what_the_profile_does(self, make: Make) -> None:
        ca = make(OWN)
        certificate = issue(ca, "own", "a.corp.test", san_ip=["10.1.2.3"])
        assert lint(certificate) == []
        assert certificate.subject.rfc4514_string() == "CN=a.corp.test,O=Fixed"
        assert certificate.public_key().curve.name == "secp384r1"
        assert _duration(certificate) == timedelta(days=30)
        assert [oid.dotted_string for oid in extension(certificate, x509.ExtendedKeyUsage)] == [
            *OWN.extended_key_usage
        ]
        policies = extension(certificate, x509.CertificatePolicies)
        assert tuple(one.policy_identifier.dotted_string for one in policies) == OWN.policies
        assert extension(certificate, x509.KeyUsage).content_commitment

    def test_its_urls_name_the_issuer(self, make: Make) -> None:
        ca = make(OWN, urls=PublicationURLs(crl=("http://all.test/{issuer_id}",)))
        assert ca.factory is not None
        issuer_id = own_issuer_id(ca.factory.certificate)
        own = issue(ca, "own", "a.corp.test")
        [point] = extension(own, x509.CRLDistributionPoints)
        assert point.full_name[0].value == f"http://own.test/{issuer_id}.crl"
        [access] = extension(own, x509.AuthorityInformationAccess)
        assert access.access_location.value == f"http://own.test/{issuer_id}.cer"
        other = issue(ca, "client", "b.corp.test", key_algorithm="p-256")
        [point] = extension(other, x509.CRLDistributionPoints)
        assert point.full_name[0].value == f"http://all.test/{issuer_id}"

    def test_what_it_does_not_allow_is_told_and_leaves_nothing(
        self, make: Make, tmp_path: Path
    ) -> None:
        ca = make(OWN)
        before = sorted(tmp_path.rglob("*.pem"))
        config = ClientConfig(
            common_name="a.evil.test",
            profile="own",
            key_algorithm="ed25519",
            days_valid=31,
            san_ip=["192.0.2.1"],
        )
        preview = ca.plan(config)
        assert not preview.is_allowed
        assert preview.plan is None
        assert len(preview.problems) == 4
        with pytest.raises(ProfileViolation) as caught:
            ca.issue_certificate(config)
        assert caught.value.problems == preview.problems
        assert sorted(tmp_path.rglob("*.pem")) == before
        assert len(ca.list_certificates()) == 1

    def test_a_namesake_takes_a_built_in_ones_place(self, make: Make) -> None:
        ca = make(Profile(name="server", default_validity=timedelta(hours=1)))
        config = {"key_algorithm": "p-256"}
        assert _duration(issue(ca, "server", "Jane Doe", **config)) < timedelta(hours=2)

    def test_an_unknown_one_is_refused_with_those_there_are(self, make: Make) -> None:
        ca = make(OWN)
        with pytest.raises(InvalidRequest, match=r"'mine'.*own, server"):
            ca.issue_certificate(ClientConfig(common_name="a", profile="mine"))

    def test_a_malformed_table_is_refused_when_the_manager_is_made(self) -> None:
        with pytest.raises(InvalidRequest, match="one name"):
            CertLifecycleManager(profiles=[OWN, OWN])

    @pytest.mark.parametrize("url", ["", "pki.test", "http://bücher.test/", "http://a b/", "a\n"])
    def test_urls_that_can_not_be_written_are_refused(self, url: str) -> None:
        with pytest.raises(InvalidRequest, match="URL"):
            PublicationURLs(crl=(url,))


class TestOneActivePerName:
    def test_by_default(self, make: Make) -> None:
        ca = make()
        config = ClientConfig(common_name="a.test", profile="server", key_algorithm="p-256")
        ca.issue_certificate(config)
        assert "'a.test'" in ca.plan(config).problems[0]
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(config)

    def test_or_not(self, make: Make) -> None:
        ca = make(OWN)
        serials = {issue(ca, "own", "a.corp.test").serial_number for _ in range(3)}
        assert len(serials) == 3
        # It leaves the name to those who claim it.
        issue(ca, "client", "a.corp.test", key_algorithm="p-256")

    def test_the_name_that_counts_is_the_subjects(self, make: Make) -> None:
        ca = make(Profile(name="fixed", fixed_subject={"common_name": "Fixed"}))
        issue(ca, "fixed", "a", key_algorithm="p-256")
        again = ClientConfig(common_name="b", profile="fixed", key_algorithm="p-256")
        assert "'Fixed'" in ca.plan(again).problems[0]
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(again)


class TestKeys:
    def test_the_first_algorithm_is_made_when_none_is_asked_for(self, make: Make) -> None:
        ca = make(Profile(name="strong", key_algorithms=("rsa",), min_rsa_bits=3072))  # type: ignore[arg-type]
        certificate = issue(ca, "strong", "a")
        assert certificate.public_key().key_size == 3072

    def test_a_csrs_key_is_held_to_the_profile(self, make: Make) -> None:
        ca = make(Profile(name="strong", min_rsa_bits=3072))
        key = rsa.generate_private_key(65537, 2048)
        csr = request(key, (x509.NameOID.COMMON_NAME, "a"))
        with pytest.raises(ProfileViolation, match="3072"):
            ca.sign_csr(csr, profile="strong")


class TestCSRs:
    SUBJECT = (
        (x509.NameOID.COMMON_NAME, "a.test"),
        (x509.NameOID.ORGANIZATION_NAME, "Evil"),
        (x509.NameOID.EMAIL_ADDRESS, "root@evil.test"),
    )

    def test_a_mailbox_that_the_profile_has_no_place_for_is_left_out(self, make: Make) -> None:
        signed = make().sign_csr(request(sample_key(), *self.SUBJECT), profile="server")
        assert signed.subject.rfc4514_string() == "CN=a.test"
        assert [name.value for name in _names(signed)] == ["a.test"]

    def test_or_refused(self, make: Make) -> None:
        ca = make(
            Profile(
                name="strict",
                san_kinds=frozenset(),
                unplanned_requests=UnplannedRequests.REFUSE,
            )
        )
        with pytest.raises(ProfileViolation) as caught:
            ca.sign_csr(request(sample_key(), *self.SUBJECT), profile="strict")
        assert len(caught.value.problems) == 2
        assert "email" in str(caught.value)

    def test_where_it_has_its_place_it_is_taken(self, make: Make) -> None:
        signed = make().sign_csr(request(sample_key(), *self.SUBJECT), profile="user")
        assert [name.value for name in _names(signed)] == ["root@evil.test"]


def test_a_mailbox_is_an_alternative_name_and_need_not_be_in_the_subject(make: Make) -> None:
    """RFC 8550 §3, RFC 5280 §4.1.2.6."""
    ca = make()
    issued = ca.issue("me@example.org", profile="user", key_algorithm="p-256")
    assert issued.certificate.subject.rfc4514_string() == "CN=me@example.org"
    assert [name.value for name in _names(issued.certificate)] == ["me@example.org"]
    with pytest.raises(ProfileViolation, match="alternative name"):
        ca.issue_certificate(ClientConfig(common_name="me", profile="user"))


class TestShortLived:
    def test_minutes_side_by_side_and_no_word_of_revocation(self, make: Make) -> None:
        ca = make(urls=PublicationURLs(("http://c.test/",), ("http://o.test/",)))
        asked = {"key_algorithm": "p-256", "valid_for": timedelta(minutes=5)}
        for _ in range(2):
            certificate = issue(ca, "short-lived", "a.example", **asked)
            assert lint(certificate) == []
            assert _duration(certificate) == timedelta(minutes=5, seconds=1)
            oids = {one.oid.dotted_string for one in certificate.extensions}
            assert "2.5.29.56" in oids
            assert not {"2.5.29.31", "1.3.6.1.5.5.7.1.1"} & oids
            assert ca.verify_certificate(certificate)

    def test_beside_sharded_crls_and_deltas(self, make: Make) -> None:
        ca = make(
            urls=PublicationURLs(
                crl=("http://c.test/{shard}",), delta=("http://d.test/{shard}",), crl_shards=4
            )
        )
        certificate = issue(ca, "short-lived", "a.example", key_algorithm="p-256")
        oids = {one.oid.dotted_string for one in certificate.extensions}
        # RFC 9608 §3: neither CRL distribution points nor a freshest CRL.
        assert not {"2.5.29.31", "2.5.29.46"} & oids

    def test_seven_days_at_the_most(self, make: Make) -> None:
        ca = make()
        with pytest.raises(ProfileViolation, match="7 days"):
            issue(ca, "short-lived", "a.test", days_valid=8)
        asked = {"key_algorithm": "p-256", "days_valid": 7}
        assert _duration(issue(ca, "short-lived", "a.test", **asked)) == timedelta(days=7)
