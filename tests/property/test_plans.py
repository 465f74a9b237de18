"""What certificates will say."""
# ruff: noqa: N801  (classes are named after the clause that they prove)

from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.property.strategies import (
    NOW,
    cert_types,
    common_names,
    dns_names,
    email_addresses,
    general_names,
    hostile_text,
    ip_addresses,
    random_bits,
)
from tiny_ca.adapters.outbound.crypto.factory import CertificateFactory
from tiny_ca.adapters.outbound.crypto.loaders import CAMaterial
from tiny_ca.domain.errors import InvalidName
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import (
    CertificateInfo,
    GeneralName,
    GeneralNameKind,
    SubjectName,
    general_name_of_host,
)
from tiny_ca.domain.plan import (
    CertificatePlan,
    ExtendedKeyUsage,
    KeyUsage,
)
from tiny_ca.domain.planning import plan_issuance, plan_root
from tiny_ca.domain.profiles import flag_profile
from tiny_ca.domain.requests import Authority, IssuanceRequest, RootRequest
from tiny_ca.domain.serial import CertType, parse_serial_number

ISSUER = CertificateInfo(organization="ACME", country="UA")
DECADE = Validity(NOW, NOW + timedelta(days=3650))
AUTHORITY = Authority(ISSUER, DECADE)

key_specs = st.builds(KeySpec, st.sampled_from(KeyAlgorithm))
requests = st.builds(
    IssuanceRequest,
    common_name=common_names,
    cert_type=cert_types,
    key=key_specs,
    lifetime=st.integers(1, 4000),
    email=st.none() | email_addresses,
    profile=st.builds(flag_profile, is_server=st.booleans(), is_client=st.booleans()),
    names=st.lists(general_names, max_size=4).map(tuple),
)


SERVER = flag_profile(is_server=True)


def plan(request: IssuanceRequest, bits: int = 1) -> CertificatePlan:
    return plan_issuance(request, authority=AUTHORITY, now=NOW, random_bits=bits)


def is_server(request: IssuanceRequest) -> bool:
    return ExtendedKeyUsage.SERVER_AUTH in request.profile.extended_key_usage


def factory() -> CertificateFactory:
    root, key = CertificateFactory.build_self_signed_ca(key_algorithm=KeyAlgorithm.P256)
    return CertificateFactory(CAMaterial(root, key))


class TestRFC5280_4_2_1_3_KeyUsage:
    @given(requests)
    def test_a_leaf_signs_and_only_rsa_enciphers_keys(self, request):
        expected = {KeyUsage.DIGITAL_SIGNATURE}
        if request.key.algorithm.name == "RSA":
            expected.add(KeyUsage.KEY_ENCIPHERMENT)
        assert plan(request).key_usage == expected

    @given(key_specs, random_bits)
    def test_a_root_signs_certificates_and_crls_and_nothing_else(self, spec, bits):
        root = plan_root(RootRequest(SubjectName("Root"), spec), NOW, bits)
        assert root.key_usage == {KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}
        assert root.is_ca
        assert root.extended_key_usage == ()
        assert parse_serial_number(root.serial_number) == (CertType.CA, "root")

    @pytest.mark.parametrize(
        "algorithm", [KeyAlgorithm.RSA, KeyAlgorithm.P256, KeyAlgorithm.P384, KeyAlgorithm.ED25519]
    )
    def test_certificates_say_so(self, algorithm):
        certificate, _, _ = factory().issue_certificate("a", key_algorithm=algorithm)
        extension = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        usage = extension.value
        assert extension.critical
        assert usage.digital_signature
        assert usage.key_encipherment == (algorithm is KeyAlgorithm.RSA)
        forbidden = (
            usage.key_cert_sign,
            usage.crl_sign,
            usage.data_encipherment,
            usage.key_agreement,
            usage.content_commitment,
        )
        assert not any(forbidden)


class TestRFC5280_4_2_1_12_ExtendedKeyUsage:
    @given(requests)
    def test_holds_the_purposes_that_were_asked_for(self, request):
        purposes = plan(request).extended_key_usage
        assert purposes == request.profile.extended_key_usage
        assert len(set(purposes)) == len(purposes)


class TestRFC5280_4_2_1_9_BasicConstraints:
    @given(requests)
    def test_no_leaf_is_a_ca(self, request):
        assert not plan(request).is_ca
        assert plan(request).path_length is None


class TestRFC5280_4_2_1_6_SubjectAltName:
    @given(requests)
    def test_a_common_name_is_in_it_iff_it_is_the_host_of_a_server(self, request):
        host = general_name_of_host(request.common_name)
        names = plan(request).subject_alternative_names
        if is_server(request) and host is not None:
            assert names[0] == host
        else:
            assert set(names) == {*request.names, *_mailboxes(request)}

    @given(requests)
    def test_every_name_that_was_asked_for_is_in_it_once(self, request):
        names = plan(request).subject_alternative_names
        assert len(set(names)) == len(names)
        host = general_name_of_host(request.common_name) if is_server(request) else None
        wanted = {*request.names, *_mailboxes(request), *([host] if host else [])}
        assert set(names) == wanted

    @given(dns_names, st.integers(1, 3), st.booleans())
    def test_a_common_name_that_is_named_again_is_there_once(self, name, times, is_upper):
        assume(len(name) <= 64)
        spelt = name.upper() if is_upper else name
        request = IssuanceRequest(name, SERVER, names=(GeneralName.dns(spelt),) * times)
        assert plan(request).subject_alternative_names == (GeneralName.dns(name),)

    @given(ip_addresses)
    def test_an_address_is_named_as_an_address(self, address):
        request = IssuanceRequest(address.exploded, SERVER)
        assert plan(request).subject_alternative_names == (
            GeneralName(GeneralNameKind.IP, str(address)),
        )

    @given(dns_names)
    def test_an_internationalised_common_name_is_named_by_its_a_labels(self, name):
        request = IssuanceRequest("Київ", SERVER, host_name=name)
        assert plan(request).subject_alternative_names == (GeneralName.dns(name),)

    @given(hostile_text)
    def test_what_is_no_host_is_never_named_as_one(self, text):
        request = IssuanceRequest(text, SERVER)
        try:
            names = plan(request).subject_alternative_names
        except InvalidName:
            return
        assert set(names) <= {general_name_of_host(text)}

    @given(requests.filter(is_server))
    def test_certificates_say_so_and_are_not_critical(self, request):
        planned = plan(request)
        certificate = _FACTORY.sign_certificate(planned, _FACTORY.certificate.public_key())
        if not planned.subject_alternative_names:
            return
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert not extension.critical
        assert [str(name.value) for name in extension.value] == [
            name.value for name in planned.subject_alternative_names
        ]


class TestRFC5280_4_1_2_6_Subject:
    @given(requests)
    def test_keeps_the_common_name_and_takes_the_rest_from_the_issuer(self, request):
        assert plan(request).subject == SubjectName(
            request.common_name, organization="ACME", country="UA", email=request.email
        )

    @given(requests, hostile_text)
    def test_a_mailbox_that_is_none_is_refused(self, request, text):
        with pytest.raises(InvalidName):
            plan(IssuanceRequest(request.common_name, email=text))


class TestPlannedSerialNumber:
    @given(requests, random_bits)
    def test_says_type_and_name_in_lower_case(self, request, bits):
        planned = plan(request, bits)
        cert_type, name = parse_serial_number(planned.serial_number)
        kept = [c for c in request.common_name.lower() if " " <= c <= "~"]
        assert (cert_type, name) == (request.cert_type, "".join(kept)[:10])
        assert planned.serial_number & (2**64 - 1) == bits


def _mailboxes(request: IssuanceRequest) -> list[GeneralName]:
    return [] if request.email is None else [GeneralName.email(request.email)]


_FACTORY = factory()
