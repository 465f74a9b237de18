"""What a registry promises of CRL numbers, and of which CRL is published."""

# ruff: noqa: S101

from itertools import pairwise
from typing import NoReturn

import pytest

from tiny_ca.domain.records import CRLStamp, PublishingLease
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once

__all__ = ["CRLNumberContract"]


class CRLNumberContract:
    """One CRL after the other."""

    def test_numbers_rise(self, registry: Registry, ca: SampleCA) -> None:
        """From 1 or more, for an issuer that the registry has never heard of, too."""
        numbers = [registry.next_crl_number(ca.issuer_id) for _ in range(5)]
        assert numbers[0] >= 1
        assert all(number < following for number, following in pairwise(numbers))

    def test_publishing_goes_forward(self, registry: Registry, ca: SampleCA) -> None:
        """A number is published once, and none after a higher one: false, nothing swapped."""
        numbers = [registry.next_crl_number(ca.issuer_id) for _ in range(3)]
        swapped: list[int] = []

        def publish(number: int) -> bool:
            stamp = CRLStamp(number, NOW, NOW + HOUR)
            return registry.publish_crl(ca.issuer_id, stamp, lambda: swapped.append(number))

        assert publish(numbers[1]) is True
        assert publish(numbers[0]) is False
        assert publish(numbers[1]) is False
        assert publish(numbers[2]) is True
        assert swapped == numbers[1:]

    def test_issuers_publish_independently(self, registry: Registry, ca: SampleCA) -> None:
        """One issuer's numbers say nothing of another's."""
        other = SampleCA("Another CA")
        assert registry.publish_crl(ca.issuer_id, CRLStamp(9, NOW, NOW + HOUR), lambda: None)
        assert registry.publish_crl(other.issuer_id, CRLStamp(1, NOW, NOW + HOUR), lambda: None)

    def test_one_holds_a_lease(self, registry: Registry, ca: SampleCA) -> None:
        """Up to its end, or until it is given up; of each thing and issuer there is another."""

        def lease(
            holder: str, hours: int = 1, what: str = "crl", issuer_id: str = ca.issuer_id
        ) -> PublishingLease:
            return PublishingLease(issuer_id, what, holder, NOW + hours * HOUR)

        assert registry.begin_publishing(lease("a"), NOW)
        assert not registry.begin_publishing(lease("b"), NOW)
        assert registry.begin_publishing(lease("b", what="ocsp-sha1"), NOW)
        assert registry.begin_publishing(lease("b", issuer_id="0" * 32), NOW)
        assert registry.begin_publishing(lease("a", 2), NOW)
        assert not registry.begin_publishing(lease("b"), NOW + HOUR)
        registry.end_publishing(lease("b"))
        assert not registry.begin_publishing(lease("b"), NOW)
        assert registry.begin_publishing(lease("b", 4), NOW + 2 * HOUR)
        registry.end_publishing(lease("b"))
        assert registry.begin_publishing(lease("c"), NOW)

    def test_one_of_many_takes_a_lease(self, registry: Registry, ca: SampleCA) -> None:
        """However many try at once."""

        def begin(number: int) -> bool:
            lease = PublishingLease(ca.issuer_id, "crl", f"thread-{number}", NOW + HOUR)
            return registry.begin_publishing(lease, NOW)

        assert sorted(map(str, at_once(8, begin))) == ["False"] * 7 + ["True"]

    def test_what_swap_raises_is_raised(self, registry: Registry, ca: SampleCA) -> None:
        """And nothing is recorded: the same number can be published, and a CRL owes as before."""
        ca.issue(registry, 1, "a", not_after=NOW)
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        stamp = CRLStamp(registry.next_crl_number(ca.issuer_id), NOW + HOUR, NOW + 2 * HOUR)
        error = OSError("the disk is full")

        def swap() -> NoReturn:
            raise error

        with pytest.raises(OSError, match="the disk is full") as caught:
            registry.publish_crl(ca.issuer_id, stamp, swap)
        assert caught.value is error
        assert [entry.serial_number for entry in registry.revoked(ca.issuer_id)] == [1]
        assert registry.publish_crl(ca.issuer_id, stamp, lambda: None) is True
        assert list(registry.revoked(ca.issuer_id)) == []
