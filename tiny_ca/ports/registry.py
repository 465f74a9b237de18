"""The record of every certificate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.catalogue import CertificateFilter, RevokedBatch
from tiny_ca.domain.crl import COMPLETE, CRLPart, CRLScope, Shard
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

__all__ = ["Registry"]


@runtime_checkable
class Registry(Protocol):
    """Keeps one row per serial number and issuer, from before the certificate is signed.

    Every method is one transaction, durable when it returns, and raises `RegistryError` when
    the database fails: never an empty answer.  A common name has at most one certificate
    that claims it: valid, or pending without a predecessor of that name.

    What takes *within* can be part of a transaction that the caller owns, of a kind that the
    adapter names: it is durable when the caller commits, and undone when it rolls back.  An
    adapter that has no such thing raises `InvalidRequest`.
    """

    def get_by_serial(self, serial: int, issuer_id: str | None = None) -> CertificateRecord | None:
        """Give the certificate with this serial number, `None` if there is none.

        Raises `AmbiguousSerialNumber` when several issuers have used it and none is named.
        """
        ...

    def get_many(self, issuer_id: str, serials: Sequence[int]) -> Iterator[CertificateRecord]:
        """Give those certificates of an issuer that have one of these serial numbers."""
        ...

    def deleted_serials(self, issuer_id: str, serials: Sequence[int]) -> set[int]:
        """Give which revoked certificates of an issuer were deleted since its last CRL.

        That is the oldest of its complete CRLs, of any shard.
        """
        ...

    def crl_files_owner(self) -> str | None:
        """Give the issuer whose CRLs have the plain names, `crl.pem` and so on."""
        ...

    def own_crl_files(self, issuer_id: str) -> None:
        """Give the plain names to an issuer, and to no other any more."""
        ...

    def get_by_name(self, common_name: str) -> CertificateRecord | None:
        """Give the valid certificate that claims *common_name*, in one indexed look-up."""
        ...

    def get_by_idempotency_key(self, key: str) -> CertificateRecord | None:
        """Give the certificate that was reserved under *key*, unless it was abandoned."""
        ...

    def reserve(self, reservations: Sequence[Reservation]) -> None:
        """Write `pending` rows that take their serial numbers and claim their common names.

        All or none.  A claim whose holder's validity is over at `created_at` is taken from it.
        With a predecessor that holds the claim, it moves at `commit`.  A row that does not
        claim its name is no obstacle to any other.  Raises
        `SerialNumberCollision`, `IdempotencyKeyTaken` when a row has the retry key, or
        `NotUniqueCertOwner` when a valid or pending row has the claim; nothing is written then.
        """
        ...

    def commit(
        self,
        signed: Sequence[tuple[Reservation, x509.Certificate]],
        at: datetime,
        within: object = None,
    ) -> None:
        """Make the rows `valid` and, in the same transaction, supersede predecessors *at*.

        A predecessor that is not superseded stays valid, without the claim.

        All or none.  Raises `ReservationLost` if a row is not pending any more,
        `ValidationCertError` if a predecessor is not valid any more, or one of the
        `authorities` is revoked, which can't happen from then on until the transaction ends;
        nothing is written then.
        """
        ...

    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        """Close a pending row and give up its claim.  False if it is not pending."""
        ...

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
        """Record a certificate that was signed elsewhere as `valid`.

        *location* is where its files are, or will be published; without, *uuid* tells.

        Raises `SerialNumberCollision` or `NotUniqueCertOwner`; nothing is written then.
        """
        ...

    def record_past(
        self,
        past: Sequence[PastCertificate],
        at: datetime,
        crl_numbers: Mapping[str, int] | None = None,
    ) -> int:
        """Record what was signed elsewhere, with what became of it; count what is new.

        All or none.  A valid certificate that claims its name gets it unless another has it;
        of two, the first.  What is on record stays as it is, but for a final revocation: that is
        taken over.  CRL numbers that are drawn from then on are greater than what *crl_numbers*
        says of an issuer.  Raises `SerialNumberCollision` for a serial number that is given
        twice, or is on record with another certificate; nothing is written then.
        """
        ...

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        invalidity_date: datetime | None = None,
        issuer_id: str | None = None,
    ) -> bool:
        """Revoke as `domain.revocation.revoke` says and give up the claim.

        What CRLs will say of it is written in the same transaction.  False if there is no
        such certificate.  Raises `InvalidRevocationReason`, and `AmbiguousSerialNumber` as
        `get_by_serial`.
        """
        ...

    def release(self, serial_number: int, at: datetime, issuer_id: str | None = None) -> bool:
        """Lift a certificateHold; its claim comes back if nobody took it meanwhile.

        False if there is no such certificate.  Raises `NotOnHold`, and
        `AmbiguousSerialNumber` as `get_by_serial`.
        """
        ...

    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        """Give the pending rows that were reserved earlier, oldest first, read in pages."""
        ...

    def authorities(self) -> Iterator[CertificateRecord]:
        """Give the valid certificates of type CA, oldest first."""
        ...

    def issuer_certificates(self, issuer_id: str) -> list[CertificateRecord]:
        """Give the signed certificates, of any status, of the CA that *issuer_id* names itself.

        A CA has several when it was renewed or cross-signed; oldest first.
        """
        ...

    def revoked(self, issuer_id: str) -> Iterator[CRLEntry]:
        """Give what the issuer's next CRL owes (`owed_by_crl`), in pages, each serial once."""
        ...

    def crl_entries(
        self, issuer_id: str, shard: Shard | None = None, since: int | None = None
    ) -> Iterator[CRLPart]:
        """Give the encoded entries of the issuer's next CRL, in parts of some thousands.

        Of a *shard* alone, if one is given.  Of a complete CRL: what it owes (`owed_by_crl`, by
        the last complete CRL of the same scope), oldest change first.  *since* a CRL number:
        what was revoked, or released from hold (removeFromCRL), and may be missing in that
        CRL, which is a delta CRL's (RFC 5280 §5.2.4); no change that was committed is missed.
        """
        ...

    def last_crl(self, issuer_id: str, scope: CRLScope = COMPLETE) -> CRLStamp | None:
        """Give the published CRL of a scope, `None` before the first."""
        ...

    def begin_publishing(self, lease: PublishingLease, at: datetime) -> bool:
        """Take or prolong a lease.  False: at this moment another holder has it."""
        ...

    def end_publishing(self, lease: PublishingLease) -> None:
        """Give a lease up, unless another holder has it."""
        ...

    def next_crl_number(self, issuer_id: str) -> int:
        """Draw a CRL number, 1 or more: greater than any drawn before, across processes."""
        ...

    def publish_crl(
        self,
        issuer_id: str,
        stamp: CRLStamp,
        swap: Callable[[], object],
        scope: CRLScope = COMPLETE,
    ) -> bool:
        """Call *swap* and record *stamp*, unless a CRL of the scope with a higher number was.

        Only one process at a time does so for a scope.  False if *swap* was not called.
        What *swap* raises is raised, and nothing is recorded.
        """
        ...

    def page(
        self,
        wanted: CertificateFilter,
        at: datetime,
        limit: int,
        before: int | None = None,
        offset: int = 0,
    ) -> list[CertificateRecord]:
        """Give the newest *limit* certificates that match *at*, newest first.

        Only those whose position is less than *before*, if it is given: the last one of a page
        leads to the next, at the price of the first.  *offset* skips some, one by one.
        """
        ...

    def expiring(
        self,
        at: datetime,
        until: datetime,
        limit: int,
        after: tuple[datetime, int] | None = None,
    ) -> list[CertificateRecord]:
        """Give valid certificates that end from *at* to *until*, both included, soonest first.

        Only those after the `not_after` and position *after*, if they are given.
        """
        ...

    def expire(self, at: datetime, limit: int) -> int:
        """Mark at most *limit* valid certificates that are over *at* as expired; count them.

        They give up their claims.  0: none is left, or others are at work on the rest.
        """
        ...

    def revoke_many(
        self,
        wanted: CertificateFilter,
        reason: CRLReason,
        at: datetime,
        limit: int,
        after: int = 0,
        *,
        dry_run: bool = False,
    ) -> RevokedBatch:
        """Revoke the oldest *limit* rows that match and whose position is greater than *after*.

        Each as `revoke` does; all or none.  With *dry_run* nothing is written.  Raises
        `InvalidRevocationReason`, and `RegistryError` when several issuers have used one of
        the serial numbers that *wanted* gives without an issuer.
        """
        ...

    def delete(self, serial_number: int, at: datetime, location: Location | None = None) -> bool:
        """Remove a row, its claim and its retry key, if `domain.catalogue.check_deletable`.

        In the same transaction *location* is noted for `deleted`.  False if there is no such
        certificate.  Raises `StillNeeded`, also for a CA's certificate while there are others
        that its key has signed.
        """
        ...

    def deleted(self) -> Iterator[Location]:
        """Give where the files of deleted rows may still lie, unless another row's lie there."""
        ...

    def forget(self, location: Location) -> None:
        """Take back what `deleted` gives of *location*: its files are gone."""
        ...
