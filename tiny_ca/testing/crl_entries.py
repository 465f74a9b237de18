"""What a registry promises of the entries that CRLs are written from."""

# ruff: noqa: S101

from datetime import datetime, timedelta

from tiny_ca.domain.crl import COMPLETE, CRLScope, Shard
from tiny_ca.domain.records import CertificateStatus, CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, entries_of

__all__ = ["CRLEntryContract"]

HOLD, REMOVED = CRLReason.CERTIFICATE_HOLD, CRLReason.REMOVE_FROM_CRL
DELTA = CRLScope(is_delta=True)


def listed(
    registry: Registry, ca: SampleCA, shard: Shard | None = None, since: int | None = None
) -> list[CRLEntry]:
    """Give the entries of the next CRL, by serial number."""
    entries = entries_of(registry.crl_entries(ca.issuer_id, shard, since))
    return sorted(entries, key=lambda entry: entry.serial_number)


def publish(
    registry: Registry, ca: SampleCA, scope: CRLScope = COMPLETE, this_update: datetime = NOW
) -> int:
    """Publish a CRL and give its number."""
    number = registry.next_crl_number(ca.issuer_id)
    stamp = CRLStamp(number, this_update, this_update + HOUR)
    assert registry.publish_crl(ca.issuer_id, stamp, lambda: None, scope)
    assert registry.last_crl(ca.issuer_id, scope) == stamp
    return number


class CRLEntryContract:
    """What a CRL is to say, of all certificates or of some, in full or since another one."""

    def test_entries_are_those_of_the_rows(self, registry: Registry, ca: SampleCA) -> None:
        """With reason and, where it is known, since when the key is invalid; encoded."""
        other = SampleCA("Another CA")
        for serial, issuer in ((2**159 - 1, ca), (2, ca), (3, other), (4, ca)):
            issuer.issue(registry, serial, f"name-{serial}")
        registry.revoke(2**159 - 1, CRLReason.UNSPECIFIED, NOW)
        registry.revoke(2, CRLReason.KEY_COMPROMISE, NOW + HOUR, None, NOW - HOUR)
        registry.revoke(3, CRLReason.SUPERSEDED, NOW)
        assert listed(registry, ca) == [
            CRLEntry(2, NOW + HOUR, CRLReason.KEY_COMPROMISE, NOW - HOUR),
            CRLEntry(2**159 - 1, NOW, CRLReason.UNSPECIFIED),
        ]
        assert listed(registry, other) == [CRLEntry(3, NOW, CRLReason.SUPERSEDED)]
        by_serial = {entry.serial_number: entry for entry in registry.revoked(ca.issuer_id)}
        assert sorted(by_serial) == [2, 2**159 - 1]
        assert by_serial[2].invalidity_date == NOW - HOUR

    def test_superseding_is_revoking(self, registry: Registry, ca: SampleCA) -> None:
        """In the transaction of the commit."""
        ca.issue(registry, 1, "a")
        successor = ca.reservation(2, "a", predecessor=1)
        registry.reserve([successor])
        assert listed(registry, ca) == []
        ca.commit(registry, successor, NOW + HOUR)
        assert listed(registry, ca) == [CRLEntry(1, NOW + HOUR, CRLReason.SUPERSEDED)]

    def test_many_entries_come_in_parts(self, registry: Registry, ca: SampleCA) -> None:
        """Each once, whatever is revoked or released meanwhile."""
        serials = range(1, 41)
        registry.reserve([ca.reservation(serial, f"name-{serial}") for serial in serials])
        for serial in serials:
            registry.revoke(serial, HOLD, NOW)
        parts = registry.crl_entries(ca.issuer_id)
        first = next(parts)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW)
        registry.revoke(40, CRLReason.KEY_COMPROMISE, NOW)
        found = [entry.serial_number for entry in entries_of([first, *parts])]
        assert sorted(found) == list(serials)

    def test_an_invalidity_date_stays_with_the_hold(self, registry: Registry, ca: SampleCA) -> None:
        """When it becomes final, unless a better one is known then."""
        for serial in (1, 2):
            ca.issue(registry, serial, f"name-{serial}")
            registry.revoke(serial, HOLD, NOW, None, NOW - HOUR)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW + HOUR)
        registry.revoke(2, CRLReason.KEY_COMPROMISE, NOW + HOUR, None, NOW - 2 * HOUR)
        dates = [entry.invalidity_date for entry in listed(registry, ca)]
        assert dates == [NOW - HOUR, NOW - 2 * HOUR]

    def test_since_a_crl(self, registry: Registry, ca: SampleCA) -> None:
        """What that CRL may lack: revoked, made final, or released (RFC 5280 §5.2.4)."""
        for serial in range(1, 7):
            ca.issue(registry, serial, f"name-{serial}")
        for serial in (1, 2, 3):
            registry.revoke(serial, HOLD, NOW)
        base = publish(registry, ca)
        assert listed(registry, ca, since=base) == []
        registry.revoke(2, CRLReason.KEY_COMPROMISE, NOW + HOUR)
        registry.release(3, NOW + HOUR)
        registry.revoke(4, CRLReason.SUPERSEDED, NOW + HOUR)
        registry.revoke(5, HOLD, NOW + HOUR)
        registry.release(5, NOW + 2 * HOUR)
        assert listed(registry, ca, since=base) == [
            CRLEntry(2, NOW, CRLReason.KEY_COMPROMISE),
            CRLEntry(3, NOW + HOUR, REMOVED),
            CRLEntry(4, NOW + HOUR, CRLReason.SUPERSEDED),
            CRLEntry(5, NOW + 2 * HOUR, REMOVED),
        ]
        publish(registry, ca, DELTA)
        assert [one.serial_number for one in listed(registry, ca, since=base)] == [2, 3, 4, 5]
        assert [one.serial_number for one in listed(registry, ca)] == [1, 2, 4]
        assert listed(registry, ca, since=publish(registry, ca)) == []

    def test_what_a_drawn_crl_lacks_is_a_later_ones(self, registry: Registry, ca: SampleCA) -> None:
        """Drawn before a revocation, published after: the revocation is since that CRL."""
        ca.issue(registry, 1, "a")
        number = registry.next_crl_number(ca.issuer_id)
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        stamp = CRLStamp(number, NOW - HOUR, NOW + HOUR)
        assert registry.publish_crl(ca.issuer_id, stamp, lambda: None)
        assert [one.serial_number for one in listed(registry, ca, since=number)] == [1]

    def test_a_hold_that_comes_back(self, registry: Registry, ca: SampleCA) -> None:
        """Is listed once, as it is now."""
        ca.issue(registry, 1, "a")
        base = publish(registry, ca)
        for hours in (0, 2):
            registry.revoke(1, HOLD, NOW + hours * HOUR)
            assert listed(registry, ca) == [CRLEntry(1, NOW + hours * HOUR, HOLD)]
            assert listed(registry, ca, since=base) == listed(registry, ca)
            registry.release(1, NOW + (hours + 1) * HOUR)
            assert listed(registry, ca) == []
            removed = CRLEntry(1, NOW + (hours + 1) * HOUR, REMOVED)
            assert listed(registry, ca, since=base) == [removed]

    def test_shards(self, registry: Registry, ca: SampleCA) -> None:
        """Of any number of them, each certificate is in one; changes too."""
        serials = [n << 11 | n for n in range(1, 33)]
        registry.reserve([ca.reservation(serial, f"name-{serial}") for serial in serials])
        base = publish(registry, ca)
        for serial in serials:
            registry.revoke(serial, CRLReason.SUPERSEDED, NOW)
        for count in (2, 3, 8, 1024):
            for since in (None, base):
                found = [
                    (one.serial_number, Shard(index, count))
                    for index in range(count if count < 9 else 0)
                    for one in listed(registry, ca, Shard(index, count), since)
                ]
                assert sorted(found, key=str) == sorted(
                    ((serial, Shard.of(serial, count)) for serial in serials if count < 9), key=str
                )

    def test_every_scope_shows_what_expired_once_more(
        self, registry: Registry, ca: SampleCA
    ) -> None:
        """A CRL of a shard owes it until one of that shard was published after its end."""
        ca.issue(registry, 1, "a", not_after=NOW)
        registry.revoke(1, CRLReason.SUPERSEDED, NOW - HOUR)
        shard = Shard.of(1, 2)
        publish(registry, ca, CRLScope(shard), NOW - HOUR)
        publish(registry, ca, this_update=NOW + HOUR)
        assert listed(registry, ca) == []
        assert [one.serial_number for one in listed(registry, ca, shard)] == [1]
        publish(registry, ca, CRLScope(shard), NOW + timedelta(minutes=1))
        assert listed(registry, ca, shard) == []

    def test_scopes_are_published_independently(self, registry: Registry, ca: SampleCA) -> None:
        """Each goes forward by itself, though their numbers are one sequence."""
        low, high = (registry.next_crl_number(ca.issuer_id) for _ in range(2))
        assert registry.last_crl(ca.issuer_id) is None
        for number, scope in ((high, COMPLETE), (low, DELTA), (low, CRLScope(Shard(0, 2)))):
            stamp = CRLStamp(number, NOW, NOW + HOUR)
            assert registry.publish_crl(ca.issuer_id, stamp, lambda: None, scope)
            assert registry.last_crl(ca.issuer_id, scope) == stamp
            assert not registry.publish_crl(ca.issuer_id, stamp, lambda: None, scope)
        assert registry.last_crl(ca.issuer_id, CRLScope(Shard(1, 2))) is None
        assert registry.last_crl(SampleCA("Another CA").issuer_id) is None

    def test_get_many(self, registry: Registry, ca: SampleCA) -> None:
        """The issuer's own, of those that there are."""
        other = SampleCA("Another CA")
        for serial, issuer in ((1, ca), (2, ca), (3, other)):
            issuer.issue(registry, serial, f"name-{serial}")
        registry.revoke(2, HOLD, NOW)
        found = {one.serial_number: one for one in registry.get_many(ca.issuer_id, [1, 2, 3, 4])}
        assert sorted(found) == [1, 2]
        assert found[2].status is CertificateStatus.REVOKED
        assert list(registry.get_many(ca.issuer_id, [])) == []
        assert len(list(registry.get_many(ca.issuer_id, range(1, 2000)))) == 2
