"""The part of `MemoryRegistry` that answers OCSP."""

from abc import ABC
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import RLock

from tiny_ca.domain.ocsp import CertState, KeptResponse, KeptResponses
from tiny_ca.domain.records import CertificateRecord, CertificateStatus

__all__ = ["MemoryResponses"]

_NEVER = datetime.max.replace(tzinfo=UTC)
_ANSWERED = (CertificateStatus.VALID, CertificateStatus.REVOKED)


class MemoryResponses(ABC):
    """`ports.ocsp.ResponseStore`, over rows that the registry has."""

    _lock: RLock
    _rows: dict[tuple[str, int], CertificateRecord]
    _responses: dict[tuple[str, int], dict[str, KeptResponse]]

    def cert_state(
        self, issuer_id: str, serial_number: int, digest: str | None = None
    ) -> tuple[CertState | None, KeptResponse | None]:
        """Give a certificate's state, and the response that tells of it, if there is one."""
        with self._lock:
            row = self._rows.get((issuer_id, serial_number))
            kept = self._responses.get((issuer_id, serial_number), {}).get(digest or "")
        if row is None:
            return None, None
        state = _state_of(row)
        return state, kept if kept is not None and kept.state == state else None

    def cert_state_at_once(
        self, issuer_id: str, serial_number: int, digest: str
    ) -> tuple[CertState | None, KeptResponse | None] | None:
        """Give what `cert_state` gives, unless another thread has the lock."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self.cert_state(issuer_id, serial_number, digest)
        finally:
            self._lock.release()

    def states_to_sign(
        self,
        issuer_id: str,
        digest: str,
        at: datetime,
        signed_before: datetime,
        limit: int,
        after: int = 0,
    ) -> tuple[list[CertState], int | None]:
        """Give the states that no response of some age tells of, and where to go on."""
        with self._lock:
            rows = sorted(
                (row.position or 0, row)
                for row in self._rows.values()
                if row.issuer_id == issuer_id
                and row.status in _ANSWERED
                and row.not_after >= at
                and (row.position or 0) > after
            )
        states, position = [], 0
        for position, row in rows:
            state, kept = self.cert_state(issuer_id, row.serial_number, digest)
            if state is not None and (kept is None or kept.this_update < signed_before):
                states.append(state)
            if len(states) == limit:
                return states, position
        return states, None

    def kept_responses(self, issuer_id: str, digest: str, at: datetime) -> KeptResponses:
        """Say how many certificates have a response."""
        with self._lock:
            states, _ = self.states_to_sign(issuer_id, digest, at, _NEVER, len(self._rows) + 1)
            found = [self.cert_state(issuer_id, one.serial_number, digest)[1] for one in states]
        kept = [one for one in found if one is not None and one.next_update > at]
        return KeptResponses(
            len(states),
            len(kept),
            min((one.this_update for one in kept), default=None),
            min((one.next_update for one in kept), default=None),
        )

    def keep_responses(self, issuer_id: str, digest: str, kept: Sequence[KeptResponse]) -> None:
        """Keep responses, each in place of the one before."""
        with self._lock:
            for one in kept:
                key = issuer_id, one.state.serial_number
                self._responses.setdefault(key, {})[digest] = one


def _state_of(row: CertificateRecord) -> CertState:
    return CertState(
        row.serial_number,
        row.status,
        row.not_after,
        row.revocation_date,
        row.revocation_reason,
    )
