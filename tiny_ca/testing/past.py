"""What a registry promises of what was signed elsewhere."""

# ruff: noqa: S101

from dataclasses import replace
from datetime import timedelta

import pytest

from tiny_ca.domain.errors import NotOnHold, SerialNumberCollision
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.records import CertificateStatus, CRLEntry, CRLStamp, Location
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.history import PastCertificate
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, entries_of

__all__ = ["PastContract"]

YESTERDAY = NOW - timedelta(days=1)
COMPROMISED = Revocation(YESTERDAY, CRLReason.KEY_COMPROMISE)
HELD = Revocation(YESTERDAY, CRLReason.CERTIFICATE_HOLD)


def past_of(
    ca: SampleCA,
    serial: int,
    name: str = "a",
    revocation: Revocation | None = None,
    *,
    is_known: bool = True,
) -> PastCertificate:
    """Give a certificate that *ca* has signed before, without it unless it *is_known*."""
    reservation = ca.reservation(serial, name)
    return PastCertificate(
        serial_number=serial,
        issuer_id=ca.issuer_id,
        common_name=name,
        cert_type=CertType.SERVICE,
        validity=reservation.validity,
        certificate=ca.certificate(reservation) if is_known else None,
        revocation=revocation,
    )


class PastContract:
    """How a history gets into the registry."""

    def test_past(self, registry: Registry, ca: SampleCA) -> None:
        """Each row says what is known, and each status is the certificate's."""
        over = Validity(YESTERDAY - HOUR, YESTERDAY)
        place = Location("uuid-1", "file", "folder")
        past = [
            replace(past_of(ca, 1, "valid"), location=place),
            past_of(ca, 2, "revoked", COMPROMISED),
            replace(past_of(ca, 3, "over"), validity=over),
            replace(past_of(ca, 4, "marked"), is_expired=True),
            past_of(ca, 5, "unknown", is_known=False),
        ]
        assert registry.record_past(past, NOW) == 5
        found = [registry.get_by_serial(serial) for serial in range(1, 6)]
        assert [row and row.status.value for row in found] == [
            "valid",
            "revoked",
            "expired",
            "expired",
            "valid",
        ]
        for row, one in zip(found, past, strict=True):
            assert row is not None
            assert (row.issuer_id, row.common_name, row.cert_type, row.location) == (
                ca.issuer_id,
                one.common_name,
                CertType.SERVICE,
                one.location,
            )
            assert (row.not_before, row.not_after, row.created_at) == (
                one.validity.not_before,
                one.validity.not_after,
                one.validity.not_before,
            )
            assert row.revocation == one.revocation
            assert (row.certificate_pem is None) == (one.certificate is None)
        positions = [row.position for row in found if row and row.position]
        assert positions == sorted(set(positions))

    def test_twice_changes_nothing(self, registry: Registry, ca: SampleCA) -> None:
        """Not even what was done to a certificate since."""
        past = [
            past_of(ca, 1, "a"),
            past_of(ca, 2, "b", COMPROMISED),
            past_of(ca, 3, "c", HELD),
            past_of(ca, 4, "d", HELD),
        ]
        assert registry.record_past(past, NOW, {ca.issuer_id: 7}) == 4
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        registry.release(3, NOW)
        registry.revoke(4, CRLReason.CA_COMPROMISE, NOW)
        before = [registry.get_by_serial(serial) for serial in range(1, 5)]
        entries = list(registry.revoked(ca.issuer_id))
        number = registry.next_crl_number(ca.issuer_id)
        assert registry.record_past(past, NOW + HOUR, {ca.issuer_id: 7}) == 0
        assert [registry.get_by_serial(serial) for serial in range(1, 5)] == before
        assert list(registry.revoked(ca.issuer_id)) == entries
        assert registry.next_crl_number(ca.issuer_id) == number + 1

    def test_it_stays_revoked(self, registry: Registry, ca: SampleCA) -> None:
        """CRLs say since when and why, and from when on it is not to be trusted."""
        since = YESTERDAY - HOUR
        past = [
            replace(past_of(ca, 1, "a", COMPROMISED), invalidity_date=since),
            past_of(ca, 2, "b", HELD, is_known=False),
        ]
        registry.record_past(past, NOW)
        expected = [
            CRLEntry(1, YESTERDAY, CRLReason.KEY_COMPROMISE, since),
            CRLEntry(2, YESTERDAY, CRLReason.CERTIFICATE_HOLD),
        ]
        key = lambda entry: entry.serial_number  # noqa: E731
        assert sorted(registry.revoked(ca.issuer_id), key=key) == expected
        parts = list(registry.crl_entries(ca.issuer_id))
        assert sorted(entries_of(parts), key=key) == expected
        with pytest.raises(NotOnHold):
            registry.release(1, NOW)
        # Its certificate is somewhere, though nobody here knows it.
        registry.release(2, NOW)
        released = registry.get_by_serial(2)
        assert released is not None
        assert released.status is CertificateStatus.VALID

    def test_later_revocations_are_caught_up_with(self, registry: Registry, ca: SampleCA) -> None:
        """Of what is on record, valid or on hold, unless they are holds themselves."""
        past = [past_of(ca, 1, "a"), past_of(ca, 2, "b", HELD)]
        registry.record_past(past, NOW)
        later = [replace(one, revocation=COMPROMISED) for one in past]
        assert registry.record_past(later, NOW) == 0
        for serial in (1, 2):
            row = registry.get_by_serial(serial)
            assert row is not None
            assert row.revocation == COMPROMISED
        assert len(list(registry.revoked(ca.issuer_id))) == 2
        assert registry.get_by_name("a") is None

    def test_claims(self, registry: Registry, ca: SampleCA) -> None:
        """A valid certificate that claims its name gets it, unless another has it."""
        ca.issue(registry, 1, "taken")
        past = [
            past_of(ca, 2, "taken"),
            replace(past_of(ca, 3, "many"), claims_name=False),
            past_of(ca, 4, "many"),
            past_of(ca, 5, "held", HELD),
            replace(past_of(ca, 6), common_name=""),
            replace(past_of(ca, 7), common_name=""),
        ]
        assert registry.record_past(past, NOW) == 6
        found = {name: registry.get_by_name(name) for name in ("taken", "many", "held")}
        assert {name: row and row.serial_number for name, row in found.items()} == {
            "taken": 1,
            "many": 4,
            "held": None,
        }
        registry.release(5, NOW)
        released = registry.get_by_name("held")
        assert released is not None
        assert released.serial_number == 5

    def test_a_claim_of_one_that_is_over_is_free(self, registry: Registry, ca: SampleCA) -> None:
        """As for `reserve`."""
        ca.issue(registry, 1, "a", not_after=NOW - HOUR)
        registry.record_past([past_of(ca, 2, "a")], NOW)
        found = registry.get_by_name("a")
        assert found is not None
        assert found.serial_number == 2

    def test_another_certificate_of_a_serial_number(self, registry: Registry, ca: SampleCA) -> None:
        """`SerialNumberCollision`, in the registry or the batch; nothing is written."""
        ca.issue(registry, 1, "a")
        fresh = past_of(ca, 2, "b")
        for batch in ([fresh, past_of(ca, 1, "other")], [fresh, fresh]):
            with pytest.raises(SerialNumberCollision):
                registry.record_past(batch, NOW, {ca.issuer_id: 50})
        assert registry.get_by_serial(2) is None
        assert registry.next_crl_number(ca.issuer_id) < 50
        # Of a row alone nobody can tell.
        assert registry.record_past([past_of(ca, 1, is_known=False)], NOW) == 0

    def test_crl_numbers_go_on(self, registry: Registry, ca: SampleCA) -> None:
        """Above the greatest of the history and of the registry."""
        assert registry.record_past([], NOW, {ca.issuer_id: 41}) == 0
        assert registry.next_crl_number(ca.issuer_id) == 42
        registry.record_past([], NOW, {ca.issuer_id: 5})
        assert registry.next_crl_number(ca.issuer_id) == 43

    def test_a_delta_shows_what_was_recorded_since(self, registry: Registry, ca: SampleCA) -> None:
        """It may be missing in the last complete CRL."""
        number = registry.next_crl_number(ca.issuer_id)
        registry.publish_crl(ca.issuer_id, CRLStamp(number, NOW, NOW + HOUR), lambda: None)
        registry.record_past([past_of(ca, 1, "a", COMPROMISED)], NOW)
        parts = list(registry.crl_entries(ca.issuer_id, since=number))
        assert [entry.serial_number for entry in entries_of(parts)] == [1]

    def test_the_past_of_a_ca(self, registry: Registry, ca: SampleCA) -> None:
        """A CA's certificate is found by the id that it issues under."""
        reservation = ca.reservation(1, "Sub", cert_type=CertType.CA)
        certificate = ca.certificate(reservation)
        past = replace(past_of(ca, 1, "Sub"), certificate=certificate, cert_type=CertType.CA)
        registry.record_past([past], NOW)
        assert [row.serial_number for row in registry.authorities()] == [1]

    def test_many_in_a_batch(self, registry: Registry, ca: SampleCA) -> None:
        """More than a statement takes."""
        past = [
            past_of(ca, serial, f"name-{serial}", COMPROMISED, is_known=False)
            for serial in range(1, 1202)
        ]
        assert registry.record_past(past, NOW) == 1201
        assert sum(1 for _ in registry.revoked(ca.issuer_id)) == 1201
        assert registry.get_by_serial(1201) is not None
