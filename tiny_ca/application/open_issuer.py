"""Find the CA that the registry and the storage hold between them."""

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.chain import parent_of
from tiny_ca.application.issuance import location_of
from tiny_ca.application.recover import recover
from tiny_ca.application.services import Services
from tiny_ca.application.stored import load_files
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.errors import CertNotFound, StorageError, ValidationCertError
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import Issuer, is_ca, own_issuer_id

__all__ = ["open_issuer", "open_parent"]


def open_issuer(services: Services, which: str | int | None) -> Issuer:
    """Load the valid CA of this common name or serial number, or the only one there is.

    Raises `CertNotFound` when there is none or the choice is open, `StorageError` when its
    files are missing or the storage's passphrase does not open them, `ErrorLoadCert` when
    they are not a CA's.
    """
    record = _by_serial(services, which) if isinstance(which, int) else _find(services, which)
    location = _location(services, record)
    try:
        artefacts = load_files(services, record, location)
    except StorageError:
        # Whoever made it may have committed it, and not published its files yet.
        recover(services)
        artefacts = load_files(services, record, location)
    if artefacts.private_key is None:
        raise StorageError(f"The storage does not hold the private key of {record.common_name!r}.")
    return services.crypto.issuer(artefacts.certificate, artefacts.private_key)


def open_parent(services: Services, ca: x509.Certificate) -> Issuer:
    """Load the CA above *ca*: its successor, if it was rolled over.

    Raises `ValidationCertError` when it is not on record, and as `open_issuer`.
    """
    above = parent_of(services, ca)
    if above is None:
        raise ValidationCertError("The CA above this one is not on record: import it.")
    for record in services.registry.issuer_certificates(own_issuer_id(above)):
        current = active_by_name(services, record.common_name)
        if current is not None and _subject(current) == above.subject:
            return open_issuer(services, current.serial_number)
    return open_issuer(services, above.serial_number)


def _subject(record: CertificateRecord) -> x509.Name | None:
    if record.cert_type is not CertType.CA or record.certificate_pem is None:
        return None
    return x509.load_pem_x509_certificate(record.certificate_pem.encode()).subject


def _by_serial(services: Services, serial_number: int) -> CertificateRecord:
    record = services.registry.get_by_serial(serial_number)
    if record is None or record.cert_type is not CertType.CA or record.certificate_pem is None:
        raise CertNotFound(f"The registry has no CA's certificate {serial_number}.")
    status = record.status_at(services.clock.now())
    if status is not CertificateStatus.VALID:
        raise CertNotFound(f"The CA's certificate {serial_number} is {status}.")
    return record


def _find(services: Services, common_name: str | None) -> CertificateRecord:
    if common_name is not None:
        record = active_by_name(services, common_name)
        if record is None or record.cert_type is not CertType.CA:
            raise CertNotFound(f"The registry has no valid CA {common_name!r}.")
        return record
    now = services.clock.now()
    valid = [
        record
        for record in services.registry.authorities()
        # A request without a profile may have the type of a CA, and be none.
        if record.status_at(now) is CertificateStatus.VALID and _is_ca(record)
    ]
    if len(valid) > 1:
        # One that was rolled over, links, and other CAs' under this one have no claim.
        valid = [one for one in valid if active_by_name(services, one.common_name) == one]
    if len(valid) != 1:
        names = ", ".join(repr(record.common_name) for record in valid) or "none"
        raise CertNotFound(f"Say which CA to open by its common name; there are: {names}.")
    return valid[0]


def _is_ca(record: CertificateRecord) -> bool:
    pem = record.certificate_pem
    return pem is not None and is_ca(x509.load_pem_x509_certificate(pem.encode()))


def _location(services: Services, record: CertificateRecord) -> Location:
    location = location_of(services, record, CA_FILE_NAME)
    if location is None:
        raise CertNotFound(f"The files of {record.common_name!r} are not in this storage.")
    return location
