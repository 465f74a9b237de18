"""Revocation by CRLs that a caller has (RFC 5280 §6.3)."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.chains import DAY, NOW, Node, ca, leaf
from tiny_ca.adapters.outbound.crypto import CryptographyPathValidator
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.paths import PathLimits, PathRequest
from tiny_ca.ports.path import PathMaterial

HERE = x509.UniformResourceIdentifier("http://crl.example.com/1")
POINT = x509.CRLDistributionPoints([x509.DistributionPoint([HERE], None, None, None)])
ROOT = ca("Root")
ICA = ca("ICA", ROOT)
TARGET = leaf(ICA, extensions=[(POINT, False)])
OF_ROOT = ROOT.crl()


def validate(
    *crls: x509.CertificateRevocationList,
    target: Node = TARGET,
    issuer: Node = ICA,
    limits: PathLimits | None = None,
    **lookup: Any,
) -> None:
    material = PathMaterial([ROOT.certificate], [issuer.certificate], crls, **lookup)
    request = PathRequest(NOW, limits=limits or PathLimits())
    CryptographyPathValidator().validate(target.certificate, request, material)


def refused(match: str, *crls: x509.CertificateRevocationList, **options: Any) -> None:
    with pytest.raises(ValidationCertError, match=match):
        validate(*crls, **options)


def scope(**changes: Any) -> tuple[x509.ExtensionType, bool]:
    fields: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**fields, **changes}), True


class TestCoverage:
    def test_every_certificate_but_the_root_needs_one(self) -> None:
        validate(OF_ROOT, ICA.crl())
        refused("No current CRL says whether 'CN=leaf'", OF_ROOT)
        refused("No current CRL says whether 'CN=ICA'", ICA.crl())
        refused("No current CRL")

    def test_revoked(self) -> None:
        refused("'CN=leaf' .* is revoked, since 2030-06-14", OF_ROOT, ICA.crl(TARGET))
        refused("'CN=ICA' .* is revoked", ROOT.crl(ICA), ICA.crl())

    def test_of_another_issuer(self) -> None:
        other = ca("Other")
        validate(OF_ROOT, ICA.crl(), other.crl(TARGET))
        refused("No current CRL", OF_ROOT, other.crl())

    def test_signed_by_another_key_of_the_name(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        refused("did not sign a CRL", OF_ROOT, ICA.crl(key=key))
        validate(OF_ROOT, ICA.crl(), ICA.crl(TARGET, key=key))

    def test_the_registry_answers_first(self) -> None:
        validate(OF_ROOT, on_record=lambda one: one == TARGET.certificate)
        refused("No current CRL", OF_ROOT, on_record=lambda _: False)

    def test_no_rev_avail(self) -> None:
        no_rev_avail = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.56"), b"\5\0")
        target = leaf(ICA, extensions=[(no_rev_avail, False)])
        validate(OF_ROOT, target=target)
        refused("is revoked", OF_ROOT, ICA.crl(target), target=target)
        issuer = ca("ICA", ROOT, extensions=[(no_rev_avail, False)])
        refused("whether 'CN=ICA'", ICA.crl(), issuer=issuer)


class TestCurrent:
    def test_from_this_update_to_next_update(self) -> None:
        validate(OF_ROOT, ICA.crl(at=NOW))
        validate(OF_ROOT, ICA.crl(until=NOW))
        refused("counts from", OF_ROOT, ICA.crl(at=NOW + DAY, until=NOW + 2 * DAY))
        refused("counts from", OF_ROOT, ICA.crl(at=NOW - 2 * DAY, until=NOW - DAY))

    def test_an_old_one_does_not_speak(self) -> None:
        old = ICA.crl(TARGET, at=NOW - 2 * DAY, until=NOW - DAY)
        validate(OF_ROOT, ICA.crl(), old)

    def test_the_highest_number_speaks(self) -> None:
        held, released = ICA.crl(TARGET, number=1), ICA.crl(number=2)
        for both in ((held, released), (released, held)):
            validate(OF_ROOT, *both)
        refused("is revoked", OF_ROOT, ICA.crl(number=1), ICA.crl(TARGET, number=2))

    def test_one_that_there_was_no_time_to_read_may_be_the_one(self) -> None:
        crls = ICA.crl(), ROOT.crl(number=1), ROOT.crl(ICA, number=2)
        refused("is revoked", *crls, limits=PathLimits(signatures=5))
        refused("within 4 signatures", *crls, limits=PathLimits(signatures=4))


class TestForm:
    def test_it_has_a_number(self) -> None:
        refused("has no number", OF_ROOT, ICA.crl(number=None))
        critical = ICA.crl(number=None, extensions=[(x509.CRLNumber(1), True)])
        refused("or a critical one", OF_ROOT, critical)

    def test_its_issuer_may_sign_it(self) -> None:
        issuer = ca("ICA", ROOT, bits=["key_cert_sign"])
        refused("may not sign CRLs", OF_ROOT, ICA.crl(), issuer=issuer)

    def test_a_delta_is_none(self) -> None:
        delta = ICA.crl(extensions=[(x509.DeltaCRLIndicator(1), True)])
        refused("not known here", OF_ROOT, delta)

    def test_critical_and_unknown(self) -> None:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
        refused("not known here", OF_ROOT, ICA.crl(extensions=[(unknown, True)]))
        validate(OF_ROOT, ICA.crl(extensions=[(unknown, False)]))


class TestScope:
    @pytest.mark.parametrize(
        "changes",
        [
            {"only_contains_ca_certs": True},
            {"only_contains_attribute_certs": True},
            {"indirect_crl": True},
            {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})},
            {"full_name": [x509.UniformResourceIdentifier("http://crl.example.com/2")]},
            {"relative_name": x509.Name.from_rfc4514_string("CN=a").rdns[0]},
        ],
    )
    def test_does_not_cover(self, changes: dict[str, Any]) -> None:
        refused("No current CRL .* A CRL ", OF_ROOT, ICA.crl(extensions=[scope(**changes)]))

    @pytest.mark.parametrize("changes", [{"only_contains_user_certs": True}, {"full_name": [HERE]}])
    def test_covers(self, changes: dict[str, Any]) -> None:
        validate(OF_ROOT, ICA.crl(extensions=[scope(**changes)]))
        refused("is revoked", OF_ROOT, ICA.crl(TARGET, extensions=[scope(**changes)]))

    @pytest.mark.parametrize(
        "point",
        [
            x509.DistributionPoint([HERE], None, None, [x509.DirectoryName(ROOT.name)]),
            x509.DistributionPoint(
                [HERE], None, frozenset({x509.ReasonFlags.key_compromise}), None
            ),
        ],
        ids=["of another issuer", "of some reasons"],
    )
    def test_a_point_that_says_less(self, point: x509.DistributionPoint) -> None:
        target = leaf(ICA, extensions=[(x509.CRLDistributionPoints([point]), False)])
        crl = ICA.crl(extensions=[scope(full_name=[HERE])])
        refused("another distribution point", OF_ROOT, crl, target=target)

    def test_user_certificates_are_no_ca_s(self) -> None:
        of_users = ROOT.crl(extensions=[scope(only_contains_user_certs=True)])
        refused("whether 'CN=ICA'", of_users, ICA.crl())

    def test_each_scope_speaks_for_itself(self) -> None:
        partial = ICA.crl(TARGET, number=1, extensions=[scope(full_name=[HERE])])
        refused("is revoked", OF_ROOT, ICA.crl(number=9), partial)
