"""What a manager can do with many certificates, or with those that nobody needs any more."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509

from tiny_ca.application import delete, query, revoke
from tiny_ca.domain.catalogue import (
    BulkRevocation,
    CertificateFilter,
    cert_type_of,
    exactly,
    status_of,
)
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields
from tiny_ca.ports.progress import Progress

__all__ = ["Catalogue"]


class Catalogue(Face):
    """The operations that list, delete and work on many at once."""

    def list_certificates(
        self,
        status: CertificateStatus | str | None = None,
        key_type: CertType | str | None = None,
        limit: int = 100,
        offset: int = 0,
        *,
        issuer_id: str | None = None,
        common_name: str | None = None,
        exact_name: str | None = None,
        issued_from: datetime | None = None,
        issued_before: datetime | None = None,
        expires_from: datetime | None = None,
        expires_before: datetime | None = None,
        after: CertificateRecord | int | None = None,
    ) -> list[CertificateRecord]:
        """Give *limit* certificates at most, newest first, that agree with all that is given.

        *status* is meant as of now: a certificate that is over is `expired`, whether or not it
        was marked so.  *key_type* is a `CertType`, its value or name (`service`).  In
        *common_name* `*` stands for any characters, and `[*]` for an asterisk, as in
        `[*].example.org`; *exact_name*, in place of it, is a name and no pattern, as for what
        somebody typed.  Moments are aware datetimes; each period has its first moment in it and
        its last one not.

        *after* is the last record of the page before, or its `position`: the next page then
        costs what the first did, and misses nothing.  *offset* skips records one by one.
        Raises `InvalidRequest`.
        """
        wanted = CertificateFilter(
            status=None if status is None else status_of(status),
            cert_types=_types(key_type),
            issuer_id=issuer_id,
            common_name=_pattern(common_name, exact_name),
            issued_from=issued_from,
            issued_before=issued_before,
            expires_from=expires_from,
            expires_before=expires_before,
        )
        return query.find(self._with_registry(), wanted, limit, offset, after)

    def iter_certificates(
        self,
        status: CertificateStatus | str | None = None,
        key_type: CertType | str | None = None,
        *,
        issuer_id: str | None = None,
        common_name: str | None = None,
        exact_name: str | None = None,
        issued_from: datetime | None = None,
        issued_before: datetime | None = None,
        expires_from: datetime | None = None,
        expires_before: datetime | None = None,
    ) -> Iterator[CertificateRecord]:
        """Give every certificate that `list_certificates` would, read in pages."""
        wanted = CertificateFilter(
            status=None if status is None else status_of(status),
            cert_types=_types(key_type),
            issuer_id=issuer_id,
            common_name=_pattern(common_name, exact_name),
            issued_from=issued_from,
            issued_before=issued_before,
            expires_from=expires_from,
            expires_before=expires_before,
        )
        return query.find_all(self._with_registry(), wanted)

    def get_expiring_soon(
        self,
        within_days: int = 30,
        *,
        limit: int | None = None,
        after: CertificateRecord | None = None,
    ) -> list[CertificateRecord]:
        """Give the certificates that are valid now and end within so many days, soonest first.

        All of them, or *limit* after the last record of the page before.  Raises
        `InvalidRequest` for a negative number.
        """
        return query.find_expiring(self._with_registry(), within_days, limit, after)

    def refresh_expired_statuses(self) -> int:
        """Mark every valid certificate that is over as expired, and count them.

        In small transactions, beside whatever else is going on; what is marked gives its common
        name up.  No answer depends on it: an expired certificate is so by itself.
        """
        count = query.mark_expired(self._with_registry())
        self._logger.info(
            "Marked %d certificates as expired", count, extra=fields("expired", count=count)
        )
        return count

    def delete_certificate(self, serial: int, cert_path: str | Path | None = None) -> bool:
        """Delete a certificate that nobody needs any more: its record, then its folder.

        If the process dies in between, `recover` removes the folder.  *cert_path* is where the
        folder lies, for a certificate of tiny_ca 0.1, whose record does not say (`None`: it
        is looked for).  False: the registry does not know the certificate.  Raises
        `StillNeeded` before its end, for a revoked one that no CRL issued after its end has
        shown (RFC 5280 §3.3), and for a CA's with certificates of its own on record.
        """
        folder = None if cert_path is None else Path(cert_path).as_posix()
        is_deleted = delete.delete(self._with_registry(), serial, folder)
        self._logger.info(
            "Deleted %s: %s",
            serial,
            is_deleted,
            extra=fields("deleted", serial_number=serial, found=is_deleted),
        )
        return is_deleted

    def revoke_many(
        self,
        serials: Iterable[int] | None = None,
        reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
        *,
        issuer_id: str | None = None,
        key_type: CertType | str | None = None,
        common_name: str | None = None,
        exact_name: str | None = None,
        issued_from: datetime | None = None,
        issued_before: datetime | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> BulkRevocation:
        """Revoke certificates by their serial numbers, or all that agree with what is given.

        The arguments are those of `list_certificates`.  Without *serials*, certificates that
        are over are left out, and CAs' unless *key_type* says so.  With *dry_run* nothing is
        revoked, and the report says what would be.  *progress* is told how many are done.

        In batches of 1000, each one transaction.  If it fails half-way, what was revoked stays
        so, and calling it again does the rest.  Unknown serial numbers and what was revoked
        before are no errors, and in the report.  Raises `InvalidRequest` when nothing says
        which certificates are meant, `InvalidRevocationReason`, and `RegistryError` when
        several issuers have used a serial number and *issuer_id* does not say which.
        """
        wanted = CertificateFilter(
            cert_types=_types(key_type),
            issuer_id=issuer_id,
            common_name=_pattern(common_name, exact_name),
            issued_from=issued_from,
            issued_before=issued_before,
        )
        report = revoke.revoke_many(
            self._with_registry(),
            serials,
            wanted,
            CRLReason(reason.value),
            dry_run=dry_run,
            progress=progress,
        )
        if not dry_run:
            count = len(report.revoked)
            self._logger.info(
                "Revoked %d (%s)",
                count,
                reason.value,
                extra=fields("revoked_many", count=count, reason=reason.value),
            )
        return report


def _pattern(common_name: str | None, exact_name: str | None) -> str | None:
    if exact_name is None:
        return common_name
    if common_name is not None:
        raise InvalidRequest("common_name is a pattern and exact_name a name: give one of them.")
    return exactly(exact_name)


def _types(key_type: CertType | str | None) -> frozenset[CertType] | None:
    return None if key_type is None else frozenset({cert_type_of(key_type)})
