"""What a registry promises of reserving, committing, abandoning and registering."""

# ruff: noqa: S101

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from cryptography import x509

from tiny_ca.domain.errors import (
    NotUniqueCertOwner,
    RegistryError,
    ReservationLost,
    SerialNumberCollision,
)
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, record_of

__all__ = ["ReservationContract"]

LARGEST_SERIAL_NUMBER = 2**159 - 1


class ReservationContract:
    """How rows come to be; *registry* is an empty one."""

    def test_an_empty_registry_has_nothing(self, registry: Registry, ca: SampleCA) -> None:
        """Look-ups give `None`, lists nothing."""
        assert registry.get_by_serial(1) is None
        assert registry.get_by_name("a") is None
        assert list(registry.pending(NOW + HOUR)) == []
        assert list(registry.authorities()) == []
        assert list(registry.revoked(ca.issuer_id)) == []

    def test_a_reserved_row_is_pending(self, registry: Registry, ca: SampleCA) -> None:
        """It is found by serial number, and not by name before it is valid."""
        reservation = ca.reservation(LARGEST_SERIAL_NUMBER, "a")
        registry.reserve([reservation])
        expected = record_of(reservation, CertificateStatus.PENDING)
        assert registry.get_by_serial(LARGEST_SERIAL_NUMBER) == expected
        assert registry.get_by_name("a") is None

    def test_a_committed_row_is_valid(self, registry: Registry, ca: SampleCA) -> None:
        """It holds the certificate, and is found by its name too."""
        reservation = ca.issue(registry, 1, "a")
        record = registry.get_by_serial(1)
        assert record is not None
        assert record.certificate_pem is not None
        certificate = x509.load_pem_x509_certificate(record.certificate_pem.encode())
        assert (certificate.serial_number, certificate.subject.rfc4514_string()) == (1, "CN=a")
        assert record == record_of(reservation, CertificateStatus.VALID, certificate)
        assert registry.get_by_name("a") == record

    def test_moments_come_back_aware_and_equal(self, registry: Registry, ca: SampleCA) -> None:
        """Whatever their time zone, and to the microsecond."""
        zone = timezone(timedelta(hours=5, minutes=45))
        created_at = NOW.replace(microsecond=123_456).astimezone(zone)
        validity = Validity(NOW.astimezone(zone), (NOW + HOUR).astimezone(zone))
        reservation = replace(ca.reservation(1, "a", created_at=created_at), validity=validity)
        registry.reserve([reservation])
        registry.revoke(1, CRLReason.SUPERSEDED, created_at)
        record = registry.get_by_serial(1)
        assert record is not None
        assert record.revocation_date is not None
        moments = (record.created_at, record.not_before, record.not_after, record.revocation_date)
        assert moments == (created_at, NOW, NOW + HOUR, created_at)
        assert all(moment.utcoffset() is not None for moment in moments)

    def test_a_serial_number_is_taken_once(self, registry: Registry, ca: SampleCA) -> None:
        """Whatever became of its row; the row that has it stays, nothing else is written."""
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "old", not_after=NOW)
        before = registry.get_by_serial(1), registry.get_by_serial(2)
        late = ca.reservation(1, "old", created_at=NOW + HOUR, uuid="another")
        with pytest.raises(SerialNumberCollision):
            registry.reserve([late])
        assert (registry.get_by_serial(1), registry.get_by_serial(2)) == before
        assert registry.get_by_name("old") == before[1]
        registry.reserve([ca.reservation(3, "b")])
        assert registry.abandon(ca.issuer_id, 3)
        with pytest.raises(SerialNumberCollision):
            registry.reserve([ca.reservation(3, "c")])
        registry.reserve([ca.reservation(4, "c")])

    def test_issuers_number_independently(self, registry: Registry, ca: SampleCA) -> None:
        """Then a serial number alone tells no certificate: `RegistryError`, not one of them."""
        other = SampleCA("Another CA")
        reservation = ca.issue(registry, 1, "a")
        other.issue(registry, 1, "b")
        with pytest.raises(RegistryError):
            registry.get_by_serial(1)
        with pytest.raises(RegistryError):
            registry.revoke(1, CRLReason.UNSPECIFIED, NOW)
        with pytest.raises(SerialNumberCollision):
            registry.reserve([replace(reservation, common_name="c")])
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([SampleCA("A third CA").reservation(1, "b")])
        for name, issuer in (("a", ca), ("b", other)):
            record = registry.get_by_name(name)
            assert record is not None
            assert record.issuer_id == issuer.issuer_id

    @pytest.mark.parametrize("is_committed", [False, True])
    def test_a_name_is_claimed_once(
        self, registry: Registry, ca: SampleCA, is_committed: bool
    ) -> None:
        """By a pending row as by a valid one; nothing is written."""
        first = ca.reservation(1, "a")
        registry.reserve([first])
        if is_committed:
            ca.commit(registry, first)
        holder = registry.get_by_serial(1)
        with pytest.raises(NotUniqueCertOwner) as caught:
            registry.reserve([ca.reservation(2, "a")])
        assert caught.value.common_name == "a"
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([SampleCA("Another CA").reservation(3, "a")])
        assert registry.get_by_serial(1) == holder
        assert registry.get_by_serial(2) is registry.get_by_serial(3) is None

    def test_an_expired_holder_loses_its_claim(self, registry: Registry, ca: SampleCA) -> None:
        """One second after its end, and not in its last."""
        ca.issue(registry, 1, "a", not_after=NOW)
        last = NOW + timedelta(microseconds=999_999)
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([ca.reservation(2, "a", created_at=last)])
        ca.issue(registry, 3, "a", created_at=NOW + timedelta(seconds=1))
        old, new = registry.get_by_serial(1), registry.get_by_name("a")
        assert old is not None
        assert old.status is CertificateStatus.EXPIRED
        assert new is not None
        assert new.serial_number == 3

    def test_who_claims_no_name_takes_none(self, registry: Registry, ca: SampleCA) -> None:
        """An expired holder stays what it is, too."""
        ca.issue(registry, 1, "a", not_after=NOW)
        before = registry.get_by_serial(1)
        late = ca.reservation(2, "a", created_at=NOW + HOUR, claims_name=False)
        registry.reserve([late])
        assert registry.get_by_serial(1) == before

    def test_a_pending_holder_keeps_its_claim(self, registry: Registry, ca: SampleCA) -> None:
        """Past the end of what it will be valid for, too: only `abandon` closes it."""
        registry.reserve([ca.reservation(1, "a", not_after=NOW)])
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([ca.reservation(2, "a", created_at=NOW + HOUR)])

    def test_an_abandoned_row_can_not_be_committed(self, registry: Registry, ca: SampleCA) -> None:
        """Nor its predecessor superseded by trying."""
        ca.issue(registry, 1, "a")
        successor = ca.reservation(2, "a", predecessor=1)
        registry.reserve([successor])
        assert registry.abandon(ca.issuer_id, 2)
        before = registry.get_by_serial(1), registry.get_by_serial(2)
        with pytest.raises(ReservationLost):
            ca.commit(registry, successor)
        with pytest.raises(ReservationLost):
            ca.commit(registry, ca.reservation(9, "never reserved"))
        assert (registry.get_by_serial(1), registry.get_by_serial(2)) == before

    def test_a_row_is_committed_once(self, registry: Registry, ca: SampleCA) -> None:
        """The certificate that it has stays."""
        reservation = ca.issue(registry, 1, "a")
        before = registry.get_by_serial(1)
        with pytest.raises(ReservationLost):
            ca.commit(registry, reservation)
        assert registry.get_by_serial(1) == before

    def test_abandon_closes_a_pending_row(self, registry: Registry, ca: SampleCA) -> None:
        """Its name is free again, its serial number is not; the row stays on record."""
        reservation = ca.reservation(1, "a")
        registry.reserve([reservation])
        assert not registry.abandon(SampleCA().issuer_id, 1)
        assert registry.abandon(ca.issuer_id, 1) is True
        assert registry.get_by_serial(1) == record_of(reservation, CertificateStatus.ABANDONED)
        assert registry.abandon(ca.issuer_id, 1) is False
        ca.issue(registry, 2, "a")

    def test_abandon_leaves_what_is_not_pending(self, registry: Registry, ca: SampleCA) -> None:
        """A valid row stays valid; there is nothing to close of one that does not exist."""
        ca.issue(registry, 1, "a")
        before = registry.get_by_name("a")
        assert registry.abandon(ca.issuer_id, 1) is False
        assert registry.abandon(ca.issuer_id, 2) is False
        assert registry.get_by_name("a") == before
