"""What a registry promises of deleting."""

# ruff: noqa: S101

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tiny_ca.domain.errors import RegistryError, StillNeeded
from tiny_ca.domain.records import CRLStamp, Location, RetryKey
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA

__all__ = ["DeletionContract"]

SECOND = timedelta(seconds=1)


def publish(registry: Registry, ca: SampleCA, this_update: datetime) -> None:
    """Publish the next CRL, of *this_update*."""
    stamp = CRLStamp(registry.next_crl_number(ca.issuer_id), this_update, this_update + HOUR)
    assert registry.publish_crl(ca.issuer_id, stamp, lambda: None)


class DeletionContract:
    """A row goes when nobody needs it any more."""

    def test_an_unknown_serial_number_is_not_deleted(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """False; a serial number that several issuers have used is not chosen from."""
        assert registry.delete(1, NOW) is False
        ca.issue(registry, 1, "a", not_after=NOW)
        SampleCA("Another CA").issue(registry, 1, "b", not_after=NOW)
        with pytest.raises(RegistryError):
            registry.delete(1, NOW + HOUR)

    def test_delete(self, registry: Registry, ca: SampleCA) -> None:
        """Its serial number, name, retry key and folder are as if they had not been used."""
        retry_key = RetryKey("key", "5" * 64)
        reservation = replace(ca.reservation(1, "a", not_after=NOW), retry_key=retry_key)
        registry.reserve([reservation])
        ca.commit(registry, reservation)
        with pytest.raises(StillNeeded) as caught:
            registry.delete(1, NOW + timedelta(microseconds=999_999))
        assert caught.value.until == NOW
        assert registry.get_by_name("a") is not None
        assert registry.delete(1, NOW + SECOND) is True
        assert registry.get_by_serial(1) is registry.get_by_name("a") is None
        assert registry.get_by_idempotency_key("key") is None
        assert list(registry.deleted()) == []
        registry.reserve([reservation])

    def test_what_is_not_over_stays(self, registry: Registry, ca: SampleCA) -> None:
        """Pending for as long as it is, all others until their end."""
        registry.reserve([ca.reservation(1, "a", not_after=NOW)])
        registry.reserve([ca.reservation(2, "b", not_after=NOW)])
        registry.abandon(ca.issuer_id, 2)
        ca.issue(registry, 3, "c", not_after=NOW)
        registry.revoke(3, CRLReason.SUPERSEDED, NOW - HOUR)
        for serial, until in ((1, None), (2, NOW), (3, NOW)):
            before = registry.get_by_serial(serial)
            with pytest.raises(StillNeeded) as caught:
                registry.delete(serial, NOW)
            assert (caught.value.serial_number, caught.value.until) == (serial, until)
            assert registry.get_by_serial(serial) == before
        with pytest.raises(StillNeeded):
            registry.delete(1, NOW + HOUR)
        assert registry.delete(2, NOW + HOUR) is True

    def test_what_a_crl_owes_stays(self, registry: Registry, ca: SampleCA) -> None:
        """Until a CRL that was issued after the end has shown it (RFC 5280 §3.3)."""
        ca.issue(registry, 1, "a", not_after=NOW)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW - HOUR)
        other = SampleCA("Another CA")
        for moment in (None, NOW - HOUR / 2, NOW):
            if moment is not None:
                publish(registry, ca, moment)
            publish(registry, other, NOW + HOUR)
            with pytest.raises(StillNeeded) as caught:
                registry.delete(1, NOW + 2 * HOUR)
            assert caught.value.until == NOW
            assert [entry.serial_number for entry in registry.revoked(ca.issuer_id)] == [1]
        publish(registry, ca, NOW + SECOND)
        assert registry.delete(1, NOW + 2 * HOUR) is True

    def test_what_was_revoked_late_stays_too(self, registry: Registry, ca: SampleCA) -> None:
        """A CRL from after its end has not shown it, if it was revoked after that."""
        ca.issue(registry, 1, "a", not_after=NOW)
        publish(registry, ca, NOW + HOUR)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW + 2 * HOUR)
        with pytest.raises(StillNeeded) as caught:
            registry.delete(1, NOW + 3 * HOUR)
        assert caught.value.until == NOW + 2 * HOUR
        publish(registry, ca, NOW + 3 * HOUR)
        assert registry.delete(1, NOW + 3 * HOUR) is True

    def test_a_ca_with_certificates_stays(self, registry: Registry, ca: SampleCA) -> None:
        """Until they are deleted; its own is none of them, though it signed it."""
        certificate = ca.issuer.certificate
        registry.register(certificate, None, CertType.CA, NOW)
        ca.issue(registry, 2, "leaf", not_after=NOW)
        end = certificate.not_valid_after_utc + HOUR
        with pytest.raises(StillNeeded) as caught:
            registry.delete(certificate.serial_number, end)
        assert caught.value.until is None
        assert registry.delete(2, end) is True
        assert registry.delete(certificate.serial_number, end) is True
        assert registry.issuer_certificates(ca.issuer_id) == []

    def test_a_deleted_rows_folder_is_on_record(self, registry: Registry, ca: SampleCA) -> None:
        """From the same moment on, and until it is said to be gone."""
        places = [Location("one", "file", "some/folder"), Location("two", "file")]
        for serial, place in enumerate(places, 1):
            reservation = replace(ca.reservation(serial, f"name-{serial}"), location=place)
            registry.reserve([reservation])
            ca.commit(registry, reservation)
            with pytest.raises(StillNeeded):
                registry.delete(serial, NOW, place)
            assert list(registry.deleted()) == places[: serial - 1]
            assert registry.delete(serial, NOW + 48 * HOUR, place)
            assert list(registry.deleted()) == places[:serial]
        registry.forget(Location("two", "file", "another"))
        registry.forget(places[0])
        registry.forget(places[0])
        assert list(registry.deleted()) == places[1:]
        registry.forget(places[1])
        assert list(registry.deleted()) == []

    def test_a_folder_that_another_row_has_is_not_given(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """An overwrite puts its certificate where the old one's was; it is pending first."""
        ca.issue(registry, 1, "old", uuid="shared", not_after=NOW)
        successor = ca.reservation(2, "new", uuid="shared")
        registry.reserve([successor])
        place = successor.location
        assert registry.delete(1, NOW + HOUR, place)
        assert list(registry.deleted()) == []
        ca.commit(registry, successor)
        assert list(registry.deleted()) == []
        assert registry.delete(2, NOW + 48 * HOUR, place)
        assert set(registry.deleted()) == {place}
        elsewhere = replace(place, folder=None)
        certificate = ca.certificate(ca.reservation(3, "unknown folder"))
        registry.register(certificate, "shared", CertType.SERVICE, NOW)
        assert list(registry.deleted()) == []
        assert registry.delete(3, NOW + 48 * HOUR, elsewhere)
        assert set(registry.deleted()) == {place, elsewhere}
