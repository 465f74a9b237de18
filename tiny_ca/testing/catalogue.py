"""What a registry promises of lists, of what ends, and of many rows at once."""

# ruff: noqa: S101

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from tiny_ca.domain.catalogue import CertificateFilter, RevokedBatch
from tiny_ca.domain.errors import InvalidRevocationReason, NotUniqueCertOwner, RegistryError
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once

__all__ = ["CatalogueContract"]

LAST_MOMENT = timedelta(microseconds=999_999)
HOLD = CRLReason.CERTIFICATE_HOLD
EVERYTHING = CertificateFilter()


def serials(records: Iterable[CertificateRecord]) -> list[int]:
    """Give the records' serial numbers."""
    return [record.serial_number for record in records]


def of(*serial_numbers: int) -> CertificateFilter:
    """Mean these serial numbers."""
    return CertificateFilter(serial_numbers=serial_numbers)


class CatalogueContract:
    """Many rows at once."""

    def life(self, registry: Registry, ca: SampleCA) -> None:
        """Make a row of each kind: 1 valid, 2 over, 3 revoked, 4 pending, 5 abandoned, 6 marked."""
        ca.issue(registry, 1, "valid")
        ca.issue(registry, 2, "over", not_after=NOW)
        ca.issue(registry, 3, "revoked", not_after=NOW)
        registry.revoke(3, CRLReason.SUPERSEDED, NOW)
        registry.reserve([ca.reservation(4, "pending", not_after=NOW)])
        registry.reserve([ca.reservation(5, "abandoned")])
        registry.abandon(ca.issuer_id, 5)
        ca.issue(registry, 6, "marked", not_after=NOW - HOUR / 2)
        registry.expire(NOW, 10)

    def test_a_page_is_newest_first(self, registry: Registry, ca: SampleCA) -> None:
        """By the order of recording, and no other."""
        for serial in (3, 1, 2):
            ca.issue(registry, serial, f"name-{serial}", created_at=NOW - serial * HOUR)
        found = registry.page(EVERYTHING, NOW, 10)
        assert serials(found) == [2, 1, 3]
        assert found == [registry.get_by_serial(serial) for serial in (2, 1, 3)]
        positions = [record.position or 0 for record in found]
        assert min(positions) > 0
        assert positions == sorted(positions, reverse=True)
        assert serials(registry.page(EVERYTHING, NOW, 2, offset=1)) == [1, 3]
        assert registry.page(EVERYTHING, NOW, 0) == registry.page(EVERYTHING, NOW, 5, None, 3) == []

    def test_pages_follow_each_other(self, registry: Registry, ca: SampleCA) -> None:
        """Each row once, though rows come and go between the pages."""
        for serial in range(1, 8):
            ca.issue(registry, serial, f"name-{serial}", not_after=NOW)
        first = registry.page(EVERYTHING, NOW, 3)
        ca.issue(registry, 8, "new")
        registry.delete(first[-1].serial_number, NOW + HOUR)
        second = registry.page(EVERYTHING, NOW, 3, first[-1].position)
        third = registry.page(EVERYTHING, NOW, 3, second[-1].position)
        assert [serials(page) for page in (first, second, third)] == [[7, 6, 5], [4, 3, 2], [1]]
        assert registry.page(EVERYTHING, NOW, 3, third[-1].position) == []

    @pytest.mark.parametrize(
        ("status", "meant", "now"),
        [
            (CertificateStatus.VALID, [2, 1], NOW + LAST_MOMENT),
            (CertificateStatus.VALID, [1], NOW + timedelta(seconds=1)),
            (CertificateStatus.EXPIRED, [6], NOW + LAST_MOMENT),
            (CertificateStatus.EXPIRED, [6, 2], NOW + timedelta(seconds=1)),
            (CertificateStatus.EXPIRED, [6, 2, 1], NOW + 30 * HOUR),
            (CertificateStatus.REVOKED, [3], NOW + HOUR),
            (CertificateStatus.PENDING, [4], NOW + HOUR),
            (CertificateStatus.ABANDONED, [5], NOW + HOUR),
        ],
    )
    def test_a_status_is_meant_now(
        self,
        registry: Registry,
        ca: SampleCA,
        status: CertificateStatus,
        meant: list[int],
        now: object,
    ) -> None:
        """Whether or not what is over was marked so, and in pages as in one."""
        assert isinstance(now, type(NOW))
        self.life(registry, ca)
        wanted = CertificateFilter(status=status)
        found = registry.page(wanted, now, 10)
        assert serials(found) == meant
        paged: list[CertificateRecord] = []
        for _ in range(len(meant) + 1):
            paged += registry.page(wanted, now, 1, paged[-1].position if paged else None)
        assert paged == found
        skipped = [registry.page(wanted, now, 1, offset=n) for n in range(len(meant) + 1)]
        assert [record for page in skipped for record in page] == found

    def test_filters_agree_with_the_domain(self, registry: Registry, ca: SampleCA) -> None:
        """Names by pattern, case and all; periods that end before their last moment."""
        other = SampleCA("Another CA")
        names = ["a.example", "A.example", "a_example", "a%b", "a[b]?", "ab", "é*\\", "a.b.example"]
        for number, name in enumerate(names, 1):
            (ca if number % 3 else other).issue(
                registry,
                number,
                name,
                cert_type=[CertType.DEVICE, CertType.CA][number % 2],
                created_at=NOW + number * HOUR,
                not_after=NOW + (20 + number) * HOUR,
                uuid=f"uuid-{number % 4}",
            )
        records = registry.page(EVERYTHING, NOW, 100)
        patterns = [
            "a*",
            "*example",
            "a?*",
            "a_*",
            "a%*",
            "a[*",
            "*\\",
            "*",
            "a*b*",
            "",
            "é*",
            "*.",
            "é[*]*",
            "é[*]\\",
            "[*]*",
            "*[*]*",
            "a[*[*]",
        ]
        filters = [
            *(CertificateFilter(common_name=text) for text in (*patterns, *names)),
            *(CertificateFilter(cert_types=frozenset({one})) for one in CertType),
            CertificateFilter(cert_types=frozenset({CertType.CA, CertType.DEVICE})),
            CertificateFilter(issuer_id=other.issuer_id),
            CertificateFilter(issued_from=NOW + 3 * HOUR, issued_before=NOW + 5 * HOUR),
            CertificateFilter(expires_from=NOW + 23 * HOUR, expires_before=NOW + 25 * HOUR),
            CertificateFilter(uuid="uuid-1"),
            of(1, 5, 99),
            CertificateFilter(common_name="a*", issuer_id=ca.issuer_id, issued_from=NOW + 4 * HOUR),
        ]
        for wanted in filters:
            meant = [record for record in records if wanted.matches(record, NOW)]
            assert registry.page(wanted, NOW, 100) == meant, wanted

    def test_expiring(self, registry: Registry, ca: SampleCA) -> None:
        """Valid ones whose last second is not over, soonest first, both ends included."""
        ends = {1: 3, 2: 1, 3: 2, 4: 2, 5: 0, 6: -1, 7: 5, 8: 2}
        for serial, hours in ends.items():
            ca.issue(registry, serial, f"name-{serial}", not_after=NOW + hours * HOUR)
        registry.revoke(8, CRLReason.SUPERSEDED, NOW)
        now, until = NOW + LAST_MOMENT, NOW + 3 * HOUR
        assert serials(registry.expiring(now, until, 10)) == [5, 2, 3, 4, 1]
        assert serials(registry.expiring(NOW + timedelta(seconds=1), until, 2)) == [2, 3]
        page = registry.expiring(now, until, 3)
        after = page[-1].not_after, page[-1].position or 0
        assert serials(registry.expiring(now, until, 3, after)) == [4, 1]

    def test_expire(self, registry: Registry, ca: SampleCA) -> None:
        """Valid rows that are over are marked, as many as are asked for, and their names free."""
        for serial in (1, 2, 3):
            ca.issue(registry, serial, f"name-{serial}", not_after=NOW)
        ca.issue(registry, 4, "later")
        ca.issue(registry, 5, "revoked", not_after=NOW)
        registry.revoke(5, CRLReason.SUPERSEDED, NOW)
        registry.reserve([ca.reservation(6, "pending", not_after=NOW)])
        assert registry.expire(NOW + LAST_MOMENT, 10) == 0
        now = NOW + timedelta(seconds=1)
        assert [registry.expire(now, 2) for _ in range(3)] == [2, 1, 0]
        found = [registry.get_by_serial(serial) for serial in range(1, 7)]
        statuses = [record and record.status.value for record in found]
        assert statuses == ["expired"] * 3 + ["valid", "revoked", "pending"]
        assert registry.get_by_name("name-1") is None
        with pytest.raises(NotUniqueCertOwner):
            registry.reserve([ca.reservation(7, "pending")])
        registry.reserve([ca.reservation(8, "name-1")])

    def test_revoke_many(self, registry: Registry, ca: SampleCA) -> None:
        """Each row as `revoke` leaves it; a hold becomes final and keeps its date."""
        for serial in (5, 1, 2, 3):
            ca.issue(registry, serial, f"name-{serial}")
        registry.revoke(1, HOLD, NOW)
        registry.revoke(2, CRLReason.SUPERSEDED, NOW)
        later, reason = NOW + HOUR, CRLReason.KEY_COMPROMISE
        wanted = of(1, 2, 3, 4, 5)
        expected = RevokedBatch((5, 1, 3), (2,), None)
        before = registry.page(EVERYTHING, NOW, 10)
        assert registry.revoke_many(wanted, reason, later, 10, dry_run=True) == expected
        assert registry.page(EVERYTHING, NOW, 10) == before
        assert registry.revoke_many(wanted, reason, later, 10) == expected
        rows = [registry.get_by_serial(serial) for serial in (5, 1, 2, 3)]
        held = [row and (row.status.value, row.revocation) for row in rows]
        assert [row and row[1] and (row[1].revocation_date, row[1].reason) for row in held] == [
            (later, reason),
            (NOW, reason),
            (NOW, CRLReason.SUPERSEDED),
            (later, reason),
        ]
        assert {row and row[0] for row in held} == {"revoked"}
        assert sorted(entry.serial_number for entry in registry.revoked(ca.issuer_id)) == [
            1,
            2,
            3,
            5,
        ]
        registry.reserve([ca.reservation(6, "name-3")])
        again = RevokedBatch((), (5, 1, 2, 3), None)
        assert registry.revoke_many(wanted, reason, later + HOUR, 10) == again
        assert registry.revoke_many(of(3), HOLD, later, 10) == RevokedBatch((), (3,), None)

    def test_revoke_many_in_batches(self, registry: Registry, ca: SampleCA) -> None:
        """Oldest first, and each batch says where the next begins."""
        for serial in range(1, 6):
            ca.issue(registry, serial, f"name-{serial}")
        registry.reserve([ca.reservation(6, "name-6")])
        wanted, reason = CertificateFilter(common_name="name-*"), CRLReason.SUPERSEDED
        batches, after = [], 0
        for _ in range(3):
            batch = registry.revoke_many(wanted, reason, NOW, 4, after)
            batches.append(batch.revoked)
            if batch.following is None:
                break
            after = batch.following
        assert batches == [(1, 2, 3, 4), (5, 6)]
        assert registry.revoke_many(of(), reason, NOW, 4) == RevokedBatch((), (), None)

    def test_revoke_many_is_all_or_none(self, registry: Registry, ca: SampleCA) -> None:
        """No reason is no reason, and no serial number means two certificates."""
        other = SampleCA("Another CA")
        ca.issue(registry, 1, "a")
        ca.issue(registry, 2, "b")
        other.issue(registry, 2, "c")
        before = registry.page(EVERYTHING, NOW, 10)
        with pytest.raises(InvalidRevocationReason):
            registry.revoke_many(of(1), CRLReason.REMOVE_FROM_CRL, NOW, 10)
        for limit in (1, 10):
            with pytest.raises(RegistryError):
                registry.revoke_many(of(1, 2), CRLReason.SUPERSEDED, NOW, limit)
        assert registry.page(EVERYTHING, NOW, 10) == before
        ours = replace(of(1, 2), issuer_id=ca.issuer_id)
        assert registry.revoke_many(ours, CRLReason.SUPERSEDED, NOW, 10).revoked == (1, 2)
        assert registry.get_by_name("c") is not None

    def test_threads_do_not_stumble_over_each_other(self, registry: Registry, ca: SampleCA) -> None:
        """Marking and revoking beside issuing: every row ends as one of them left it."""
        batch = [ca.reservation(n, f"name-{n}", not_after=NOW) for n in range(1, 41)]
        registry.reserve(batch)
        registry.commit([(one, ca.certificate(one)) for one in batch], NOW)

        def work(thread: int) -> object:
            if thread < 2:
                return sum(iter(lambda: registry.expire(NOW + HOUR, 3), 0))
            if thread < 4:
                wanted = of(*range(1, 41, 2))
                return registry.revoke_many(wanted, CRLReason.SUPERSEDED, NOW + HOUR, 50)
            issued = [ca.reservation(100 * thread + n, f"new-{thread}-{n}") for n in range(5)]
            for one in issued:
                registry.reserve([one])
                ca.commit(registry, one)
            return len(issued)

        outcomes = at_once(6, work)
        assert not [one for one in outcomes if isinstance(one, Exception)]
        registry.expire(NOW + HOUR, 100)
        statuses = [row.status.value for row in registry.page(EVERYTHING, NOW, 100)]
        assert statuses == ["valid"] * 10 + ["expired", "revoked"] * 20
