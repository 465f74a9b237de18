"""What a registry promises of revoking, releasing, listing and CRLs."""

# ruff: noqa: S101

from dataclasses import replace
from datetime import datetime

import pytest

from tiny_ca.domain.errors import (
    InvalidRevocationReason,
    NotOnHold,
    NotUniqueCertOwner,
    ReservationLost,
)
from tiny_ca.domain.records import CertificateStatus, CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA

__all__ = ["RevocationContract"]

HOLD = CRLReason.CERTIFICATE_HOLD


def serials(registry: Registry, ca: SampleCA) -> list[int]:
    """Give the serial numbers that the next CRL of *ca* owes."""
    return [entry.serial_number for entry in registry.revoked(ca.issuer_id)]


def publish(registry: Registry, ca: SampleCA, this_update: datetime) -> bool:
    """Publish the next CRL, of *this_update*."""
    stamp = CRLStamp(registry.next_crl_number(ca.issuer_id), this_update, this_update + HOUR)
    return registry.publish_crl(ca.issuer_id, stamp, lambda: None)


class RevocationContract:
    """How certificates cease to be valid, and who is told."""

    @pytest.mark.parametrize("reason", sorted(set(CRLReason) - {CRLReason.REMOVE_FROM_CRL}))
    def test_revoke(self, registry: Registry, ca: SampleCA, reason: CRLReason) -> None:
        """The row has moment and reason, its name is free."""
        ca.issue(registry, 1, "a")
        valid = registry.get_by_serial(1)
        assert valid is not None
        assert registry.revoke(1, reason, NOW) is True
        assert registry.get_by_serial(1) == replace(
            valid,
            status=CertificateStatus.REVOKED,
            revocation_date=NOW,
            revocation_reason=reason,
        )
        assert list(registry.revoked(ca.issuer_id)) == [CRLEntry(1, NOW, reason)]
        assert registry.get_by_name("a") is None
        ca.issue(registry, 2, "a")

    def test_revoking_twice_changes_nothing(self, registry: Registry, ca: SampleCA) -> None:
        """The first moment and reason are final, and the name is its new owner's."""
        ca.issue(registry, 1, "a")
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        ca.issue(registry, 2, "a")
        before = registry.get_by_serial(1), registry.get_by_name("a")
        assert registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW + HOUR) is True
        assert registry.revoke(1, HOLD, NOW + HOUR) is True
        assert (registry.get_by_serial(1), registry.get_by_name("a")) == before

    def test_an_unknown_serial_number(self, registry: Registry, ca: SampleCA) -> None:
        """Can be neither revoked nor released: false."""
        assert registry.revoke(1, CRLReason.UNSPECIFIED, NOW) is False
        assert registry.release(1, NOW) is False
        assert serials(registry, ca) == []

    def test_remove_from_crl_is_no_reason(self, registry: Registry, ca: SampleCA) -> None:
        """`InvalidRevocationReason`, whether it is valid or on hold; nothing is written."""
        ca.issue(registry, 1, "a")
        for prepare in (lambda: None, lambda: registry.revoke(1, HOLD, NOW)):
            prepare()
            before = registry.get_by_serial(1)
            with pytest.raises(InvalidRevocationReason):
                registry.revoke(1, CRLReason.REMOVE_FROM_CRL, NOW)
            assert registry.get_by_serial(1) == before

    def test_a_hold_can_become_final(self, registry: Registry, ca: SampleCA) -> None:
        """It keeps its date, and can't be released any more."""
        ca.issue(registry, 1, "a")
        registry.revoke(1, HOLD, NOW)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW + HOUR)
        entry = CRLEntry(1, NOW, CRLReason.KEY_COMPROMISE)
        assert list(registry.revoked(ca.issuer_id)) == [entry]
        with pytest.raises(NotOnHold):
            registry.release(1, NOW + HOUR)
        assert list(registry.revoked(ca.issuer_id)) == [entry]

    def test_a_pending_row_can_be_revoked(self, registry: Registry, ca: SampleCA) -> None:
        """It is on the CRL, and what was being signed for it is lost."""
        reservation = ca.reservation(1, "a")
        registry.reserve([reservation])
        assert registry.revoke(1, CRLReason.CESSATION_OF_OPERATION, NOW) is True
        with pytest.raises(ReservationLost):
            ca.commit(registry, reservation)
        assert registry.abandon(ca.issuer_id, 1) is False
        assert serials(registry, ca) == [1]
        ca.issue(registry, 2, "a")

    def test_an_abandoned_row_can_be_revoked(self, registry: Registry, ca: SampleCA) -> None:
        """Its certificate may have been signed, though nobody was handed it."""
        registry.reserve([ca.reservation(1, "a")])
        registry.abandon(ca.issuer_id, 1)
        assert registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW) is True
        assert serials(registry, ca) == [1]

    def test_release(self, registry: Registry, ca: SampleCA) -> None:
        """The certificate is as it was before, its claim included."""
        ca.issue(registry, 1, "a")
        before = registry.get_by_name("a")
        registry.revoke(1, HOLD, NOW)
        assert registry.release(1, NOW + HOUR) is True
        assert registry.get_by_serial(1) == registry.get_by_name("a") == before
        assert serials(registry, ca) == []
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([ca.reservation(2, "a")])

    def test_release_takes_no_claim_from_another(self, registry: Registry, ca: SampleCA) -> None:
        """The name stays with whoever took it, valid or pending, unless that one is over."""
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "b")
        registry.revoke(1, HOLD, NOW)
        registry.revoke(2, HOLD, NOW)
        ca.issue(registry, 3, "a", not_after=NOW + HOUR)
        pending = ca.reservation(4, "b")
        registry.reserve([pending])
        assert registry.release(1, NOW)
        assert registry.release(2, NOW)
        ca.commit(registry, pending)
        for serial, name, owner in ((1, "a", 3), (2, "b", 4)):
            released, found = registry.get_by_serial(serial), registry.get_by_name(name)
            assert released is not None
            assert released.status is CertificateStatus.VALID
            assert found is not None
            assert found.serial_number == owner
        registry.revoke(1, HOLD, NOW)
        registry.release(1, NOW + 2 * HOUR)
        found = registry.get_by_name("a")
        assert found is not None
        assert found.serial_number == 1

    def test_only_a_hold_can_be_released(self, registry: Registry, ca: SampleCA) -> None:
        """Neither what is final nor what is valid or pending: `NotOnHold`, nothing is written."""
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "b")
        registry.revoke(2, CRLReason.UNSPECIFIED, NOW)
        registry.reserve([ca.reservation(3, "c")])
        before = [registry.get_by_serial(serial) for serial in (1, 2, 3)]
        for serial in (1, 2, 3):
            with pytest.raises(NotOnHold):
                registry.release(serial, NOW)
        assert [registry.get_by_serial(serial) for serial in (1, 2, 3)] == before

    def test_release_makes_nothing_valid_that_was_never_signed(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """A row that was put on hold while pending is closed, and its name is free."""
        reservation = ca.reservation(1, "a")
        registry.reserve([reservation])
        registry.revoke(1, HOLD, NOW)
        assert registry.release(1, NOW) is True
        record = registry.get_by_serial(1)
        assert record is not None
        assert record.status is CertificateStatus.ABANDONED
        with pytest.raises(ReservationLost):
            ca.commit(registry, reservation)
        ca.issue(registry, 2, "a")

    def test_pending(self, registry: Registry, ca: SampleCA) -> None:
        """Pending rows that were reserved before a moment, not at it, oldest first."""
        for hours, serial in enumerate((4, 3, 2, 1)):
            name = f"name-{serial}"
            registry.reserve([ca.reservation(serial, name, created_at=NOW + hours * HOUR)])
        ca.issue(registry, 5, "valid")
        registry.abandon(ca.issuer_id, 3)
        last = NOW + 3 * HOUR
        assert [row.serial_number for row in registry.pending(last)] == [4, 2]
        later = [row.serial_number for row in registry.pending(last.replace(microsecond=1))]
        assert later == [4, 2, 1]

    def test_authorities(self, registry: Registry, ca: SampleCA) -> None:
        """Valid certificates of type CA, oldest first."""
        for hours, serial in enumerate((4, 3, 2, 1)):
            created_at = NOW + hours * HOUR
            name = f"name-{serial}"
            ca.issue(registry, serial, name, cert_type=CertType.CA, created_at=created_at)
        ca.issue(registry, 5, "leaf")
        registry.reserve([ca.reservation(6, "pending", cert_type=CertType.CA)])
        registry.revoke(3, CRLReason.CA_COMPROMISE, NOW)
        assert [row.serial_number for row in registry.authorities()] == [4, 2, 1]

    def test_revoked_is_of_one_issuer(self, registry: Registry, ca: SampleCA) -> None:
        """What others have revoked, or published, is theirs."""
        other = SampleCA("Another CA")
        for serial, issuer in ((1, ca), (2, other), (3, ca), (4, other)):
            issuer.issue(registry, serial, f"name-{serial}", not_after=NOW)
            registry.revoke(serial, CRLReason.SUPERSEDED, NOW)
        assert sorted(serials(registry, ca)) == [1, 3]
        assert publish(registry, other, NOW + HOUR)
        assert sorted(serials(registry, ca)) == [1, 3]
        assert serials(registry, other) == []

    def test_an_expired_certificate_is_shown_once_more(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """It is owed until a CRL issued after its last second was published (RFC 5280 §3.3)."""
        ca.issue(registry, 1, "a", not_after=NOW)
        ca.issue(registry, 2, "b")
        registry.revoke(1, CRLReason.SUPERSEDED, NOW - HOUR)
        registry.revoke(2, CRLReason.SUPERSEDED, NOW - HOUR)
        assert publish(registry, ca, NOW - HOUR / 2)
        assert sorted(serials(registry, ca)) == [1, 2]
        assert publish(registry, ca, NOW)
        assert sorted(serials(registry, ca)) == [1, 2]
        registry.next_crl_number(ca.issuer_id)
        assert sorted(serials(registry, ca)) == [1, 2]
        assert publish(registry, ca, NOW + HOUR)
        assert serials(registry, ca) == [2]

    def test_revoked_after_its_end(self, registry: Registry, ca: SampleCA) -> None:
        """A certificate that no CRL has shown is owed, however long it is over."""
        ca.issue(registry, 1, "a", not_after=NOW)
        assert publish(registry, ca, NOW + HOUR)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW + 2 * HOUR)
        assert serials(registry, ca) == [1]
        assert publish(registry, ca, NOW + 3 * HOUR)
        assert serials(registry, ca) == []
