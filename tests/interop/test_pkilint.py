"""pkilint reads what we sign against RFC 5280 and the RFCs of the key algorithms."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name
from pkilint.pkix.crl import crl_extension
from pkilint.validation import ValidationFindingSeverity, ValidationResult

from tests.interop.pki import PKI
from tiny_ca import CertType, PublicationURLs

ALGORITHMS = ["rsa", "p-256", "ed25519"]
LEAF_TYPES = [cert_type for cert_type in CertType if cert_type is not CertType.CA]
# RFC 5280 §5.3.1: removeFromCRL is for delta CRLs.
REASONS = [reason for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.remove_from_crl]
URLS = PublicationURLs(
    crl=("http://pki.example/root.crl", "http://mirror.example/root.crl"),
    ocsp=("http://ocsp.example/",),
    issuer=("http://pki.example/root.cer",),
)

# The validators of pkilint's own lint_pkix_cert, and of lint_crl with the PKIX profile: the
# other one is for CAs that browsers trust.
CERTIFICATE_LINTER = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(
        name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
    ),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)
CRL_LINTER = crl.create_pkix_crl_validator_container(
    [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ],
    [
        crl.create_issuer_validator_container([]),
        crl.create_validity_validator_container([]),
        crl.create_extensions_validator_container([]),
        # lint_crl leaves this one out, the only one that looks for the reason unspecified.
        crl_extension.CrlReasonCodeValidator(),
    ],
)


def findings(results: list[ValidationResult]) -> list[str]:
    """Give what is at WARNING or above: codes, and where."""
    return [
        f"{described.finding.severity} {described.finding.code} {result.node.path}"
        for result in results
        for described in result.finding_descriptions
        # FATAL is 0.
        if described.finding.severity <= ValidationFindingSeverity.WARNING
    ]


def lint(cert: x509.Certificate) -> list[str]:
    der = cert.public_bytes(Encoding.DER)
    document = loader.RFC5280CertificateDocumentLoader().load_der_document(der, "certificate")
    return findings(CERTIFICATE_LINTER.validate(document.root))


def lint_crl(crl_: x509.CertificateRevocationList) -> list[str]:
    der = crl_.public_bytes(Encoding.DER)
    document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der, "crl")
    return findings(CRL_LINTER.validate(document.root))


@pytest.fixture(scope="module", params=ALGORITHMS)
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PKI]:
    folder = tmp_path_factory.mktemp("pki")
    with PKI.opened(folder, key_algorithm=request.param, urls=URLS) as made:
        yield made


class TestCertificates:
    def test_root(self, pki: PKI) -> None:
        assert lint(pki.root) == []

    def test_root_past_2049(self, tmp_path: Path) -> None:
        # RFC 5280 §4.1.2.5.2: from 2050 on dates are GeneralizedTime.
        with PKI.opened(tmp_path, days_valid=365 * 40) as pki:
            assert pki.root.not_valid_after_utc.year >= 2050
            assert lint(pki.root) == []
            assert lint(pki.issue("long.example", days_valid=365 * 35).certificate) == []

    @pytest.mark.parametrize("cert_type", LEAF_TYPES, ids=lambda cert_type: cert_type.name)
    @pytest.mark.parametrize(
        ("is_server", "is_client"),
        [(True, False), (False, True), (True, True), (False, False)],
        ids=["server", "client", "both", "neither"],
    )
    def test_every_kind_of_leaf(
        self, pki: PKI, cert_type: CertType, is_server: bool, is_client: bool
    ) -> None:
        leaf = pki.issue(
            f"{cert_type.name}-{is_server}-{is_client}.example",
            serial_type=cert_type,
            is_server_cert=is_server,
            is_client_cert=is_client,
        )
        assert lint(leaf.certificate) == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"email": "Jane.Doe+ca@mail.example"},
            {"email": "jane@mail.example", "is_client_cert": True},
            {"san_ip": ["192.0.2.1", "2001:db8::1"], "is_server_cert": True},
            {"san_dns": ["bücher.example", "a.xn--bcher-kva.example"], "is_server_cert": True},
            {"san_dns": ["Upper.Example"], "is_server_cert": True},
            {
                "email": "jane@mail.example",
                "san_dns": ["b.example"],
                "san_ip": ["::1"],
                "is_server_cert": True,
            },
        ],
        ids=["email", "email-client", "ip", "idn", "upper-case", "all"],
    )
    def test_every_kind_of_name(
        self, pki: PKI, fields: dict[str, object], request: pytest.FixtureRequest
    ) -> None:
        common_name = f"{request.node.callspec.id}.names.example"
        assert lint(pki.issue(common_name, **fields).certificate) == []

    @pytest.mark.parametrize(
        "common_name",
        ["bücher.example", "192.0.2.7", "2001:db8::7", "Jane Doé, Ops", "x" * 64, "例え.example"],
    )
    def test_every_kind_of_common_name(self, pki: PKI, common_name: str) -> None:
        assert lint(pki.issue(common_name, is_server_cert=True).certificate) == []

    @pytest.mark.parametrize("host", ["*.wild.example", "localhost", "db.rack7"])
    def test_names_inside_and_wildcards(self, pki: PKI, host: str) -> None:
        leaf = pki.issue(f"for {host}", san_dns=[host], is_server_cert=True)
        # RFC 5280 §4.2.1.6 leaves wildcards to RFC 9525 §6.3, and RFC 1034 §3.5 has names of
        # one label and ones that end in a digit; pkilint asks for a name of the public DNS.
        where = "certificate.tbsCertificate.extensions.3.extnValue.subjectAltName.0.dNSName"
        assert lint(leaf.certificate) == [f"ERROR pkix.invalid_domain_name_syntax {where}"]

    def test_a_successor(self, pki: PKI) -> None:
        old = pki.issue("rotated.example", is_server_cert=True)
        new = pki.rotate(old, "rotated.example", is_server_cert=True)
        assert lint(new.certificate) == []


class TestCRLs:
    @pytest.fixture(params=ALGORITHMS)
    def pki(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PKI]:
        with PKI.opened(tmp_path, key_algorithm=request.param) as made:
            yield made

    def test_empty(self, pki: PKI) -> None:
        empty = pki.ca.generate_crl()
        assert len(empty) == 0
        assert lint_crl(empty) == []

    def test_every_reason(self, pki: PKI) -> None:
        for reason in REASONS:
            # The keys of the leaves do not matter here, and those of RSA take their time.
            leaf = pki.issue(f"{reason.name}.example", key_algorithm="p-256")
            pki.revoke(leaf, reason)
        signed = pki.ca.generate_crl(days_valid=7)
        assert len(signed) == len(REASONS)
        assert lint_crl(signed) == []

    def test_only_unspecified(self, pki: PKI) -> None:
        pki.revoke(pki.issue("a.example", key_algorithm="p-256"), x509.ReasonFlags.unspecified)
        signed = pki.ca.generate_crl()
        assert len(signed) == 1
        assert lint_crl(signed) == []
