"""What an outbox promises to those who deliver."""

# ruff: noqa: S101

from datetime import datetime

import pytest

from tiny_ca.domain.errors import UnknownSubscriber
from tiny_ca.domain.events import Event
from tiny_ca.domain.records import CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.outbox import Lease
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once
from tiny_ca.testing.told_events import DAY, Telling, told, waiting

__all__ = ["DeliveryContract", "SubscriberContract", "lease"]


def lease(holder: str = "me", name: str = "one", until: datetime = NOW + HOUR) -> Lease:
    """Describe a lease."""
    return Lease(name, holder, until)


class SubscriberContract:
    """Who is told, and who may deliver."""

    def test_each_subscriber_has_its_own(self, registry: Telling, ca: SampleCA) -> None:
        """From when it subscribed, until it leaves; what the others do is nothing to it."""
        ca.issue(registry, 1, "a")
        assert registry.subscribe("one") is True
        ca.issue(registry, 2, "b")
        assert registry.subscribe("two") is True
        assert registry.subscribe("one") is False
        ca.issue(registry, 3, "c")
        assert [serial for _, serial in told(registry)] == [2, 3]
        assert [serial for _, serial in told(registry, "two")] == [3]
        for event in waiting(registry):
            registry.take_lease(lease(), NOW)
            assert registry.acknowledge(lease(), event.id)
        assert told(registry) == []
        assert [serial for _, serial in told(registry, "two")] == [3]
        assert registry.unsubscribe("two") is True
        assert registry.unsubscribe("two") is False
        registry.subscribe("two")
        assert told(registry, "two") == []

    def test_ids_are_not_used_again(self, registry: Telling, ca: SampleCA) -> None:
        """Even when nothing waits any more."""
        registry.subscribe("one")
        registry.take_lease(lease(), NOW)
        seen: list[int] = []
        for serial in (1, 2, 3):
            ca.issue(registry, serial, f"name-{serial}")
            seen += [event.id for event in waiting(registry)]
            registry.acknowledge(lease(), seen[-1])
        assert seen == sorted(set(seen))
        registry.unsubscribe("one")
        registry.subscribe("one")
        ca.issue(registry, 4, "d")
        assert waiting(registry)[0].id > seen[-1]

    def test_one_holds_the_lease(self, registry: Telling) -> None:
        """Until it gives it up, or its time is over; prolonging is taking again."""
        registry.subscribe("one")
        assert registry.take_lease(lease("a"), NOW)
        assert not registry.take_lease(lease("b"), NOW)
        assert registry.take_lease(lease("a", until=NOW + 2 * HOUR), NOW)
        assert not registry.take_lease(lease("b"), NOW + HOUR)
        registry.end_lease(lease("b"))
        assert not registry.take_lease(lease("b"), NOW)
        registry.end_lease(lease("a"))
        assert registry.take_lease(lease("b"), NOW)
        assert registry.take_lease(lease("c", until=NOW + 3 * HOUR), NOW + HOUR)

    def test_one_of_many_threads_holds_the_lease(self, registry: Telling) -> None:
        """Eight try at once."""
        subscribed = at_once(8, lambda _: registry.subscribe("one"))
        taken = at_once(8, lambda i: registry.take_lease(lease(f"thread-{i}"), NOW))
        for outcomes in (subscribed, taken):
            assert (outcomes.count(True), outcomes.count(False)) == (1, 7), outcomes

    def test_a_lost_lease_settles_nothing(self, registry: Telling, ca: SampleCA) -> None:
        """What its holder was at is given to the next one."""
        registry.subscribe("one")
        ca.issue(registry, 1, "a")
        [event] = waiting(registry)
        assert not registry.acknowledge(lease("a"), event.id)
        registry.take_lease(lease("a"), NOW)
        registry.take_lease(lease("b"), NOW + HOUR)
        assert not registry.acknowledge(lease("a"), event.id)
        assert not registry.postpone(lease("a"), event.id, NOW + DAY)
        assert waiting(registry) == [event]
        registry.end_lease(lease("b"))
        assert not registry.acknowledge(lease("b"), event.id)

    def test_settling_prolongs_the_lease(self, registry: Telling, ca: SampleCA) -> None:
        """An acknowledgement as well as a failure."""
        registry.subscribe("one")
        for serial in (1, 2):
            ca.issue(registry, serial, f"name-{serial}")
        first, second = waiting(registry)
        registry.take_lease(lease("a"), NOW)
        assert registry.acknowledge(lease("a", until=NOW + 2 * HOUR), first.id)
        assert not registry.take_lease(lease("b"), NOW + HOUR)
        assert registry.postpone(lease("a", until=NOW + 3 * HOUR), second.id, NOW)
        assert not registry.take_lease(lease("b"), NOW + 2 * HOUR)

    def test_who_is_no_subscriber(self, registry: Telling) -> None:
        """Can't have a lease, and nothing waits for it."""
        with pytest.raises(UnknownSubscriber):
            registry.take_lease(lease(), NOW)
        assert waiting(registry) == []
        assert not registry.acknowledge(lease(), 1)
        assert not registry.postpone(lease(), 1, NOW)
        registry.end_lease(lease())


class DeliveryContract:
    """What is given when."""

    def three_of_two(self, registry: Telling, ca: SampleCA) -> list[Event]:
        """Have a certificate issued and revoked, and another one issued in between."""
        registry.subscribe("one")
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "b")
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        registry.take_lease(lease(), NOW)
        return waiting(registry)

    def test_what_is_not_acknowledged_stays(self, registry: Telling, ca: SampleCA) -> None:
        """However often it is given: the process may have died before its handler returned."""
        events = self.three_of_two(registry, ca)
        assert [event.serial_number for event in events] == [1, 2, 1]
        assert waiting(registry) == events
        registry.end_lease(lease())
        registry.take_lease(lease("other"), NOW)
        assert waiting(registry) == events
        assert registry.acknowledge(lease("other"), events[0].id)
        assert waiting(registry) == events[1:]

    def test_pages(self, registry: Telling, ca: SampleCA) -> None:
        """Of so many, from after an id."""
        first, second, third = self.three_of_two(registry, ca)
        registry.acknowledge(lease(), first.id)
        assert [event for event, _ in registry.due_events("one", NOW, 0, 1)] == [second]
        assert [event for event, _ in registry.due_events("one", NOW, second.id, 9)] == [third]
        assert list(registry.due_events("one", NOW, third.id, 9)) == []

    def test_a_failure_holds_its_certificate_back(self, registry: Telling, ca: SampleCA) -> None:
        """Until its time has come; others go on.  Failures are counted."""
        first, second, third = self.three_of_two(registry, ca)
        assert registry.postpone(lease(), first.id, NOW + HOUR)
        assert waiting(registry) == [second]
        assert waiting(registry, now=NOW + HOUR) == [first, second, third]
        assert registry.postpone(lease(), first.id, NOW + 2 * HOUR)
        assert waiting(registry, now=NOW + HOUR) == [second]
        due = registry.due_events("one", NOW + 2 * HOUR, 0, 9)
        assert [failures for _, failures in due] == [2, 0, 0]

    def test_a_later_failure_holds_nothing_earlier_back(
        self, registry: Telling, ca: SampleCA
    ) -> None:
        """An event waits for those before it alone."""
        first, second, third = self.three_of_two(registry, ca)
        registry.postpone(lease(), third.id, NOW + HOUR)
        assert waiting(registry) == [first, second]

    def test_what_was_passed_holds_its_certificate_back(
        self, registry: Telling, ca: SampleCA
    ) -> None:
        """An event that shows up behind the page goes before what follows it."""
        first, second, _ = self.three_of_two(registry, ca)
        assert waiting(registry, after=first.id) == [second]

    def test_crls_have_their_own_order(self, registry: Telling, ca: SampleCA) -> None:
        """For each issuer, beside its certificates."""
        other = SampleCA("Another CA")
        registry.subscribe("one")
        registry.take_lease(lease(), NOW)
        for issuer, number in ((ca, 1), (other, 1), (ca, 2)):
            registry.publish_crl(issuer.issuer_id, CRLStamp(number, NOW, NOW + HOUR), lambda: None)
        ca.issue(registry, 1, "a")
        first, second, _, fourth = waiting(registry)
        registry.postpone(lease(), first.id, NOW + HOUR)
        assert waiting(registry) == [second, fourth]

    def test_certificates_of_two_issuers(self, registry: Telling, ca: SampleCA) -> None:
        """A serial number is one issuer's; another's with the same has an order of its own."""
        other = SampleCA("Another CA")
        registry.subscribe("one")
        registry.take_lease(lease(), NOW)
        ca.issue(registry, 1, "a")
        other.issue(registry, 1, "b")
        first, second = waiting(registry)
        registry.postpone(lease(), first.id, NOW + HOUR)
        assert waiting(registry) == [second]

    def test_threads_keep_the_order(self, registry: Telling, ca: SampleCA) -> None:
        """Each certificate is put on hold, released and revoked beside seven others."""
        registry.subscribe("one")

        def live(index: int) -> None:
            serial = index + 1
            ca.issue(registry, serial, f"name-{serial}")
            registry.revoke(serial, CRLReason.CERTIFICATE_HOLD, NOW)
            registry.release(serial, NOW)
            registry.revoke(serial, CRLReason.SUPERSEDED, NOW)

        assert at_once(8, live) == [None] * 8
        events = waiting(registry)
        assert len(events) == 32
        for serial in range(1, 9):
            kinds = [event.kind.value for event in events if event.serial_number == serial]
            assert kinds == ["issued", "revoked", "released", "revoked"]
