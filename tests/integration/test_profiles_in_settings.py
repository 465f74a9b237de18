"""Profiles in a settings file."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from pydantic import ValidationError

from tiny_ca import ClientConfig, Settings, open_ca
from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES
from tiny_ca.domain.errors import ProfileViolation
from tiny_ca.domain.keys import KeyAlgorithm
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import GeneralNameKind
from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.profiles import Profile, UnplannedRequests
from tiny_ca.domain.serial import CertType

FILE = """
common_name = "Root"
key_algorithm = "p-256"

[profiles.web]
base = "server"
key_algorithms = ["p-256", "ed25519"]
max_validity = "90d"
backdate = "1h30m"

[profiles.web.names]
allowed_suffixes = ["corp.test"]
allowed_networks = ["10.0.0.0/8", "2001:db8::/32"]
allow_wildcards = false

[profiles.edge]
base = "web"
max_validity = "PT12H"
names.allowed_suffixes = ["edge.corp.test"]

[profiles.server]
base = "server"
max_validity = "30d"

[profiles.everything]
cert_type = "device"
key_algorithms = ["rsa"]
min_rsa_bits = 3072
default_validity = "2w"
key_usage = ["digital_signature", "content_commitment"]
extended_key_usage = ["client_auth", "1.3.6.1.4.1.99999.1"]
is_extended_key_usage_critical = true
policies = ["2.23.140.1.2.1"]
required_subject = ["locality"]
fixed_subject = { organization = "ACME", country = "UA" }
subject_from_csr = ["common_name"]
unplanned_requests = "refuse"
san_kinds = ["dns", "uri"]
is_san_required = true
urls = { issuer = ["http://pki.test/{issuer_id}.cer"] }
claims_name = false
no_rev_avail = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny_ca.toml"
    path.write_text(FILE)
    return path


def profiles(path: Path) -> dict[str, Profile]:
    return {profile.name: profile for profile in Settings(config_file=path).own_profiles}


class TestTheFile:
    def test_every_field(self, file: Path) -> None:
        assert profiles(file)["everything"] == Profile(
            name="everything",
            cert_type=CertType.DEVICE,
            key_algorithms=(KeyAlgorithm.RSA,),
            min_rsa_bits=3072,
            default_validity=timedelta(weeks=2),
            key_usage=frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.CONTENT_COMMITMENT}),
            extended_key_usage=(ExtendedKeyUsage.CLIENT_AUTH, "1.3.6.1.4.1.99999.1"),
            is_extended_key_usage_critical=True,
            policies=("2.23.140.1.2.1",),
            required_subject=frozenset({"locality"}),
            fixed_subject={"organization": "ACME", "country": "UA"},
            subject_from_csr=frozenset({"common_name"}),
            unplanned_requests=UnplannedRequests.REFUSE,
            san_kinds=frozenset({GeneralNameKind.DNS, GeneralNameKind.URI}),
            is_san_required=True,
            urls=PublicationURLs(issuer=("http://pki.test/{issuer_id}.cer",)),
            claims_name=False,
            no_rev_avail=True,
        )

    def test_urls_of_every_kind(self, tmp_path: Path) -> None:
        path = tmp_path / "urls.toml"
        path.write_text(
            "[profiles.own.urls]\ncrl_shards = 4\n"
            'crl = ["http://a.test/{shard}"]\ndelta = ["http://b.test/{shard}"]\n'
        )
        assert profiles(path)["own"].urls == PublicationURLs(
            crl=("http://a.test/{shard}",), delta=("http://b.test/{shard}",), crl_shards=4
        )

    def test_what_is_left_out_is_the_bases(self, file: Path) -> None:
        web, edge = profiles(file)["web"], profiles(file)["edge"]
        assert web.extended_key_usage == BUILT_IN_PROFILES["server"].extended_key_usage
        assert web.is_san_required
        assert web.backdate == timedelta(minutes=90)
        # The file's own `server` is the base, and the usual validity no longer than allowed.
        assert (web.default_validity, web.max_validity) == (timedelta(days=30), timedelta(days=90))
        assert web.names.allowed_suffixes == ("corp.test",)
        assert (edge.default_validity, edge.max_validity) == (timedelta(hours=12),) * 2
        assert edge.key_algorithms == (KeyAlgorithm.P256, KeyAlgorithm.ED25519)
        # A table is taken as a whole.
        assert edge.names == NameRules(allowed_suffixes=("edge.corp.test",))

    def test_its_own_name_for_a_base_is_the_built_in_one(self, file: Path) -> None:
        server = profiles(file)["server"]
        assert server.max_validity == timedelta(days=30)
        assert server.is_san_required

    def test_it_reaches_the_manager(self, file: Path, tmp_path: Path) -> None:
        with open_ca(tmp_path / "pki", config_file=file) as ca:
            good = ClientConfig(common_name="a.corp.test", profile="web", days_valid=90)
            certificate, _, _ = ca.issue_certificate(good)
            assert certificate.public_key().curve.name == "secp256r1"
            period = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            # Not before the root, which is younger than the profile dates back.
            assert timedelta(days=89) < period < timedelta(days=90)
            assert len(ca.plan(good.model_copy(update={"common_name": "a.test"})).problems) == 1
            with pytest.raises(ProfileViolation, match="30 days"):
                ca.issue_certificate(
                    ClientConfig(common_name="b.test", profile="server", days_valid=31)
                )
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
            assert [oid.dotted_string for oid in usage.value] == [ExtendedKeyUsage.SERVER_AUTH]

    def test_arguments_and_the_environment_say_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = Settings(profiles={"web": {"base": "server", "max_validity": "90d"}})
        monkeypatch.setenv("TINY_CA_PROFILES", '{"web": {"base": "server", "max_validity": "90d"}}')
        assert Settings().own_profiles == said.own_profiles


MISTAKES = {
    "an unknown field": ("max_valid = '9d'", ["profiles.web.max_valid"]),
    "an unknown rule": ("names = { allow = [] }", ["profiles.web.names.allow"]),
    "no duration": ("max_validity = '9 days'", ["profiles.web.max_validity", "'90d'"]),
    "a bare number": ("max_validity = 90", ["profiles.web.max_validity", "'90d'"]),
    "an endless duration": ("max_validity = '999999999w'", ["profiles.web.max_validity"]),
    "an unknown algorithm": ("key_algorithms = ['dsa']", ["profiles.web.key_algorithms.0"]),
    "an unknown usage": ("key_usage = ['sign']", ["profiles.web.key_usage"]),
    "an unknown kind": ("san_kinds = ['x400']", ["profiles.web.san_kinds"]),
    "no network": ("names = { denied_networks = ['10.0.0.1/8'] }", ["names.denied_networks"]),
    "no suffix": ("names = { denied_suffixes = ['*.a'] }", ["names", "denied_suffixes"]),
    "no URL": ("urls = { crl = ['pki'] }", ["profiles.web.urls", "'pki'"]),
    "an unknown base": ("base = 'sever'", ["'web'", "'sever'", "server"]),
    "its own base": ("base = 'web'", ["'web'"]),
    "a contradiction": ("default_validity = '9d'\nmax_validity = '8d'", ["'web'", "max_validity"]),
    "an unknown purpose": ("extended_key_usage = ['tls']", ["'web'", "extended_key_usage: tls"]),
    "an unknown attribute": ("required_subject = ['street']", ["'web'", "street"]),
    "a circle": ("base = 'b'\n[profiles.b]\nbase = 'web'", ["'web'", "base"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_name_the_profile_and_the_field(mistake: str, tmp_path: Path) -> None:
    text, says = MISTAKES[mistake]
    path = tmp_path / "tiny_ca.toml"
    path.write_text(f"[profiles.web]\n{text}\n")
    with pytest.raises(ValidationError) as caught:
        Settings(config_file=path)
    for part in says:
        assert part in str(caught.value)


def test_the_profile_of_intermediates_is_for_cas(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="for CAs"):
        Settings(profiles={"ca": {"base": "server"}})
