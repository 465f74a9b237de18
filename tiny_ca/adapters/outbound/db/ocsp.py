"""The part of the registry that answers OCSP: states of rows, and responses kept beside them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, and_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tiny_ca.adapters.outbound.db.prepared import Prepared, Values
from tiny_ca.adapters.outbound.db.schema import certificates, ocsp_responses
from tiny_ca.domain.ocsp import CertState, KeptResponse, KeptResponses
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason

__all__ = ["SQLResponses"]

T = TypeVar("T")

_c, _r = certificates.c, ocsp_responses.c
_STATE = (_c.serial_number, _c.status, _c.not_after, _c.revocation_date, _c.revocation_reason)
# Looking up an enumeration's value by calling it takes ten times as long.
_STATUSES = {status.value: status for status in CertificateStatus}
_ANSWERED = (CertificateStatus.VALID.value, CertificateStatus.REVOKED.value)

# Whoever changes a row has to know nothing of responses: a response that tells of another
# state than the row has does not join it.
_TELLS_OF_IT = and_(
    _r.serial_number == _c.serial_number,
    _r.issuer_id == _c.issuer_id,
    _r.digest == bindparam("digest"),
    _r.status == _c.status,
    _r.revocation_date.is_not_distinct_from(_c.revocation_date),
    _r.revocation_reason.is_not_distinct_from(_c.revocation_reason),
)
_LOOK_UP = Prepared(
    select(*_STATE, _r.this_update, _r.next_update, _r.response)
    .select_from(certificates.outerjoin(ocsp_responses, _TELLS_OF_IT))
    .where(_c.serial_number == bindparam("serial_number"), _c.issuer_id == bindparam("issuer_id"))
)
_TO_SIGN = (
    select(_c.id, *_STATE)
    .select_from(
        certificates.outerjoin(
            ocsp_responses, and_(_TELLS_OF_IT, _r.this_update >= bindparam("signed_before"))
        )
    )
    .where(
        _c.issuer_id == bindparam("issuer_id"),
        _c.status.in_(_ANSWERED),
        _c.not_after >= bindparam("at"),
        _c.id > bindparam("after"),
        _r.serial_number.is_(None),
    )
    .order_by(_c.id)
    .limit(bindparam("most"))
)

_KEPT = (
    select(
        func.count(),
        func.count(_r.serial_number),
        func.min(_r.this_update),
        func.min(_r.next_update),
    )
    .select_from(
        certificates.outerjoin(ocsp_responses, and_(_TELLS_OF_IT, _r.next_update > bindparam("at")))
    )
    .where(
        _c.issuer_id == bindparam("issuer_id"),
        _c.status.in_(_ANSWERED),
        _c.not_after >= bindparam("at"),
    )
)


class SQLResponses(ABC):
    """`ports.ocsp.ResponseStore`, each method one transaction."""

    @abstractmethod
    def _read(self, work: Callable[[Connection], T]) -> T: ...

    @abstractmethod
    def _write(self, work: Callable[[Connection], T], within: object = None) -> T: ...

    def cert_state(
        self, issuer_id: str, serial_number: int, digest: str | None = None
    ) -> tuple[CertState | None, KeptResponse | None]:
        """Give a certificate's state, and the response that tells of it, if there is one."""
        values = {"issuer_id": issuer_id, "serial_number": str(serial_number), "digest": digest}
        return _found(self._look_up(_LOOK_UP, values))

    @abstractmethod
    def _look_up(self, statement: Prepared, values: Values) -> Sequence[Any]: ...

    def cert_state_at_once(
        self, issuer_id: str, serial_number: int, digest: str
    ) -> tuple[CertState | None, KeptResponse | None] | None:
        """Give what `cert_state` gives, if that takes no waiting."""
        values = {"issuer_id": issuer_id, "serial_number": str(serial_number), "digest": digest}
        rows = self._look_up_at_once(_LOOK_UP, values)
        return None if rows is None else _found(rows)

    def _look_up_at_once(self, statement: Prepared, values: Values) -> Sequence[Any] | None:
        """Give the rows; `None`, as servers and async drivers do: they are to be waited for."""
        return None

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
        values = {
            "issuer_id": issuer_id,
            "digest": digest,
            "at": at,
            "signed_before": signed_before,
            "most": limit,
            "after": after,
        }
        rows = self._read(lambda connection: connection.execute(_TO_SIGN, values).all())
        return [_state_of(row[1:]) for row in rows], rows[-1].id if len(rows) == limit else None

    def kept_responses(self, issuer_id: str, digest: str, at: datetime) -> KeptResponses:
        """Say how many certificates have a response."""
        values = {"issuer_id": issuer_id, "digest": digest, "at": at}
        row = self._read(lambda connection: connection.execute(_KEPT, values).one())
        return KeptResponses(*row)

    def keep_responses(self, issuer_id: str, digest: str, kept: Sequence[KeptResponse]) -> None:
        """Keep responses, each in place of the one before."""
        if kept:
            self._write(partial(_keep, issuer_id=issuer_id, digest=digest, kept=kept))


def _found(rows: Sequence[Any]) -> tuple[CertState | None, KeptResponse | None]:
    if not rows:
        return None, None
    [row] = rows
    state = _state_of(row[:5])
    return state, None if row[7] is None else KeptResponse(state, *row[5:])


def _state_of(row: Sequence[Any]) -> CertState:
    serial_number, status, not_after, revocation_date, reason = row
    return CertState(
        int(serial_number),
        _STATUSES[status],
        not_after,
        revocation_date,
        reason and CRLReason(reason),
    )


def _keep(
    connection: Connection, issuer_id: str, digest: str, kept: Sequence[KeptResponse]
) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(ocsp_responses)
    keys = list(ocsp_responses.primary_key)
    others = [column for column in _r if column not in set(keys)]
    upsert = insert.on_conflict_do_update(
        index_elements=keys,
        set_={column.name: insert.excluded[column.name] for column in others},
    )
    rows = [
        {
            "serial_number": str(one.state.serial_number),
            "issuer_id": issuer_id,
            "digest": digest,
            "status": one.state.status.value,
            "revocation_date": one.state.revocation_date,
            "revocation_reason": one.state.revocation_reason,
            "this_update": one.this_update,
            "next_update": one.next_update,
            "response": one.der,
        }
        for one in kept
    ]
    connection.execute(upsert, rows)
