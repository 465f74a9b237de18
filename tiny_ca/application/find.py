"""Find one certificate by its serial number."""

from cryptography import x509

from tiny_ca.application.services import Services
from tiny_ca.domain.catalogue import AT_ONCE, CertificateFilter
from tiny_ca.domain.errors import AmbiguousSerialNumber, AnotherIssuer, CertNotFound
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.ports.issuer import Issuer, is_self_issued, issuer_id_of, own_issuer_id

__all__ = ["check_is_issuer", "find", "find_same", "get", "is_of"]


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


def find_same(services: Services, certificate: x509.Certificate) -> CertificateRecord | None:
    """Give the row of this very certificate; `None` if there is none, or of another alone."""
    number = certificate.serial_number
    record = services.registry.get_by_serial(number, issuer_id_of(certificate))
    if record is not None:
        return record if is_of(record, certificate) else None
    # A certificate from elsewhere need not say which key has signed it (RFC 5280 §4.2.1.1).
    wanted = CertificateFilter(serial_numbers=(number,))
    found = services.registry.page(wanted, services.clock.now(), AT_ONCE)
    return next((one for one in found if is_of(one, certificate)), None)


def is_of(record: CertificateRecord, certificate: x509.Certificate) -> bool:
    """Whether a row is this very certificate's."""
    pem = record.certificate_pem
    return pem is not None and x509.load_pem_x509_certificate(pem.encode()) == certificate


def check_is_issuer(record: CertificateRecord, ca: x509.Certificate | None) -> None:
    """Check that *ca* issued a certificate, or has rolled over the key that did.

    Names are claimed across the CAs of a registry, and none revokes what another vouches for.
    `None`: a root, which takes the place of a root.  Raises `AnotherIssuer`.
    """
    if ca is not None and record.issuer_id == own_issuer_id(ca):
        return
    if record.certificate_pem is None:
        raise AnotherIssuer(record.serial_number, record.issuer_id)
    certificate = x509.load_pem_x509_certificate(record.certificate_pem.encode())
    is_ours = is_self_issued(certificate) if ca is None else certificate.issuer == ca.subject
    if not is_ours:
        raise AnotherIssuer(record.serial_number, certificate.issuer.rfc4514_string())
