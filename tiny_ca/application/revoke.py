"""Revoke certificates, and release those on hold."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from tiny_ca.application.progress import Steps
from tiny_ca.application.services import Services
from tiny_ca.domain.catalogue import AT_ONCE, BulkRevocation, CertificateFilter, RevokedBatch
from tiny_ca.domain.errors import AmbiguousSerialNumber, InvalidRequest
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.revocation import revoke as revoke_rule
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.progress import Progress

__all__ = ["release", "revoke", "revoke_many"]

_END_ENTITIES = frozenset(CertType) - {CertType.CA}


def revoke(
    services: Services,
    serial_number: int,
    reason: CRLReason,
    within: object = None,
    issuer: Issuer | None = None,
    invalidity_date: datetime | None = None,
) -> bool:
    """Revoke a certificate.  True: it is revoked now; false: the registry does not know it.

    Of several with this serial number, the one that *issuer* signed.
    """
    now, registry = utc_seconds(services.clock.now()), services.registry
    since = None if invalidity_date is None else utc_seconds(invalidity_date)
    try:
        is_revoked = registry.revoke(serial_number, reason, now, within, since)
    except AmbiguousSerialNumber:
        if issuer is None:
            raise
        is_revoked = registry.revoke(serial_number, reason, now, within, since, issuer.issuer_id)
    if is_revoked and services.observing is not None:
        services.observing.revoked(reason, 1)
    return is_revoked


def release(services: Services, serial_number: int, issuer: Issuer | None = None) -> bool:
    """Lift a certificateHold.  False: the registry does not know the certificate."""
    now, registry = utc_seconds(services.clock.now()), services.registry
    try:
        return registry.release(serial_number, now)
    except AmbiguousSerialNumber:
        if issuer is None:
            raise
        return registry.release(serial_number, now, issuer.issuer_id)


def revoke_many(
    services: Services,
    serial_numbers: Iterable[int] | None,
    wanted: CertificateFilter,
    reason: CRLReason,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> BulkRevocation:
    """Revoke what has the serial numbers or, without them, all that matches and is not over.

    In batches of 1000, each one transaction; what a batch has done stays done, and calling
    again does the rest.  Without a type, CA certificates do not match.  Raises
    `InvalidRequest` when nothing says which certificates are meant.
    """
    now = utc_seconds(services.clock.now())
    revoke_rule(None, reason, now)
    numbers = None if serial_numbers is None else list(dict.fromkeys(serial_numbers))
    if numbers is not None:
        filters = [
            replace(wanted, serial_numbers=tuple(numbers[start : start + AT_ONCE]))
            for start in range(0, len(numbers), AT_ONCE)
        ]
    elif wanted == CertificateFilter():
        raise InvalidRequest("Say which certificates to revoke: by serials or by a query.")
    else:
        cert_types = wanted.cert_types or _END_ENTITIES
        filters = [replace(wanted, cert_types=cert_types, expires_from=now)]
    steps = Steps(progress, None if numbers is None else len(numbers))
    batches = []
    for one in filters:
        for batch in _batches(services, one, reason, now, dry_run=dry_run):
            batches.append(batch)
            steps.add(len(batch.revoked) + len(batch.already_revoked))
    revoked = [number for batch in batches for number in batch.revoked]
    already = [number for batch in batches for number in batch.already_revoked]
    known = {*revoked, *already}
    unknown = (number for number in numbers or () if number not in known)
    return BulkRevocation(tuple(revoked), tuple(already), tuple(unknown), dry_run)


def _batches(
    services: Services,
    wanted: CertificateFilter,
    reason: CRLReason,
    now: datetime,
    *,
    dry_run: bool,
) -> Iterator[RevokedBatch]:
    after: int | None = 0
    while after is not None:
        batch = services.registry.revoke_many(wanted, reason, now, AT_ONCE, after, dry_run=dry_run)
        if not dry_run and services.observing is not None:
            services.observing.revoked(reason, len(batch.revoked))
        yield batch
        after = batch.following
