"""What a registry promises of certificates that replace others, or were signed elsewhere."""

# ruff: noqa: S101

from collections.abc import Callable
from dataclasses import replace

import pytest

from tiny_ca.domain.errors import (
    AmbiguousSerialNumber,
    NotUniqueCertOwner,
    SerialNumberCollision,
    ValidationCertError,
)
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, issuer_id_of_name, record_of

__all__ = ["SuccessionContract"]


class SuccessionContract:
    """How a name passes from one certificate to the next."""

    def test_a_predecessor_is_superseded_at_commit(self, registry: Registry, ca: SampleCA) -> None:
        """Until then it is valid; then its claim is the successor's, in one step."""
        ca.issue(registry, 1, "a")
        old = registry.get_by_serial(1)
        successor = ca.reservation(2, "a", predecessor=1)
        registry.reserve([successor])
        assert registry.get_by_name("a") == registry.get_by_serial(1) == old
        assert old is not None
        ca.commit(registry, successor, NOW + HOUR)
        assert registry.get_by_serial(1) == replace(
            old,
            status=CertificateStatus.REVOKED,
            revocation_date=NOW + HOUR,
            revocation_reason=CRLReason.SUPERSEDED,
        )
        found = registry.get_by_name("a")
        assert found is not None
        assert found.serial_number == 2
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([ca.reservation(3, "a")])

    def test_a_predecessor_of_another_name(self, registry: Registry, ca: SampleCA) -> None:
        """Its name is free after the commit; the successor claims its own from the start."""
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "taken")
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([ca.reservation(3, "taken", predecessor=1)])
        ca.issue(registry, 4, "b", predecessor=1)
        assert registry.get_by_name("a") is None
        ca.issue(registry, 5, "a")

    def test_an_expired_predecessor(self, registry: Registry, ca: SampleCA) -> None:
        """Its claim is taken at once, as anybody's, and then it is not valid any more."""
        ca.issue(registry, 1, "a", not_after=NOW)
        successor = ca.reservation(2, "a", created_at=NOW + HOUR, predecessor=1)
        registry.reserve([successor])
        assert registry.get_by_name("a") is None
        with pytest.raises(ValidationCertError):
            ca.commit(registry, successor, NOW + HOUR)

    def test_what_stands_under_a_revoked_ca_is_not_committed(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """Whichever of those above it: all or none, and it is pending as it was."""
        ca.issue(registry, 1, "Root", cert_type=CertType.CA)
        ca.issue(registry, 2, "Sub", cert_type=CertType.CA)
        above = (ca.issuer_id, 1), (ca.issuer_id, 2), ("of somebody else", 1)
        fine = ca.reservation(3, "fine")
        begun = [
            replace(ca.reservation(number, f"name-{number}"), authorities=above)
            for number in (4, 5)
        ]
        registry.reserve([fine, *begun])
        ca.commit(registry, begun[0])
        assert registry.revoke(1, CRLReason.CESSATION_OF_OPERATION, NOW)
        with pytest.raises(ValidationCertError):
            registry.commit([(one, ca.certificate(one)) for one in (fine, begun[1])], NOW)
        for number in (3, 5):
            record = registry.get_by_serial(number)
            assert record is not None
            assert record.status is CertificateStatus.PENDING
        ca.commit(registry, fine)

    def test_a_predecessor_is_superseded_once(self, registry: Registry, ca: SampleCA) -> None:
        """Of two successors the second to commit is refused, and nothing of it is written."""
        ca.issue(registry, 1, "a")
        successors = [ca.reservation(serial, "a", predecessor=1) for serial in (2, 3)]
        for successor in successors:
            registry.reserve([successor])
        ca.commit(registry, successors[0])
        with pytest.raises(ValidationCertError):
            ca.commit(registry, successors[1])
        pending = registry.get_by_serial(3)
        assert pending == record_of(successors[1], CertificateStatus.PENDING)

    def test_a_predecessor_revoked_meanwhile(self, registry: Registry, ca: SampleCA) -> None:
        """Nothing is written: the new row is pending, the revocation as it was."""
        ca.issue(registry, 1, "a")
        successor = ca.reservation(2, "a", predecessor=1)
        registry.reserve([successor])
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW)
        with pytest.raises(ValidationCertError):
            ca.commit(registry, successor, NOW + HOUR)
        assert registry.get_by_serial(2) == record_of(successor, CertificateStatus.PENDING)
        old = registry.get_by_serial(1)
        assert old is not None
        assert (old.revocation_date, old.revocation_reason) == (NOW, CRLReason.KEY_COMPROMISE)

    def test_a_predecessor_that_is_renewed(self, registry: Registry, ca: SampleCA) -> None:
        """It stays valid; its claim is the successor's."""
        ca.issue(registry, 1, "a")
        old = registry.get_by_serial(1)
        successor = ca.reservation(2, "a", predecessor=1, supersedes=False)
        registry.reserve([successor])
        assert registry.get_by_name("a") == old
        ca.commit(registry, successor, NOW + HOUR)
        assert registry.get_by_serial(1) == old
        assert registry.get_by_name("a") == registry.get_by_serial(2)
        registry.revoke(2, CRLReason.CERTIFICATE_HOLD, NOW)
        assert registry.get_by_name("a") is None

    def test_rows_that_do_not_claim_their_name(self, registry: Registry, ca: SampleCA) -> None:
        """Any number of them, beside one that does, and after a hold is lifted, too."""
        for serial in (1, 2):
            ca.issue(registry, serial, "a", claims_name=False)
        assert registry.get_by_name("a") is None
        ca.issue(registry, 3, "b", predecessor=2, claims_name=False)
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
        registry.release(1, NOW)
        assert registry.get_by_name("a") is None
        ca.issue(registry, 4, "a")
        found = registry.get_by_name("a")
        assert found is not None
        assert found.serial_number == 4
        # One that gives its predecessor's name up leaves it to others.
        ca.issue(registry, 5, "a", predecessor=4, claims_name=False)
        assert registry.get_by_name("a") is None

    def test_a_serial_number_of_two_issuers(self, registry: Registry, ca: SampleCA) -> None:
        """Each has its own; without saying whose, nobody is taken for the other."""
        other = SampleCA("Another CA")
        ca.issue(registry, 1, "a")
        other.issue(registry, 1, "b")
        for issuer, name in ((ca, "a"), (other, "b")):
            found = registry.get_by_serial(1, issuer.issuer_id)
            assert found is not None
            assert found.common_name == name
        assert registry.get_by_serial(2, ca.issuer_id) is None
        asks: list[Callable[[], object]] = [
            lambda: registry.get_by_serial(1),
            lambda: registry.revoke(1, CRLReason.SUPERSEDED, NOW),
            lambda: registry.release(1, NOW),
        ]
        for ask in asks:
            with pytest.raises(AmbiguousSerialNumber):
                ask()
        assert registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW, issuer_id=other.issuer_id)
        assert [entry.serial_number for entry in registry.revoked(other.issuer_id)] == [1]
        assert list(registry.revoked(ca.issuer_id)) == []
        assert registry.release(1, NOW, other.issuer_id)
        successor = ca.reservation(2, "a", predecessor=1)
        successor = replace(successor, predecessor_issuer_id=ca.issuer_id)
        registry.reserve([successor])
        ca.commit(registry, successor)
        assert [entry.serial_number for entry in registry.revoked(ca.issuer_id)] == [1]

    def test_the_certificates_of_a_ca(self, registry: Registry, ca: SampleCA) -> None:
        """Whoever signed them, whatever their status, once they are signed."""
        other, name = SampleCA("Another CA"), "Sub CA"
        ca.issue(registry, 1, name, cert_type=CertType.CA)
        other.issue(registry, 1, name, cert_type=CertType.CA, claims_name=False)
        ca.issue(registry, 2, "Elsewhere", cert_type=CertType.CA)
        ca.issue(registry, 3, "leaf")
        pending = ca.reservation(4, name, cert_type=CertType.CA, claims_name=False)
        registry.reserve([pending])
        registry.register(
            ca.certificate(ca.reservation(5, "Registered", cert_type=CertType.CA)),
            None,
            CertType.CA,
            NOW,
        )
        registry.revoke(1, CRLReason.CA_COMPROMISE, NOW, issuer_id=ca.issuer_id)
        found = registry.issuer_certificates(issuer_id_of_name(name))
        assert [(row.serial_number, row.issuer_id) for row in found] == [
            (1, ca.issuer_id),
            (1, other.issuer_id),
        ]
        assert found[0].status is CertificateStatus.REVOKED
        [registered] = registry.issuer_certificates(issuer_id_of_name("Registered"))
        assert registered.serial_number == 5
        assert registry.issuer_certificates("0" * 32) == []

    def test_register_records_a_valid_certificate(self, registry: Registry, ca: SampleCA) -> None:
        """As the certificate says, under the issuer that signed it."""
        reservation = ca.reservation(7, "a", cert_type=CertType.DEVICE)
        certificate = ca.certificate(reservation)
        registry.register(certificate, "uuid-7", CertType.DEVICE, NOW)
        expected = record_of(reservation, CertificateStatus.VALID, certificate)
        expected = replace(expected, cert_path=None, file_name=None)
        assert registry.get_by_serial(7) == registry.get_by_name("a") == expected
        registry.register(ca.certificate(ca.reservation(8, "b")), None, CertType.USER, NOW)
        record = registry.get_by_name("b")
        assert record is not None
        assert record.uuid is None

    def test_register_takes_nothing_twice(self, registry: Registry, ca: SampleCA) -> None:
        """Neither a serial number nor a name that is claimed; nothing is written."""
        ca.issue(registry, 1, "a")
        with pytest.raises(SerialNumberCollision):
            registry.register(ca.certificate(ca.reservation(1, "b")), "u", CertType.USER, NOW)
        with pytest.raises(NotUniqueCertOwner) as caught:
            registry.register(ca.certificate(ca.reservation(2, "a")), "u", CertType.USER, NOW)
        assert caught.value.common_name == "a"
        assert registry.get_by_name("b") is registry.get_by_serial(2) is None

    def test_register_takes_an_expired_claim(self, registry: Registry, ca: SampleCA) -> None:
        """From a holder that is over when it is called."""
        ca.issue(registry, 1, "a", not_after=NOW)
        certificate = ca.certificate(ca.reservation(2, "a"))
        registry.register(certificate, None, CertType.USER, NOW + HOUR)
        record = registry.get_by_name("a")
        assert record is not None
        assert record.serial_number == 2
