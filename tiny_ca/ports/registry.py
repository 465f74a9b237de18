"""The record of every certificate."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.crl import COMPLETE, CRLPart, CRLScope, Shard
from tiny_ca.domain.records import CertificateRecord, CRLEntry, CRLStamp, Reservation
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

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

    def get_by_serial(self, serial: int) -> CertificateRecord | None:
        """Give the certificate with this serial number, `None` if there is none.

        Raises `RegistryError` when several issuers have used it.
        """
        ...

    def get_many(self, issuer_id: str, serials: Sequence[int]) -> Iterator[CertificateRecord]:
        """Give those certificates of an issuer that have one of these serial numbers."""
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
        With a predecessor that holds the claim, it moves at `commit`.  Raises
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

        All or none.  Raises `ReservationLost` if a row is not pending any more,
        `ValidationCertError` if a predecessor is not valid any more; nothing is written then.
        """
        ...

    def abandon(self, issuer_id: str, serial_number: int) -> bool:
        """Close a pending row and give up its claim.  False if it is not pending."""
        ...

    def register(
        self, certificate: x509.Certificate, uuid: str | None, cert_type: CertType, at: datetime
    ) -> None:
        """Record a certificate that was signed elsewhere as `valid`.

        Raises `SerialNumberCollision` or `NotUniqueCertOwner`; nothing is written then.
        """
        ...

    def revoke(
        self,
        serial_number: int,
        reason: CRLReason,
        at: datetime,
        within: object = None,
        invalidity_date: datetime | None = None,
    ) -> bool:
        """Revoke as `domain.revocation.revoke` says and give up the claim.

        What CRLs will say of it is written in the same transaction.  False if there is no
        such certificate.  Raises `InvalidRevocationReason`.
        """
        ...

    def release(self, serial_number: int, at: datetime) -> bool:
        """Lift a certificateHold; the claim comes back if nobody took it meanwhile.

        False if there is no such certificate.  Raises `NotOnHold`.
        """
        ...

    def pending(self, created_before: datetime) -> Iterator[CertificateRecord]:
        """Give the pending rows that were reserved earlier, oldest first, read in pages."""
        ...

    def authorities(self) -> Iterator[CertificateRecord]:
        """Give the valid certificates of type CA, oldest first."""
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
