"""The part of `MemoryRegistry` that CRLs are written from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tiny_ca.adapters.outbound.memory.outbox import MemoryOutbox
from tiny_ca.domain import events
from tiny_ca.domain.crl import (
    COMPLETE,
    CRLPart,
    CRLScope,
    Shard,
    encode_crl_entry,
    shard_key_of,
)
from tiny_ca.domain.records import CertificateRecord, CRLEntry, CRLStamp, PublishingLease
from tiny_ca.domain.revocation import CRLReason, Revocation, owed_by_crl

__all__ = ["MemoryCRLs"]

_Key = tuple[str, int]


@dataclass(slots=True)
class _IssuerState:
    drawn: int = 0
    published: dict[CRLScope, CRLStamp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Listed:
    """What CRLs say of a certificate, since the CRL of a number was drawn."""

    crl_number: int
    entry: CRLEntry


class MemoryCRLs(MemoryOutbox):
    """Its methods, over rows that the registry has."""

    def __init__(self) -> None:
        super().__init__()
        self._issuers: dict[str, _IssuerState] = {}
        self._listed: dict[_Key, _Listed] = {}
        """In the order of the last change."""
        self._deleted_revoked: dict[_Key, int] = {}
        """Of each, the CRL number that was drawn last by then."""
        self._files_owner: str | None = None
        self._leases: dict[tuple[str, str], PublishingLease] = {}

    def _state(self, issuer_id: str) -> _IssuerState:
        return self._issuers.setdefault(issuer_id, _IssuerState())

    def _list_revocation(
        self, row: CertificateRecord, revocation: Revocation, invalidity_date: datetime | None
    ) -> None:
        """Keep what CRLs say from now on; what was said of a date stays."""
        listed = self._listed.get((row.issuer_id, row.serial_number))
        if invalidity_date is None and listed is not None:
            invalidity_date = listed.entry.invalidity_date
        date, reason = revocation.revocation_date, revocation.reason
        self._list(row, CRLEntry(row.serial_number, date, reason, invalidity_date))

    def _list_release(self, row: CertificateRecord, at: datetime) -> None:
        self._list(row, CRLEntry(row.serial_number, at, CRLReason.REMOVE_FROM_CRL))

    def _list(self, row: CertificateRecord, entry: CRLEntry) -> None:
        key = row.issuer_id, row.serial_number
        self._listed.pop(key, None)
        self._listed[key] = _Listed(self._state(row.issuer_id).drawn, entry)

    def _list_all(self) -> None:
        """Keep what follows from the rows, after they were restored."""
        for row in self._rows.values():
            if row.revocation is not None:
                self._list_revocation(row, row.revocation, None)

    def _forget_revocation(self, row: CertificateRecord) -> None:
        """Say nothing of a row that is deleted, and note why."""
        key = row.issuer_id, row.serial_number
        self._listed.pop(key, None)
        if row.revocation is not None:
            self._deleted_revoked[key] = self._state(row.issuer_id).drawn

    def deleted_serials(self, issuer_id: str, serials: Sequence[int]) -> set[int]:
        """Give which revoked certificates of an issuer were deleted since its last CRL."""
        with self._lock:
            return {one for one in serials if (issuer_id, one) in self._deleted_revoked}

    def crl_files_owner(self) -> str | None:
        """Give the issuer whose CRLs have the plain names."""
        return self._files_owner

    def own_crl_files(self, issuer_id: str) -> None:
        """Give the plain names to an issuer, and to no other any more."""
        with self._lock:
            self._state(issuer_id)
            self._files_owner = issuer_id

    def revoked(self, issuer_id: str) -> Iterator[CRLEntry]:
        """Give what the issuer's next CRL owes."""
        yield from self._entries(issuer_id, None, None)

    def _entries(self, issuer_id: str, shard: Shard | None, since: int | None) -> list[CRLEntry]:
        with self._lock:
            last = self.last_crl(issuer_id, CRLScope(shard))
            found = []
            for key, listed in self._listed.items():
                row = self._rows[key]
                if row.issuer_id != issuer_id or (
                    shard is not None and shard_key_of(row.serial_number) not in shard.keys
                ):
                    continue
                if listed.crl_number >= since if since is not None else _is_owed(row, last):
                    found.append(listed.entry)
            return found

    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        """Give the encoded entries of the issuer's next CRL."""
        entries = [encode_crl_entry(one) for one in self._entries(issuer_id, shard, since)]
        if entries:
            yield CRLPart(len(entries), b"".join(entries))

    def last_crl(self, issuer_id: str, scope: CRLScope = COMPLETE) -> CRLStamp | None:
        """Give the published CRL of a scope, `None` before the first."""
        with self._lock:
            return self._issuers.get(issuer_id, _IssuerState()).published.get(scope)

    def _last_this_update(self, issuer_id: str) -> datetime | None:
        """Give when the oldest of the issuer's CRLs, of any shard, was issued."""
        published = self._issuers.get(issuer_id, _IssuerState()).published
        complete = (stamp.this_update for scope, stamp in published.items() if not scope.is_delta)
        return min(complete, default=None)

    def begin_publishing(self, lease: PublishingLease, at: datetime) -> bool:
        """Take or prolong a lease, unless another holder has it."""
        with self._lock:
            held = self._leases.get((lease.issuer_id, lease.what))
            if held is not None and held.holder != lease.holder and held.until > at:
                return False
            self._leases[lease.issuer_id, lease.what] = lease
            return True

    def end_publishing(self, lease: PublishingLease) -> None:
        """Give a lease up, unless another holder has it."""
        with self._lock:
            held = self._leases.get((lease.issuer_id, lease.what))
            if held is not None and held.holder == lease.holder:
                del self._leases[lease.issuer_id, lease.what]

    def next_crl_number(self, issuer_id: str) -> int:
        """Draw a CRL number."""
        with self._lock:
            state = self._state(issuer_id)
            state.drawn += 1
            return state.drawn

    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> bool:
        """Call *swap* and record *stamp*, unless a higher number was published."""
        with self._lock:
            state = self._state(issuer_id)
            last = state.published.get(scope)
            if last is not None and last.number >= stamp.number:
                return False
            swap()
            state.published[scope] = stamp
            oldest = min(
                (one.number for of, one in state.published.items() if not of.is_delta), default=0
            )
            self._deleted_revoked = {
                key: drawn
                for key, drawn in self._deleted_revoked.items()
                if key[0] != issuer_id or drawn >= oldest
            }
            self._tell([events.crl_published(issuer_id, stamp)])
            return True


def _is_owed(row: CertificateRecord, last: CRLStamp | None) -> bool:
    if row.revocation is None:
        return False
    this_update = None if last is None else last.this_update
    return owed_by_crl(row.revocation, row.not_after, this_update)
