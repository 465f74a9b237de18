"""What a registry promises of many rows at once, repeated requests and joined transactions."""

# ruff: noqa: S101

from dataclasses import replace

import pytest

from tiny_ca.domain.errors import (
    IdempotencyKeyTaken,
    InvalidRequest,
    NotUniqueCertOwner,
    RegistryError,
    ReservationLost,
    SerialNumberCollision,
    ValidationCertError,
)
from tiny_ca.domain.records import CertificateStatus, Reservation, RetryKey
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once, record_of

__all__ = ["BatchContract"]

KEY = RetryKey("key", "5" * 64)


def statuses(registry: Registry, *serials: int) -> list[str | None]:
    """Give the rows' statuses, `None` for no row."""
    records = [registry.get_by_serial(serial) for serial in serials]
    return [None if record is None else record.status.value for record in records]


class BatchContract:
    """All or none."""

    def batch(self, ca: SampleCA) -> list[Reservation]:
        """Describe three rows."""
        return [ca.reservation(serial, f"name-{serial}") for serial in (1, 2, 3)]

    def test_many_at_once(self, registry: Registry, ca: SampleCA) -> None:
        """Each row is as it would be alone."""
        batch = self.batch(ca)
        registry.reserve(batch)
        for reservation in batch:
            expected = record_of(reservation, CertificateStatus.PENDING)
            assert registry.get_by_serial(reservation.serial_number) == expected
        signed = [(reservation, ca.certificate(reservation)) for reservation in batch]
        registry.commit(signed, NOW)
        for reservation, certificate in signed:
            expected = record_of(reservation, CertificateStatus.VALID, certificate)
            assert registry.get_by_serial(reservation.serial_number) == expected
            assert registry.get_by_name(reservation.common_name) == expected

    def test_one_serial_number_is_taken(self, registry: Registry, ca: SampleCA) -> None:
        """Then no row is written, and no name claimed."""
        ca.issue(registry, 3, "a")
        with pytest.raises(SerialNumberCollision):
            registry.reserve(self.batch(ca))
        assert statuses(registry, 1, 2) == [None, None]
        registry.reserve([ca.reservation(4, "name-1")])

    def test_one_name_is_taken(self, registry: Registry, ca: SampleCA) -> None:
        """By another row, or by one of the same batch: it is named, and no row is written."""
        ca.issue(registry, 4, "name-3")
        batch = self.batch(ca)
        with pytest.raises(NotUniqueCertOwner) as caught:
            registry.reserve(batch)
        assert caught.value.common_name == "name-3"
        with pytest.raises(NotUniqueCertOwner) as caught:
            registry.reserve([*batch[:2], replace(batch[2], common_name="name-1")])
        assert caught.value.common_name == "name-1"
        assert statuses(registry, 1, 2, 3) == [None, None, None]

    def test_one_reservation_is_lost(self, registry: Registry, ca: SampleCA) -> None:
        """Then none is committed, and no predecessor superseded."""
        ca.issue(registry, 4, "old")
        batch = [*self.batch(ca), ca.reservation(5, "old", predecessor=4)]
        registry.reserve(batch)
        registry.abandon(ca.issuer_id, 2)
        with pytest.raises(ReservationLost):
            registry.commit([(one, ca.certificate(one)) for one in batch], NOW)
        after = statuses(registry, 1, 2, 3, 4, 5)
        assert after == ["pending", "abandoned", "pending", "valid", "pending"]

    def test_one_predecessor_is_revoked(self, registry: Registry, ca: SampleCA) -> None:
        """Then none is committed, and no other predecessor superseded."""
        ca.issue(registry, 8, "a")
        ca.issue(registry, 9, "b")
        batch = [ca.reservation(1, "a", predecessor=8), ca.reservation(2, "b", predecessor=9)]
        registry.reserve(batch)
        registry.revoke(9, CRLReason.KEY_COMPROMISE, NOW)
        with pytest.raises(ValidationCertError):
            registry.commit([(one, ca.certificate(one)) for one in batch], NOW)
        assert statuses(registry, 1, 2, 8) == ["pending", "pending", "valid"]

    def test_many_predecessors(self, registry: Registry, ca: SampleCA) -> None:
        """Each passes its name to its successor."""
        for serial in (1, 2, 3):
            ca.issue(registry, serial, f"name-{serial}")
        batch = [ca.reservation(n + 10, f"name-{n}", predecessor=n) for n in (1, 2, 3)]
        registry.reserve(batch)
        registry.commit([(one, ca.certificate(one)) for one in batch], NOW)
        assert statuses(registry, 1, 2, 3) == ["revoked"] * 3
        for reservation in batch:
            found = registry.get_by_name(reservation.common_name)
            assert found is not None
            assert found.serial_number == reservation.serial_number

    def test_a_retry_key_finds_its_row(self, registry: Registry, ca: SampleCA) -> None:
        """With the hash of the request; whatever becomes of it but being abandoned."""
        reservation = replace(ca.reservation(1, "a"), retry_key=KEY)
        assert registry.get_by_idempotency_key("key") is None
        registry.reserve([reservation])
        found = registry.get_by_idempotency_key("key")
        assert found == record_of(reservation, CertificateStatus.PENDING)
        assert found.request_hash == KEY.request_hash
        ca.commit(registry, reservation)
        assert registry.get_by_idempotency_key("key") == registry.get_by_serial(1)
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        assert registry.get_by_idempotency_key("key") == registry.get_by_serial(1)
        assert registry.get_by_idempotency_key("another") is None

    def test_a_retry_key_is_used_once(self, registry: Registry, ca: SampleCA) -> None:
        """`IdempotencyKeyTaken`, and nothing is written, of the other rows either."""
        registry.reserve([replace(ca.reservation(1, "a"), retry_key=KEY)])
        again = replace(ca.reservation(2, "b"), retry_key=KEY)
        with pytest.raises(IdempotencyKeyTaken):
            registry.reserve([ca.reservation(3, "c"), again])
        assert statuses(registry, 2, 3) == [None, None]
        ca.issue(registry, 3, "b")

    @pytest.mark.parametrize("is_held", [False, True])
    def test_an_abandoned_row_gives_its_retry_key_up(
        self, registry: Registry, ca: SampleCA, is_held: bool
    ) -> None:
        """It finds nothing, and another row can have it."""
        registry.reserve([replace(ca.reservation(1, "a"), retry_key=KEY)])
        if is_held:
            registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
            registry.release(1, NOW)
        else:
            registry.abandon(ca.issuer_id, 1)
        assert statuses(registry, 1) == ["abandoned"]
        assert registry.get_by_idempotency_key("key") is None
        registry.reserve([replace(ca.reservation(2, "a"), retry_key=KEY)])
        assert registry.get_by_idempotency_key("key") == registry.get_by_serial(2)

    def test_one_of_many_threads_gets_a_retry_key(self, registry: Registry, ca: SampleCA) -> None:
        """Sixteen send the same request at once: fifteen find that it is there already."""
        batch = [replace(ca.reservation(n + 1, f"name-{n}"), retry_key=KEY) for n in range(16)]
        outcomes = at_once(16, lambda i: registry.reserve([batch[i]]))
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert {type(error) for error in refused} == {IdempotencyKeyTaken}
        assert len(refused) == 15
        assert len(list(registry.pending(NOW + HOUR))) == 1

    def test_a_transaction_of_no_known_kind(self, registry: Registry, ca: SampleCA) -> None:
        """`InvalidRequest`, and nothing is written."""
        ca.issue(registry, 1, "a")
        successor = ca.reservation(2, "a", predecessor=1)
        registry.reserve([successor])
        with pytest.raises(InvalidRequest):
            registry.commit([(successor, ca.certificate(successor))], NOW, object())
        with pytest.raises(InvalidRequest):
            registry.revoke(1, CRLReason.SUPERSEDED, NOW, object())
        assert statuses(registry, 1, 2) == ["valid", "pending"]

    def test_two_issuers_in_one_batch(self, registry: Registry, ca: SampleCA) -> None:
        """Each serial number is its issuer's."""
        other = SampleCA("Another CA")
        registry.reserve([ca.reservation(1, "a"), other.reservation(1, "b")])
        with pytest.raises(RegistryError):
            registry.get_by_serial(1)
        with pytest.raises(SerialNumberCollision):
            registry.reserve([ca.reservation(2, "c"), other.reservation(1, "d")])
        with pytest.raises(SerialNumberCollision):
            registry.reserve([ca.reservation(3, "e"), ca.reservation(3, "f")])
        assert statuses(registry, 2, 3) == [None, None]
