"""Adapters with one fault each, under the contract that has to find it.

Not collected by itself: `test_the_kit.py` runs each class and expects a failure.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import pytest
from cryptography import x509

from tiny_ca import MemoryRegistry, MemoryStorage
from tiny_ca.domain.crl import COMPLETE, CRLPart, CRLScope, Shard
from tiny_ca.domain.errors import NotOnHold, RegistryError
from tiny_ca.domain.records import (
    CertificateRecord,
    CRLEntry,
    CRLStamp,
    Location,
    PublishingLease,
    Reservation,
)
from tiny_ca.domain.revocation import CRLReason, owed_by_crl
from tiny_ca.ports.storage import Artefacts
from tiny_ca.testing import RegistryContract, StorageContract
from tiny_ca.testing.samples import entries_of


class ForgetsACommit(MemoryRegistry):
    def commit(self, signed: Any, at: datetime, within: object = None) -> None:
        pass


class ReadsAnErrorAsNone(MemoryRegistry):
    def get_by_serial(self, serial: int) -> CertificateRecord | None:
        try:
            return super().get_by_serial(serial)
        except RegistryError:
            return None


class AllowsADuplicateClaim(MemoryRegistry):
    def reserve(self, reservations: Sequence[Reservation]) -> None:
        self._claims.clear()
        super().reserve(reservations)


class LosesTheOrder(MemoryRegistry):
    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        return reversed(list(super().pending(created_before)))


class Unrevokes(MemoryRegistry):
    def release(self, serial_number: int, at: datetime) -> bool:
        try:
            return super().release(serial_number, at)
        except NotOnHold:
            return True


class RevokesAgain(MemoryRegistry):
    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        invalidity_date: datetime | None = None,
    ) -> bool:
        record = self.get_by_serial(serial_number)
        if record is not None and record.revocation is not None:
            super().revoke(serial_number, CRLReason.CERTIFICATE_HOLD, at)
            return False
        return super().revoke(serial_number, reason, at)


class RepeatsACRLNumber(MemoryRegistry):
    def next_crl_number(self, issuer_id: str) -> int:
        return min(super().next_crl_number(issuer_id), 3)


class SharesALease(MemoryRegistry):
    def begin_publishing(self, lease: PublishingLease, at: datetime) -> bool:
        super().begin_publishing(lease, at)
        return True


class PublishesBackwards(MemoryRegistry):
    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> bool:
        swap()
        return super().publish_crl(issuer_id, stamp, lambda: None, scope)


class ListsOtherIssuers(MemoryRegistry):
    def revoked(self, issuer_id: str) -> Iterator[CRLEntry]:
        for known in {record.issuer_id for record in self._rows.values()}:
            yield from super().revoked(known)


class ListsTheWholeForAShard(MemoryRegistry):
    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        return super().crl_entries(issuer_id, None, since)


class ForgetsReleases(MemoryRegistry):
    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        for part in super().crl_entries(issuer_id, shard, since):
            if since is None or entries_of([part])[0].revocation_reason.value[:1] != "r":
                yield part


class HasOneScope(MemoryRegistry):
    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> bool:
        return super().publish_crl(issuer_id, stamp, swap)


class RepeatsTheLastOfAPage(MemoryRegistry):
    def page(self, wanted: Any, at: datetime, limit: int, before: Any = None, offset: int = 0):
        return super().page(wanted, at, limit, before and before + 1, offset)


class TrustsTheStoredStatus(MemoryRegistry):
    def _matching(self, wanted: Any, at: datetime) -> list[CertificateRecord]:
        found = super()._matching(replace(wanted, status=None), at)
        return [row for row in found if wanted.status in (None, row.status)]


class MarksTheLastSecond(MemoryRegistry):
    def expire(self, at: datetime, limit: int) -> int:
        return super().expire(at + timedelta(seconds=1), limit)


class RevokesInADryRun(MemoryRegistry):
    def revoke_many(self, *args: Any, dry_run: bool = False) -> Any:
        return super().revoke_many(*args)


class DropsWhatACRLOwes(MemoryRegistry):
    def _last_this_update(self, issuer_id: str) -> datetime | None:
        return datetime.max.replace(tzinfo=UTC)

    def revoked(self, issuer_id: str) -> Iterator[CRLEntry]:
        last = super()._last_this_update(issuer_id)
        rows = [row for row in self._rows.values() if row.issuer_id == issuer_id]
        for row in rows:
            held = row.revocation
            if held is not None and owed_by_crl(held, row.not_after, last):
                yield CRLEntry(row.serial_number, held.revocation_date, held.reason)


class ForgetsAFolder(MemoryRegistry):
    def delete(self, serial_number: int, at: datetime, location: Location | None = None) -> bool:
        return super().delete(serial_number, at)


class DeletesAnothersFolder(MemoryRegistry):
    def deleted(self) -> Iterator[Location]:
        return iter(list(self._deleted))


class FreesASerialNumber(MemoryRegistry):
    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        is_closed = super().abandon(issuer_id, serial_number)
        if is_closed:
            del self._rows[issuer_id, serial_number]
        return is_closed


class ForgetsWhatWasRevokedElsewhere(MemoryRegistry):
    def record_past(self, past: Any, at: datetime, crl_numbers: Any = None) -> int:
        return super().record_past([replace(one, revocation=None) for one in past], at, crl_numbers)


class RecordsHalfOfAHistory(MemoryRegistry):
    def record_past(self, past: Any, at: datetime, crl_numbers: Any = None) -> int:
        record = super().record_past
        return record([], at, crl_numbers) + sum(record([one], at) for one in past)


class StartsCRLNumbersAnew(MemoryRegistry):
    def record_past(self, past: Any, at: datetime, crl_numbers: Any = None) -> int:
        return super().record_past(past, at)


class ShowsWhatIsStaged(MemoryStorage):
    def stage(self, location: Location, artefacts: Artefacts, *, replaces: bool = False) -> None:
        super().stage(location, artefacts, replaces=replaces)
        super().publish(location)


class KeepsWhatIsDiscarded(MemoryStorage):
    def discard(self, uuid: str) -> None:
        pass


class ForgetsTheFolder(MemoryStorage):
    def find_folder(self, uuid: str) -> str | None:
        return None


class SwapsTooEarly(MemoryStorage):
    def stage_crl(self, write: Callable[[BinaryIO], object], file_name: str) -> Any:
        staged = super().stage_crl(write, file_name)
        staged.swap()
        return staged


class RegistryUnderTest(RegistryContract):
    kind: type[MemoryRegistry]

    @pytest.fixture
    def registry(self) -> MemoryRegistry:
        return self.kind()


class StorageUnderTest(StorageContract):
    kind: type[MemoryStorage]

    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return self.kind()

    def crl_at(self, storage: Any, path: Any) -> x509.CertificateRevocationList | None:
        data = storage.crls.get(path.stem)
        return None if data is None else x509.load_der_x509_crl(data)


FAULTY = (*MemoryRegistry.__subclasses__(), *MemoryStorage.__subclasses__())


def _under_test(kind: type) -> type:
    contract = RegistryUnderTest if issubclass(kind, MemoryRegistry) else StorageUnderTest
    return type(f"Test{kind.__name__}", (contract,), {"kind": kind})


for _kind in (MemoryRegistry, MemoryStorage, *FAULTY):
    globals()[f"Test{_kind.__name__}"] = _under_test(_kind)
