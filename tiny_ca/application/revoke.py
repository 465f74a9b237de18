"""Revoke certificates, and release those on hold."""

from datetime import datetime

from tiny_ca.application.services import Services
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.revocation import CRLReason

__all__ = ["release", "revoke"]


def revoke(
    services: Services,
    serial_number: int,
    reason: CRLReason,
    within: object = None,
    invalidity_date: datetime | None = None,
) -> bool:
    """Revoke a certificate.  True: it is revoked now; false: the registry does not know it."""
    now = utc_seconds(services.clock.now())
    since = None if invalidity_date is None else utc_seconds(invalidity_date)
    return services.registry.revoke(serial_number, reason, now, within, since)


def release(services: Services, serial_number: int) -> bool:
    """Lift a certificateHold.  False: the registry does not know the certificate."""
    return services.registry.release(serial_number, utc_seconds(services.clock.now()))
