"""What a registry promises of certificates that replace others, or were signed elsewhere."""

# ruff: noqa: S101

from dataclasses import replace

import pytest

from tiny_ca.domain.errors import (
    NotUniqueCertOwner,
    SerialNumberCollision,
    ValidationCertError,
)
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, record_of

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
