"""Bring what was interrupted to its end."""

from datetime import timedelta
from typing import NamedTuple

from tiny_ca.application.delete import remove_folders
from tiny_ca.application.services import Services
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.ports.storage import Leftover

__all__ = ["PENDING_LIMIT", "Recovery", "recover"]

PENDING_LIMIT = timedelta(minutes=5)
"""How long an issuance may take before another process closes it."""


class Recovery(NamedTuple):
    """How many leftovers were dealt with, each way."""

    published: int
    abandoned: int
    discarded: int
    removed: int = 0
    """Folders of certificates that were deleted."""


def recover(services: Services, older_than: timedelta = PENDING_LIMIT) -> Recovery:
    """Roll every leftover forward or back; twice changes nothing.

    A committed certificate's staged files are published, whatever their age.  A pending row
    older than *older_than* is closed, its serial number never used again.  Staged files that
    old without a row that is pending or committed are removed, and so are the folders of
    rows that were deleted.
    """
    now = services.clock.now()
    abandoned = sum(
        services.registry.abandon(record.issuer_id, record.serial_number)
        for record in services.registry.pending(now - older_than)
    )
    published = discarded = 0
    for leftover in services.storage.leftovers():
        record = _record_of(services, leftover)
        status = None if record is None else record.status
        if record is not None and record.certificate_pem is not None and record.location:
            services.storage.publish(record.location)
            published += 1
        elif status is not CertificateStatus.PENDING and now - leftover.staged_at >= older_than:
            services.storage.discard(leftover.uuid)
            discarded += 1
    return Recovery(published, abandoned, discarded, remove_folders(services))


def _record_of(services: Services, leftover: Leftover) -> CertificateRecord | None:
    """Give the row of the certificate that is staged, since several may name the folder."""
    if leftover.serial_number is None:
        return None
    # By both: CAs from elsewhere may have used the same small numbers.
    wanted = CertificateFilter(uuid=leftover.uuid, serial_numbers=(leftover.serial_number,))
    return next(iter(services.registry.page(wanted, services.clock.now(), 1)), None)
