"""What is signed is octet for octet what cryptography's builder would have signed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny_ca.adapters.outbound.crypto import CAMaterial, CertificateFactory, CryptographyBackend
from tiny_ca.adapters.outbound.crypto.keys import signature_hash
from tiny_ca.domain.crl import Shard
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.name_constraints import NameForm, NameSubtree
from tiny_ca.domain.names import DirectoryBase, GeneralName, SubjectName
from tiny_ca.domain.plan import (
    CertificatePlan,
    ExtendedKeyUsage,
    KeyUsage,
    PlannedConstraints,
    PublicationURLs,
)
from tiny_ca.testing.samples import leaf_plan, root_plan, sample_key

KEYS = {each: CryptographyBackend().generate_private_key(KeySpec(each)) for each in KeyAlgorithm}
ROOTS = {
    each: CryptographyBackend().self_sign(
        replace(root_plan(key=KeySpec(each)), subject=SubjectName("Root", "Ärzte", country="UA")),
        key,
    )
    for each, key in KEYS.items()
}

texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("C", "Z")),
    min_size=1,
    max_size=20,
)
moments = st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
subjects = st.builds(
    SubjectName,
    texts,
    organization=st.none() | texts,
    organizational_unit=st.none() | texts,
    country=st.sampled_from([None, "UA", "DE"]),
    state=st.none() | texts,
    locality=st.none() | texts,
    email=st.sampled_from([None, "a@b.test"]),
)
names = st.lists(
    st.sampled_from(
        [
            GeneralName.dns("*.a.test"),
            GeneralName.dns("xn--e1afmkfd.test"),
            GeneralName.ip("192.0.2.1"),
            GeneralName.ip("2001:db8::1"),
            GeneralName.email("a@b.test"),
            GeneralName.uri("spiffe://a.test/b"),
        ]
    ),
    unique=True,
).map(tuple)
urls = st.sampled_from(
    [
        PublicationURLs(),
        PublicationURLs(crl=("http://c.test/a.crl", "ldap://c.test/a"), delta=("http://c.test/d",)),
        PublicationURLs(ocsp=("http://o.test",), issuer=("http://i.test/ca.cer",)),
        PublicationURLs(crl=("http://c.test/{shard}.crl",), crl_shards=8),
    ]
)
constraints = st.sampled_from(
    [
        None,
        PlannedConstraints((NameSubtree(NameForm.DNS, "a.test"), DirectoryBase(country="UA"))),
        PlannedConstraints(excluded=(NameSubtree(NameForm.IP, ip_network("10.0.0.0/8")),)),
    ]
)
plans = st.builds(
    replace,
    st.just(leaf_plan()),
    subject=subjects,
    serial_number=st.integers(1, (1 << 159) - 1),
    validity=st.builds(Validity, moments, moments),
    key_usage=st.sets(st.sampled_from(KeyUsage), min_size=1).map(frozenset),
    extended_key_usage=st.lists(st.sampled_from(ExtendedKeyUsage), unique=True).map(tuple),
    is_extended_key_usage_critical=st.booleans(),
    subject_alternative_names=names,
    policies=st.sampled_from([(), ("1.2.3.4", "2.23.140.1.2.1")]),
    is_ca=st.just(True),
    path_length=st.none() | st.integers(0, 300),
    name_constraints=constraints,
    urls=urls,
    no_rev_avail=st.booleans(),
    ocsp_no_check=st.booleans(),
)


def by_the_builder(signed: x509.Certificate, key: Any) -> x509.Certificate:
    """Build the same again from what cryptography reads in it."""
    builder = x509.CertificateBuilder(
        issuer_name=signed.issuer,
        subject_name=signed.subject,
        public_key=signed.public_key(),  # type: ignore[arg-type]
        serial_number=signed.serial_number,
        not_valid_before=signed.not_valid_before_utc.replace(tzinfo=None),
        not_valid_after=signed.not_valid_after_utc.replace(tzinfo=None),
        extensions=list(signed.extensions),
    )
    return builder.sign(key, signature_hash(key))


class TestRFC5280Section4Point1:
    @settings(max_examples=150, deadline=None)
    @given(plan=plans)
    def test_as_the_builder_writes_it(self, plan: CertificatePlan) -> None:
        key, root = KEYS[KeyAlgorithm.P256], ROOTS[KeyAlgorithm.P256]
        issuer = CertificateFactory(CAMaterial(root, key))
        signed = issuer.sign_certificate(plan, sample_key().public_key())
        assert signed.tbs_certificate_bytes == by_the_builder(signed, key).tbs_certificate_bytes
        self.check(signed, plan)

    def check(self, signed: x509.Certificate, plan: CertificatePlan) -> None:
        """What the builder wrote could be as wrong as what it was read from."""
        assert signed.version is x509.Version.v3
        assert signed.serial_number == plan.serial_number
        assert signed.not_valid_before_utc == plan.validity.not_before
        assert signed.not_valid_after_utc == plan.validity.not_after
        assert signed.public_key() == sample_key().public_key()
        found = {extension.oid: extension for extension in signed.extensions}
        assert list(found) == [extension.oid for extension in signed.extensions]
        usage = found[x509.KeyUsage.oid].value
        assert {bit for bit in KeyUsage if getattr(usage, bit.value)} == plan.key_usage
        assert (x509.NameConstraints.oid in found) == (plan.name_constraints is not None)
        assert (x509.SubjectAlternativeName.oid in found) == bool(plan.subject_alternative_names)
        if plan.urls.crl:
            [point] = found[x509.CRLDistributionPoints.oid].value
            shard = Shard.of(plan.serial_number, 8)
            expected = [url.replace("{shard}", str(shard)) for url in plan.urls.crl]
            assert [name.value for name in point.full_name] == expected

    @pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
    @pytest.mark.parametrize("signer", list(KeyAlgorithm))
    def test_with_every_pair_of_keys(self, signer: KeyAlgorithm, algorithm: KeyAlgorithm) -> None:
        key = KEYS[signer]
        issuer = CertificateFactory(CAMaterial(ROOTS[signer], key))
        signed = issuer.sign_certificate(leaf_plan(), KEYS[algorithm].public_key())
        built = by_the_builder(signed, key)
        assert signed.tbs_certificate_bytes == built.tbs_certificate_bytes
        assert signed.signature_algorithm_oid == built.signature_algorithm_oid
        signed.verify_directly_issued_by(ROOTS[signer])
        if isinstance(key, rsa.RSAPrivateKey):
            # RFC 8017 §8.2.1: the same each time, so the whole certificate is.
            assert signed == built

    @pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
    def test_a_root_too(self, algorithm: KeyAlgorithm) -> None:
        root = ROOTS[algorithm]
        assert (
            root.tbs_certificate_bytes
            == by_the_builder(root, KEYS[algorithm]).tbs_certificate_bytes
        )
        root.verify_directly_issued_by(root)

    def test_the_turn_of_2050(self) -> None:
        now = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
        plan = replace(leaf_plan(), validity=Validity(now, now + timedelta(seconds=1)))
        key = KEYS[KeyAlgorithm.P256]
        issuer = CertificateFactory(CAMaterial(ROOTS[KeyAlgorithm.P256], key))
        signed = issuer.sign_certificate(plan, sample_key().public_key())
        # §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on.
        assert b"\x17\x0d491231235959Z\x18\x0f20500101000000Z" in signed.tbs_certificate_bytes
