"""Revoke certificates, and release those on hold."""

from tiny_ca.application.services import Services
from tiny_ca.domain.errors import AmbiguousSerialNumber
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.issuer import Issuer

__all__ = ["release", "revoke"]


def revoke(
    services: Services,
    serial_number: int,
    reason: CRLReason,
    within: object = None,
    issuer: Issuer | None = None,
) -> bool:
    """Revoke a certificate.  True: it is revoked now; false: the registry does not know it.

    Of several with this serial number, the one that *issuer* signed.
    """
    now, registry = utc_seconds(services.clock.now()), services.registry
    try:
        return registry.revoke(serial_number, reason, now, within)
    except AmbiguousSerialNumber:
        if issuer is None:
            raise
        return registry.revoke(serial_number, reason, now, within, issuer.issuer_id)


def release(services: Services, serial_number: int, issuer: Issuer | None = None) -> bool:
    """Lift a certificateHold.  False: the registry does not know the certificate."""
    now, registry = utc_seconds(services.clock.now()), services.registry
    try:
        return registry.release(serial_number, now)
    except AmbiguousSerialNumber:
        if issuer is None:
            raise
        return registry.release(serial_number, now, issuer.issuer_id)
