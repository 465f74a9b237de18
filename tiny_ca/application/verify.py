"""Answer for certificates."""

from cryptography import x509

from tiny_ca.application.chain import check_on_record
from tiny_ca.application.find import find
from tiny_ca.application.services import Services
from tiny_ca.domain.crl_reader import CRLReader
from tiny_ca.domain.errors import ErrorLoadCert, ValidationCertError
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.ports.issuer import Issuer, issuer_id_of

__all__ = ["active_by_name", "certificate_status", "verify", "verify_crl"]


def certificate_status(
    services: Services, serial_number: int, issuer: Issuer | None = None
) -> CertificateStatus:
    """Give the status now; `UNKNOWN` for a serial number that the registry does not have."""
    record = find(services, serial_number, issuer)
    if record is None:
        return CertificateStatus.UNKNOWN
    return record.status_at(services.clock.now())


def active_by_name(services: Services, common_name: str) -> CertificateRecord | None:
    """Give the valid certificate that claims *common_name*, unless it has expired."""
    record = services.registry.get_by_name(common_name)
    if record is None or record.status_at(services.clock.now()) is CertificateStatus.EXPIRED:
        return None
    return record


def verify_crl(services: Services, issuer: Issuer, crl: bytes | memoryview) -> CRLReader:
    """Check that *issuer* signed a CRL, DER, and that it is current; give what it says.

    Raises `ValidationCertError`.
    """
    read, now = issuer.verify_crl(crl), services.clock.now()
    validity = Validity(read.stamp.this_update, read.stamp.next_update)
    if not validity.contains(now):
        raise ValidationCertError(
            f"The CRL is of {validity.not_before.isoformat()}, the next is due at "
            f"{validity.not_after.isoformat()}, and now is {now.isoformat()}."
        )
    return read


def verify(services: Services, issuer: Issuer, certificate: x509.Certificate) -> None:
    """Check that *issuer* signed *certificate*, and that the registry has it, valid, now.

    Raises `ValidationCertError`: for another issuer, a bad signature, a period (its own or
    the issuer's) that does not hold now, a serial number that the registry does not know or
    knows of another certificate, and one that is revoked, or whose issuer is.
    """
    issuer.verify(certificate)
    now = services.clock.now()
    for subject, which in ((issuer.certificate, "issuer's"), (certificate, "certificate's")):
        validity = Validity(subject.not_valid_before_utc, subject.not_valid_after_utc)
        if not validity.contains(now):
            raise ValidationCertError(
                f"The {which} validity is from {validity.not_before.isoformat()} "
                f"to {validity.not_after.isoformat()}, and now is {now.isoformat()}."
            )
    check_on_record(services, issuer.certificate)
    number = certificate.serial_number
    record = services.registry.get_by_serial(number, issuer.issuer_id)
    if record is None:
        # One from elsewhere may call the key that has signed it something else.
        record = services.registry.get_by_serial(number, _named_issuer(services, certificate))
    if record is None or record.certificate_pem is None:
        raise ValidationCertError(
            f"The registry does not know the certificate {certificate.serial_number}."
        )
    if x509.load_pem_x509_certificate(record.certificate_pem.encode()) != certificate:
        raise ValidationCertError(
            f"The registry knows another certificate as {certificate.serial_number}."
        )
    if record.status_at(now) is not CertificateStatus.VALID:
        raise ValidationCertError(f"The certificate is {record.status_at(now)}.")


def _named_issuer(services: Services, certificate: x509.Certificate) -> str:
    try:
        services.crypto.check_readable(certificate)
    except ErrorLoadCert as error:
        raise ValidationCertError(f"The certificate is malformed: {error}") from error
    return issuer_id_of(certificate)
