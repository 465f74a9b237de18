"""What a registry promises to threads, and of what it gives in pages."""

# ruff: noqa: S101

import time
from itertools import pairwise
from threading import Lock

from tiny_ca.domain.errors import (
    NotUniqueCertOwner,
    SerialNumberCollision,
    ValidationCertError,
)
from tiny_ca.domain.records import CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once

__all__ = ["ConcurrencyContract"]

MORE_THAN_A_PAGE = 1001


class ConcurrencyContract:
    """Many callers at once, and many rows."""

    def test_one_of_many_threads_gets_a_name(self, registry: Registry, ca: SampleCA) -> None:
        """Sixteen reserve it at once: one does, the others are refused."""
        outcomes = at_once(16, lambda i: registry.reserve([ca.reservation(i + 1, "a")]))
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert {type(error) for error in refused} == {NotUniqueCertOwner}
        assert len(refused) == 15
        assert len(list(registry.pending(NOW + HOUR))) == 1

    def test_one_of_many_threads_gets_a_serial_number(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """Sixteen reserve it at once, under names of their own."""
        outcomes = at_once(16, lambda i: registry.reserve([ca.reservation(1, f"name-{i}")]))
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert {type(error) for error in refused} == {SerialNumberCollision}
        assert len(refused) == 15

    def test_one_of_many_threads_succeeds(self, registry: Registry, ca: SampleCA) -> None:
        """Eight successors of one certificate commit at once: one is valid, the rest pending."""
        ca.issue(registry, 100, "a")
        successors = [ca.reservation(i + 1, "a", predecessor=100) for i in range(8)]
        for successor in successors:
            registry.reserve([successor])
        outcomes = at_once(8, lambda i: ca.commit(registry, successors[i]))
        assert [outcome for outcome in outcomes if outcome is None] == [None]
        assert {type(error) for error in outcomes if error} == {ValidationCertError}
        record = registry.get_by_name("a")
        assert record is not None
        assert outcomes[record.serial_number - 1] is None
        assert len(list(registry.pending(NOW + HOUR))) == 7

    def test_threads_draw_rising_numbers(self, registry: Registry, ca: SampleCA) -> None:
        """Eight draw five CRL numbers each: no two the same, none after a higher one."""
        drawn = at_once(8, lambda _: [registry.next_crl_number(ca.issuer_id) for _ in range(5)])
        each = [numbers for numbers in drawn if not isinstance(numbers, Exception)]
        assert len(each) == 8, drawn
        assert all(one < next_ for numbers in each for one, next_ in pairwise(numbers))
        together = [number for numbers in each for number in numbers]
        assert len(set(together)) == 40
        assert min(together) >= 1
        assert registry.next_crl_number(ca.issuer_id) > max(together)

    def test_threads_publish_one_at_a_time(self, registry: Registry, ca: SampleCA) -> None:
        """What is swapped in only ever goes forward, and the highest number wins."""
        numbers = [registry.next_crl_number(ca.issuer_id) for _ in range(8)]
        inside, swapped = Lock(), []

        def publish(index: int) -> bool:
            number = numbers[index]

            def swap() -> None:
                assert inside.acquire(blocking=False)
                time.sleep(0.01)
                swapped.append(number)
                inside.release()

            return registry.publish_crl(ca.issuer_id, CRLStamp(number, NOW, NOW + HOUR), swap)

        published = at_once(8, publish)
        assert swapped == sorted(swapped)
        assert swapped[-1] == numbers[-1]
        assert published == [number in swapped for number in numbers]

    def test_more_rows_than_a_page(self, registry: Registry, ca: SampleCA) -> None:
        """Each is given once, oldest first, while the caller writes to what was given."""
        batch = [
            ca.reservation(n, f"name-{n}", cert_type=CertType.CA, uuid="shared")
            for n in (5 * n % MORE_THAN_A_PAGE + 1 for n in range(MORE_THAN_A_PAGE))
        ]
        serials = [reservation.serial_number for reservation in batch]
        registry.reserve(batch)
        seen = []
        for record in registry.pending(NOW + HOUR):
            seen.append(record.serial_number)
            if record.serial_number % 250 == 0:
                registry.abandon(ca.issuer_id, record.serial_number)
        assert seen == serials
        batch = [reservation for reservation in batch if reservation.serial_number % 250]
        extra = [ca.reservation(n, f"name-{n}", cert_type=CertType.CA) for n in range(2001, 2006)]
        registry.reserve(extra)
        batch += extra
        serials = [reservation.serial_number for reservation in batch]
        registry.commit([(one, ca.certificate(one)) for one in batch], NOW)
        seen = []
        for record in registry.authorities():
            seen.append(record.serial_number)
            if record.serial_number % 250 == 1:
                registry.revoke(record.serial_number, CRLReason.SUPERSEDED, NOW)
        assert seen == serials
        successors = [
            ca.reservation(5000 + n, f"name-{n}", predecessor=n) for n in serials if n % 250 != 1
        ]
        registry.reserve(successors)
        registry.commit([(one, ca.certificate(one)) for one in successors], NOW)
        listed = [entry.serial_number for entry in registry.revoked(ca.issuer_id)]
        assert sorted(listed) == sorted(serials)
