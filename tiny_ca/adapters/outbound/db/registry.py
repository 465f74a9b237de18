"""`ports.registry.Registry` over anything that can run a function on a connection."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tiny_ca.adapters.outbound.db import backup, leases, queries, revocations, transactions
from tiny_ca.adapters.outbound.db.catalogue import SQLCatalogue
from tiny_ca.adapters.outbound.db.crl_parts import Place, crl_part
from tiny_ca.adapters.outbound.db.delivery import SQLOutbox
from tiny_ca.adapters.outbound.db.engine import Runner, registry_errors
from tiny_ca.adapters.outbound.db.ocsp import SQLResponses
from tiny_ca.adapters.outbound.db.past import record_past
from tiny_ca.adapters.outbound.db.prepared import Prepared, Values
from tiny_ca.adapters.outbound.db.queries import Wanted
from tiny_ca.adapters.outbound.db.schema import REVISION
from tiny_ca.domain.backup import Row
from tiny_ca.domain.crl import COMPLETE, CRLPart, CRLScope, Shard
from tiny_ca.domain.errors import InvalidRequest, RegistryError
from tiny_ca.domain.records import (
    CertificateRecord,
    CRLEntry,
    CRLStamp,
    Location,
    PublishingLease,
    Reservation,
)
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.history import PastCertificate
from tiny_ca.ports.issuer import issuer_id_of

__all__ = ["SQLRegistry"]

T = TypeVar("T")

_BATCH = 500
"""How many values a statement of every database takes."""


def _after(
    page: Callable[[Connection, int], tuple[list[T], int | None]], after: int
) -> Callable[[Connection], tuple[list[T], int | None]]:
    return lambda connection: page(connection, after)


class SQLRegistry(SQLCatalogue, SQLOutbox, SQLResponses):
    """The registry's methods and its outbox's, each one transaction of a `Runner`.

    *within* is a `sqlalchemy.orm.Session` or `sqlalchemy.Connection` on the same database.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self._known_issuers: set[str] = set()

    def _read(self, work: Callable[[Connection], T]) -> T:
        with registry_errors():
            return self._runner.run(work)

    def _write(self, work: Callable[[Connection], T], within: object = None) -> T:
        with registry_errors():
            if within is None:
                return self._runner.run(work, write=True)
            return work(_connection_of(within))

    def _write_in_group(self, work: Callable[[Connection], T], within: object = None) -> T:
        """Write what calls nobody back: it may share its commit with other threads' work."""
        with registry_errors():
            if within is None:
                return self._runner.run(work, write=True, group=True)
            return work(_connection_of(within))

    def _look_up(self, statement: Prepared, values: Values) -> Sequence[Any]:
        return self._read(lambda connection: statement.rows(connection, values))

    def _one(self, statement: Prepared, values: Values) -> CertificateRecord | None:
        rows = self._look_up(statement, values)
        return queries.to_record(rows[0]) if rows else None

    def _pages(self, page: Callable[[Connection, int], tuple[list[T], int | None]]) -> Iterator[T]:
        after: int | None = 0
        while after is not None:
            rows, after = self._read(_after(page, after))
            yield from rows

    def _insert(self, wanted: Wanted, work: Callable[[Connection], None]) -> None:
        """Run an insert; when a UNIQUE refused it, find out which one and say so."""
        try:
            self._write_for(wanted, work)
        except RegistryError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            raise self._read(partial(queries.what_is_taken, wanted=wanted)) from error

    def _write_for(self, wanted: Wanted, work: Callable[[Connection], None]) -> None:
        for issuer_id in {issuer_id for issuer_id, _ in wanted.serial_numbers}:
            self._ensure_issuer(issuer_id)
        self._write_in_group(work)

    def _ensure_issuer(self, issuer_id: str) -> None:
        if issuer_id in self._known_issuers:
            return
        self._ensure(partial(transactions.ensure_issuer, issuer_id=issuer_id))
        self._known_issuers.add(issuer_id)

    def _ensure(self, work: Callable[[Connection], T]) -> T:
        """Insert what may be there already: once more, if somebody else did so meanwhile."""
        try:
            return self._write(work)
        except RegistryError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            return self._write(work)

    def get_by_serial(self, serial: int, issuer_id: str | None = None) -> CertificateRecord | None:
        """Give the certificate with this serial number.  Raises `RegistryError`."""
        row = queries.only_one(serial, self._look_up(*queries.by_serial(serial, issuer_id)))
        return None if row is None else queries.to_record(row)

    def get_many(self, issuer_id: str, serials: Sequence[int]) -> Iterator[CertificateRecord]:
        """Give an issuer's certificates of these serial numbers, in pages."""
        for start in range(0, len(serials), _BATCH):
            batch = serials[start : start + _BATCH]
            yield from self._read(
                partial(queries.many_by_serial, issuer_id=issuer_id, serial_numbers=batch)
            )

    def deleted_serials(self, issuer_id: str, serials: Sequence[int]) -> set[int]:
        """Give which revoked certificates of an issuer were deleted since its last CRL."""
        found: set[int] = set()
        for start in range(0, len(serials), _BATCH):
            batch = serials[start : start + _BATCH]
            found |= self._read(
                partial(revocations.deleted_serials, issuer_id=issuer_id, serial_numbers=batch)
            )
        return found

    def crl_files_owner(self) -> str | None:
        """Give the issuer whose CRLs have the plain names."""
        return self._read(revocations.crl_files_owner)

    def own_crl_files(self, issuer_id: str) -> None:
        """Give the plain names to an issuer, and to no other any more."""
        self._ensure_issuer(issuer_id)
        self._write(partial(revocations.own_crl_files, issuer_id=issuer_id))

    def get_by_name(self, common_name: str) -> CertificateRecord | None:
        """Give the valid certificate that claims *common_name*.  Raises `RegistryError`."""
        return self._one(queries.BY_NAME, {"common_name": common_name})

    def get_by_idempotency_key(self, key: str) -> CertificateRecord | None:
        """Give the certificate that was asked for under *key*.  Raises `RegistryError`."""
        return self._one(queries.BY_IDEMPOTENCY_KEY, {"key": key})

    def reserve(self, reservations: Sequence[Reservation]) -> None:
        """Write pending rows, or raise `SerialNumberCollision` or `NotUniqueCertOwner`."""
        wanted = Wanted(
            [(one.issuer_id, one.serial_number) for one in reservations],
            [one.common_name for one in reservations],
            [one.retry_key.key for one in reservations if one.retry_key is not None],
        )
        work = partial(transactions.reserve_after_others, reservations=reservations)
        if any(one.predecessor is not None for one in reservations):
            # Whether it may be replaced depends on whether it has ended.
            self._insert(wanted, work)
            return
        try:
            self._write_for(wanted, partial(transactions.reserve, reservations=reservations))
        except RegistryError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            self._insert(wanted, work)

    def commit(
        self,
        signed: Sequence[tuple[Reservation, x509.Certificate]],
        at: datetime,
        within: object = None,
    ) -> None:
        """Make the rows valid; raise `ReservationLost` or `ValidationCertError`."""
        self._write_in_group(partial(transactions.commit, signed=signed, at=at), within)

    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        """Close a pending row; false if it is not pending."""
        return self._write_in_group(
            partial(transactions.abandon, issuer_id=issuer_id, serial_number=serial_number)
        )

    def register(
        self,
        certificate: x509.Certificate,
        uuid: str | None,
        cert_type: CertType,
        at: datetime,
        *,
        location: Location | None = None,
        claims_name: bool = True,
    ) -> None:
        """Record a valid certificate, or raise `SerialNumberCollision` or `NotUniqueCertOwner`."""
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names:
            raise InvalidRequest("A certificate without a common name can't be registered.")
        common_name = str(names[0].value)
        issuer_id = issuer_id_of(certificate)
        self._insert(
            Wanted([(issuer_id, certificate.serial_number)], [common_name] if claims_name else []),
            partial(
                transactions.register,
                certificate=certificate,
                common_name=common_name,
                issuer_id=issuer_id,
                uuid=uuid,
                cert_type=cert_type,
                at=at,
                location=location,
                claims_name=claims_name,
            ),
        )

    def record_past(
        self,
        past: Sequence[PastCertificate],
        at: datetime,
        crl_numbers: Mapping[str, int] | None = None,
    ) -> int:
        """Record what was signed elsewhere.  Raises `SerialNumberCollision`."""
        numbers = crl_numbers or {}
        for issuer_id in sorted({*numbers, *(one.issuer_id for one in past)}):
            self._ensure_issuer(issuer_id)
        return self._ensure(partial(record_past, past=past, at=at, crl_numbers=numbers))

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        invalidity_date: datetime | None = None,
        issuer_id: str | None = None,
    ) -> bool:
        """Revoke; false if there is no such certificate."""
        work = partial(
            transactions.revoke,
            serial_number=serial_number,
            reason=reason,
            at=at,
            invalidity_date=invalidity_date,
            issuer_id=issuer_id,
        )
        return self._write_in_group(work, within)

    def release(self, serial_number: int, at: datetime, issuer_id: str | None = None) -> bool:
        """Lift a hold; false if there is no such certificate.  Raises `NotOnHold`."""
        work = partial(
            transactions.release, serial_number=serial_number, at=at, issuer_id=issuer_id
        )
        return self._write(work)

    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        """Give pending rows that were reserved earlier, in pages."""
        return self._pages(partial(queries.pending_page, created_before=created_before))

    def authorities(self) -> Iterator[CertificateRecord]:
        """Give the valid certificates of type CA, in pages."""
        return self._pages(queries.authorities_page)

    def issuer_certificates(self, issuer_id: str) -> list[CertificateRecord]:
        """Give the signed certificates of the CA that *issuer_id* names itself."""
        rows = self._look_up(queries.BY_OWN_ISSUER_ID, {"issuer_id": issuer_id})
        return [queries.to_record(row) for row in rows]

    def revoked(self, issuer_id: str | None) -> Iterator[CRLEntry]:
        """Give what the issuer's next CRL owes, in pages; `None`: of every issuer."""
        return self._pages(partial(revocations.revoked_page, issuer_id=issuer_id))

    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        """Give the encoded entries of the issuer's next CRL, each part a transaction."""
        last = None if since is not None else self.last_crl(issuer_id, CRLScope(shard))
        part, after = self._crl_part(None, issuer_id, shard, since, last)
        while part.count:
            yield part
            if after is None:
                return
            part, after = self._crl_part(after, issuer_id, shard, since, last)

    def _crl_part(
        self,
        after: Place | None,
        issuer_id: str,
        shard: Shard | None,
        since: int | None,
        last: CRLStamp | None,
    ) -> tuple[CRLPart, Place | None]:
        return self._read(
            partial(
                crl_part,
                after=after,
                issuer_id=issuer_id,
                shard=shard,
                since=since,
                last_this_update=None if last is None else last.this_update,
            )
        )

    def last_crl(self, issuer_id: str, scope: CRLScope = COMPLETE) -> CRLStamp | None:
        """Give the published CRL of a scope, `None` before the first."""
        return self._read(partial(revocations.last_crl, issuer_id=issuer_id, scope=scope))

    def begin_publishing(self, lease: PublishingLease, at: datetime) -> bool:
        """Take or prolong a lease, unless another holder has it."""
        work = partial(leases.begin_publishing, lease=lease, at=at)
        try:
            return self._write(work)
        except RegistryError as error:
            # Another one was faster.
            if not isinstance(error.__cause__, IntegrityError):
                raise
            return self._write(work)

    def end_publishing(self, lease: PublishingLease) -> None:
        """Give a lease up, unless another holder has it."""
        self._write(partial(leases.end_publishing, lease=lease))

    def next_crl_number(self, issuer_id: str) -> int:
        """Draw a CRL number."""
        self._ensure_issuer(issuer_id)
        return self._write(partial(revocations.draw_crl_number, issuer_id=issuer_id))

    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> bool:
        """Call *swap* and record *stamp*, unless a higher number was published."""
        self._ensure_issuer(issuer_id)
        self._ensure(partial(revocations.ensure_scope, issuer_id=issuer_id, scope=scope))
        return self._write(
            partial(
                revocations.publish_crl, issuer_id=issuer_id, stamp=stamp, swap=swap, scope=scope
            )
        )

    @property
    def revision(self) -> str | None:
        """The schema's revision."""
        return REVISION

    def export_rows(self, write: Callable[[str, Sequence[Row]], object]) -> None:
        """Call *write* with the rows of every table, all of one moment."""
        self._read(partial(backup.export_rows, write=write))

    def check_empty(self) -> None:
        """Raise `NotEmpty` if any table has a row."""
        self._read(backup.check_empty)

    def import_rows(self, pages: Iterable[tuple[str, Sequence[Row]]]) -> None:
        """Write all rows, in one transaction, or raise `NotEmpty` or `BackupError`."""
        self._write(partial(backup.import_rows, pages=pages))


def _connection_of(within: object) -> Connection:
    """Give the connection of a Session or Connection whose transaction the caller owns."""
    if isinstance(within, Connection):
        return within
    if isinstance(within, Session):
        return within.connection()
    raise InvalidRequest(
        f"A transaction is a SQLAlchemy Session or Connection, not a {type(within).__name__}; "
        "of an AsyncSession, pass the one that run_sync gives."
    )
