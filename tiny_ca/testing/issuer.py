"""The contract of `ports.issuer.Issuer`."""

# ruff: noqa: S101

import ipaddress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.crl import CRLPlan
from tiny_ca.domain.errors import SigningError, ValidationCertError
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import GeneralName, SubjectName
from tiny_ca.domain.plan import CertificatePlan, ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.issuer import Issuer, issuer_id_of, own_issuer_id
from tiny_ca.testing.samples import (
    HOUR,
    NOW,
    P256,
    SampleCA,
    leaf_plan,
    root_plan,
    sample_key,
    signed_crl,
)

__all__ = ["IssuerContract", "assert_as_planned"]

URLS = PublicationURLs(
    crl=("http://ca.example/a.crl", "http://ca.example/b.crl"),
    ocsp=("http://ca.example/ocsp",),
    issuer=("http://ca.example/ca.cer",),
)
FULL_PLAN = replace(
    leaf_plan(2**159 - 1),
    subject=SubjectName("leaf.example", "ACME", "Unit", "UA", "State", "Läcality", "a@b.example"),
    key_usage=frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT}),
    extended_key_usage=(ExtendedKeyUsage.SERVER_AUTH, ExtendedKeyUsage.CLIENT_AUTH),
    subject_alternative_names=(
        GeneralName.dns("*.leaf.example"),
        GeneralName.ip("192.0.2.1"),
        GeneralName.ip("2001:db8::1"),
        GeneralName.email("a@b.example"),
    ),
    urls=URLS,
)
SUB_CA_PLAN = replace(root_plan("Sub CA"), path_length=0)

Extensible = x509.Certificate | x509.CertificateRevocationList


def extension(signed: Extensible, kind: type[Any]) -> Any:
    """Give an extension's value."""
    return signed.extensions.get_extension_for_class(kind).value


def assert_as_planned(
    certificate: x509.Certificate, plan: CertificatePlan, public_key: Any
) -> None:
    """Check what every certificate says of itself (RFC 5280 §4.1, §4.2.1)."""
    assert certificate.version is x509.Version.v3
    assert certificate.serial_number == plan.serial_number
    assert certificate.not_valid_before_utc == plan.validity.not_before
    assert certificate.not_valid_after_utc == plan.validity.not_after
    assert certificate.public_key() == public_key
    names = {attribute.oid: attribute.value for attribute in certificate.subject}
    wanted = {
        NameOID.COMMON_NAME: plan.subject.common_name,
        NameOID.ORGANIZATION_NAME: plan.subject.organization,
        NameOID.ORGANIZATIONAL_UNIT_NAME: plan.subject.organizational_unit,
        NameOID.COUNTRY_NAME: plan.subject.country,
        NameOID.STATE_OR_PROVINCE_NAME: plan.subject.state,
        NameOID.LOCALITY_NAME: plan.subject.locality,
        NameOID.EMAIL_ADDRESS: plan.subject.email,
    }
    assert names == {oid: value for oid, value in wanted.items() if value is not None}
    assert len(names) == len(list(certificate.subject))
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(plan.is_ca, plan.path_length)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert {bit for bit in KeyUsage if getattr(usage.value, bit.value)} == plan.key_usage
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    assert extension(certificate, x509.SubjectKeyIdentifier) == identifier


def namesake(issuer: Issuer) -> Issuer:
    """Make a CA that calls itself as *issuer* does, and has another key."""
    key: Any = CryptographyBackend().generate_private_key(P256)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject,
        subject_name=issuer.certificate.subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=NOW.replace(tzinfo=None),
        not_valid_after=(NOW + HOUR).replace(tzinfo=None),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return CryptographyBackend().issuer(builder.sign(key, hashes.SHA256()), key)


class IssuerContract:
    """Proves a CA that signs.

    Subclass it as `class TestMyIssuer(IssuerContract)` and provide a fixture *issuer*, whose
    certificate has a subject key identifier and is no other issuer's.
    """

    def key_identifier(self, issuer: Issuer) -> bytes:
        """Give the identifier in the CA's own certificate."""
        digest: bytes = extension(issuer.certificate, x509.SubjectKeyIdentifier).digest
        return digest

    def test_is_an_issuer(self, issuer: Issuer) -> None:
        """It has every member of the port, and says who it is as its certificate does."""
        assert isinstance(issuer, Issuer)
        assert issuer.issuer_id == own_issuer_id(issuer.certificate)
        names = {a.oid: a.value for a in issuer.certificate.subject}
        assert issuer.info.organization == names.get(NameOID.ORGANIZATION_NAME)
        assert issuer.info.organizational_unit == names.get(NameOID.ORGANIZATIONAL_UNIT_NAME)
        assert issuer.info.country == names.get(NameOID.COUNTRY_NAME)
        assert issuer.info.state == names.get(NameOID.STATE_OR_PROVINCE_NAME)
        assert issuer.info.locality == names.get(NameOID.LOCALITY_NAME)

    @pytest.mark.parametrize(
        "plan", [leaf_plan(), FULL_PLAN, SUB_CA_PLAN], ids=["plain", "full", "sub CA"]
    )
    def test_signs_what_is_planned(self, issuer: Issuer, plan: CertificatePlan) -> None:
        """Under its own name and key identifier."""
        public_key = sample_key().public_key()
        certificate = issuer.sign_certificate(plan, public_key)
        assert_as_planned(certificate, plan, public_key)
        certificate.verify_directly_issued_by(issuer.certificate)
        authority = extension(certificate, x509.AuthorityKeyIdentifier)
        assert authority.key_identifier == self.key_identifier(issuer)
        assert issuer_id_of(certificate) == issuer.issuer_id

    def test_signs_every_extension(self, issuer: Issuer) -> None:
        """Purposes, alternative names and where to ask, in the order planned."""
        certificate = issuer.sign_certificate(FULL_PLAN, sample_key().public_key())
        purposes = [oid.dotted_string for oid in extension(certificate, x509.ExtendedKeyUsage)]
        assert purposes == list(FULL_PLAN.extended_key_usage)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        # RFC 5280 §4.2.1.6: critical only beside an empty subject.
        assert not names.critical
        assert list(names.value) == [
            x509.DNSName("*.leaf.example"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.RFC822Name("a@b.example"),
        ]
        points = [
            uri.value
            for point in extension(certificate, x509.CRLDistributionPoints)
            for uri in point.full_name
        ]
        assert tuple(points) == URLS.crl
        access = [
            (description.access_method, description.access_location.value)
            for description in extension(certificate, x509.AuthorityInformationAccess)
        ]
        assert sorted(access, key=str) == sorted(
            [
                (AuthorityInformationAccessOID.OCSP, URLS.ocsp[0]),
                (AuthorityInformationAccessOID.CA_ISSUERS, URLS.issuer[0]),
            ],
            key=str,
        )

    def test_signs_nothing_that_was_not_planned(self, issuer: Issuer) -> None:
        """A plain certificate has four extensions, and no other."""
        certificate = issuer.sign_certificate(leaf_plan(), sample_key().public_key())
        assert {type(each.value) for each in certificate.extensions} == {
            x509.BasicConstraints,
            x509.KeyUsage,
            x509.SubjectKeyIdentifier,
            x509.AuthorityKeyIdentifier,
        }

    def test_what_can_not_be_written_is_not_signed(self, issuer: Issuer) -> None:
        """A certificate has whole seconds: `SigningError` rather than another moment."""
        end = NOW + timedelta(hours=1, microseconds=1)
        plan = replace(leaf_plan(), validity=Validity(NOW, end))
        with pytest.raises(SigningError):
            issuer.sign_certificate(plan, sample_key().public_key())

    def test_verifies_its_own(self, issuer: Issuer) -> None:
        """Whatever the period of validity, which is not looked at."""
        past = replace(leaf_plan(), validity=Validity(NOW - 9999 * HOUR, NOW - 9998 * HOUR))
        for plan in (leaf_plan(), FULL_PLAN, past):
            issuer.verify(issuer.sign_certificate(plan, sample_key().public_key()))

    def test_refuses_what_others_signed(self, issuer: Issuer) -> None:
        """A CA of another name, and one of the same name with another key."""
        for other in (SampleCA("Another CA").issuer, namesake(issuer)):
            certificate = other.sign_certificate(leaf_plan(), sample_key().public_key())
            with pytest.raises(ValidationCertError):
                issuer.verify(certificate)

    def test_refuses_what_was_altered(self, issuer: Issuer) -> None:
        """One bit of the signature, or of what it covers, though the original was good."""
        certificate = issuer.sign_certificate(leaf_plan(), sample_key().public_key())
        issuer.verify(certificate)
        der = certificate.public_bytes(Encoding.DER)
        name = der.replace(b"leaf.example", b"lead.example")
        signature = der[:-1] + bytes([der[-1] ^ 1])
        for altered in (name, signature):
            assert altered != der
            with pytest.raises(ValidationCertError):
                issuer.verify(x509.load_der_x509_certificate(altered))

    def test_signs_a_crl(self, issuer: Issuer) -> None:
        """With number, key identifier and dates, and nothing critical (RFC 5280 §5.2)."""
        number = 2**100
        crl = signed_crl(issuer, CRLPlan(CRLStamp(number, NOW, NOW + HOUR)))
        assert crl.is_signature_valid(issuer.certificate.public_key())  # type: ignore[arg-type]
        assert crl.issuer == issuer.certificate.subject
        assert (crl.last_update_utc, crl.next_update_utc) == (NOW, NOW + HOUR)
        assert len(crl) == 0
        assert extension(crl, x509.CRLNumber).crl_number == number
        authority = extension(crl, x509.AuthorityKeyIdentifier)
        assert authority.key_identifier == self.key_identifier(issuer)
        assert len(crl.extensions) == 2
        assert not any(each.critical for each in crl.extensions)

    def test_a_crl_lists_every_entry(self, issuer: Issuer) -> None:
        """With its reason, and none instead of `unspecified` (RFC 5280 §5.3.1)."""
        reasons = [reason for reason in CRLReason if reason is not CRLReason.REMOVE_FROM_CRL]
        entries = [CRLEntry(2**158 + n, NOW - n * HOUR, reason) for n, reason in enumerate(reasons)]
        crl = signed_crl(issuer, CRLPlan(CRLStamp(1, NOW, NOW + HOUR)), entries)
        assert len(crl) == len(entries)
        for entry in entries:
            listed = crl.get_revoked_certificate_by_serial_number(entry.serial_number)
            assert listed is not None
            assert listed.revocation_date_utc == entry.revocation_date
            found = [each.value.reason.value for each in listed.extensions]
            is_said = entry.revocation_reason is not CRLReason.UNSPECIFIED
            assert found == ([entry.revocation_reason.value] if is_said else [])

    def test_an_entry_says_since_when_the_key_is_invalid(self, issuer: Issuer) -> None:
        """Where that is known (RFC 5280 §5.3.2), with or without a reason."""
        reasons = (CRLReason.UNSPECIFIED, CRLReason.KEY_COMPROMISE)
        entries = [CRLEntry(n, NOW, reason, NOW - HOUR) for n, reason in enumerate(reasons, 1)]
        for entry in signed_crl(issuer, CRLPlan(CRLStamp(1, NOW, NOW + HOUR)), entries):
            found = entry.extensions.get_extension_for_class(x509.InvalidityDate)
            assert found.value.invalidity_date_utc == NOW - HOUR
            assert not found.critical

    def test_signs_a_delta_crl(self, issuer: Issuer) -> None:
        """It says of which complete CRL it is, critically (RFC 5280 §5.2.4)."""
        entry = CRLEntry(1, NOW, CRLReason.REMOVE_FROM_CRL)
        crl = signed_crl(issuer, CRLPlan(CRLStamp(9, NOW, NOW + HOUR), base_number=8), [entry])
        indicator = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
        assert indicator.critical
        assert indicator.value.crl_number == 8
        assert len(crl.extensions) == 3
        assert crl[0].extensions[0].value == x509.CRLReason(x509.ReasonFlags.remove_from_crl)

    def test_signs_a_crl_of_some_certificates(self, issuer: Issuer) -> None:
        """It says which (§5.2.5), critically, and where its delta CRLs are (§5.2.6)."""
        where, freshest = (
            ("http://a.example/1.crl", "http://b.example/1.crl"),
            ("http://d.example",),
        )
        plan = CRLPlan(CRLStamp(1, NOW, NOW + HOUR), None, where, freshest)
        crl = signed_crl(issuer, plan)
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        assert point.critical
        assert point.value.full_name is not None
        assert tuple(name.value for name in point.value.full_name) == where
        newer = crl.extensions.get_extension_for_class(x509.FreshestCRL)
        assert not newer.critical
        assert [name.value for name in newer.value[0].full_name or ()] == list(freshest)
        assert len(crl.extensions) == 4

    def test_reads_what_it_signed(self, issuer: Issuer) -> None:
        """However the entries came: none, or in parts."""
        entries = [CRLEntry(n, NOW, CRLReason.SUPERSEDED) for n in range(1, 2001)]
        for listed in ([], entries):
            plan = CRLPlan(CRLStamp(2, NOW, NOW + HOUR), base_number=1)
            crl = issuer.verify_crl(signed_crl(issuer, plan, listed).public_bytes(Encoding.DER))
            assert (crl.stamp, crl.base_number, list(crl)) == (plan.stamp, 1, listed)

    def test_refuses_crls_that_others_signed(self, issuer: Issuer) -> None:
        """And its own, if a bit is not as it was, or an octet is missing."""
        plan = CRLPlan(CRLStamp(1, NOW, NOW + HOUR))
        own = signed_crl(issuer, plan).public_bytes(Encoding.DER)
        wrong = [
            signed_crl(other, plan).public_bytes(Encoding.DER)
            for other in (SampleCA("Another CA").issuer, namesake(issuer))
        ]
        flipped = own[:-1] + bytes([own[-1] ^ 1])
        for data in (*wrong, flipped, own[:-1], own + b"\0", b""):
            with pytest.raises(ValidationCertError):
                issuer.verify_crl(data)
