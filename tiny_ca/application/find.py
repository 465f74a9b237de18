"""Find one certificate by its serial number."""

from tiny_ca.application.services import Services
from tiny_ca.domain.errors import AmbiguousSerialNumber, CertNotFound
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.ports.issuer import Issuer

__all__ = ["find", "get"]


def find(
    services: Services, serial_number: int, issuer: Issuer | None = None
) -> CertificateRecord | None:
    """Give the certificate with this serial number; of several, the one that *issuer* signed.

    Raises `AmbiguousSerialNumber` when that does not tell.
    """
    try:
        return services.registry.get_by_serial(serial_number)
    except AmbiguousSerialNumber:
        own = None
        if issuer is not None:
            own = services.registry.get_by_serial(serial_number, issuer.issuer_id)
        if own is None:
            raise
        return own


def get(services: Services, serial_number: int, issuer: Issuer | None = None) -> CertificateRecord:
    """Give the certificate as `find` does.  Raises `CertNotFound` if there is none."""
    record = find(services, serial_number, issuer)
    if record is None:
        raise CertNotFound
    return record
