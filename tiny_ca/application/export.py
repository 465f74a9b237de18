"""Hand certificates and keys out in the formats that other programs import."""

from collections.abc import Sequence
from itertools import pairwise

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.find import find_same, is_of
from tiny_ca.application.issuance import location_of
from tiny_ca.application.services import Services
from tiny_ca.application.stored import load_files
from tiny_ca.domain.errors import CertNotFound, InvalidRequest, StorageError
from tiny_ca.domain.names import file_name_of
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.bundles import Bundles, Protection
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.storage import Artefacts

__all__ = [
    "export_fullchain",
    "export_java_truststore",
    "export_pkcs7",
    "export_pkcs12",
    "name_of",
    "protection_of",
    "stored_key",
    "stored_with_key",
]


def protection_of(
    password: bytes | str | None, *, encrypted: bool, compatible: bool
) -> Protection | None:
    """Give what protects a bundle, or `None` for one that is said to be in the clear.

    Raises `InvalidRequest` for a password that is missing, empty, or beside *encrypted* false.
    """
    if encrypted and password is None:
        raise InvalidRequest("Pass password=, or say encrypted=False to write it in the clear.")
    if password is None:
        return None
    if not encrypted:
        raise InvalidRequest("A password does nothing with encrypted=False: pass one of them.")
    try:
        octets = password.encode() if isinstance(password, str) else bytes(password)
    except UnicodeEncodeError:
        # Without the cause, which quotes it.
        raise InvalidRequest("The password can't be written as UTF-8.") from None
    return Protection(octets, compatible)


def stored_key(services: Services, certificate: x509.Certificate) -> PrivateKey:
    """Find the private key of a certificate, by its serial number.

    Raises `CertNotFound` when the registry does not have this very certificate, `StorageError`
    when the storage does not hold its key, or can't open it, and `ErrorLoadCert` for a
    malformed one.
    """
    services.crypto.check_readable(certificate)
    record = find_same(services, certificate)
    if record is None:
        raise CertNotFound("The registry does not have this certificate: pass private_key=.")
    try:
        _, key = stored_with_key(services, record)
    except StorageError as error:
        raise StorageError(f"{error} Pass private_key=.") from error
    return key


def stored_with_key(services: Services, record: CertificateRecord) -> tuple[Artefacts, PrivateKey]:
    """Give the files of a row's certificate, and its private key.

    Raises `StorageError` when they are gone, are another certificate's, or can't be read.
    """
    is_ca = record.cert_type is CertType.CA
    file_name = CA_FILE_NAME if is_ca else file_name_of(record.common_name)
    location = location_of(services, record, file_name)
    if location is None:
        raise StorageError("The files of the certificate are not known.")
    artefacts = load_files(services, record, location)
    if not is_of(record, artefacts.certificate):
        raise StorageError("Later files took the certificate's place.")
    if artefacts.private_key is None:
        raise StorageError("The storage does not hold the private key.")
    return artefacts, artefacts.private_key


def export_pkcs12(
    bundles: Bundles,
    chain: Sequence[x509.Certificate],
    private_key: PrivateKey,
    name: str | None,
    protection: Protection | None,
) -> bytes:
    """Give a PKCS #12 of the first of *chain*, named as its common name unless *name* is given.

    Raises `InvalidRequest` for a chain out of order, and as `Bundles.pkcs12` does.
    """
    _check_chain(chain)
    return bundles.pkcs12(
        chain, private_key, name_of(chain[0]) if name is None else name, protection
    )


def name_of(certificate: x509.Certificate) -> str:
    """Give the common name, or the serial number in hex of a certificate that has none."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else f"{certificate.serial_number:x}"


def export_fullchain(
    bundles: Bundles, chain: Sequence[x509.Certificate], *, with_root: bool
) -> bytes:
    """Give PEM, end entity's first, as TLS servers want it.

    The root is left out unless *with_root*: who trusts it has it (RFC 8446 §4.4.2).
    """
    _check_chain(chain)
    is_rooted = chain[-1].issuer == chain[-1].subject
    leaves_root = is_rooted and not with_root and len(chain) > 1
    return bundles.pem(chain[:-1] if leaves_root else chain)


def export_pkcs7(bundles: Bundles, chain: Sequence[x509.Certificate], *, as_der: bool) -> bytes:
    """Give a certs-only PKCS #7 of a chain."""
    _check_chain(chain)
    return bundles.pkcs7(chain, as_der=as_der)


def export_java_truststore(
    bundles: Bundles, certificates: Sequence[x509.Certificate], protection: Protection | None
) -> bytes:
    """Give what Java trusts.  Raises `InvalidRequest` if that is nothing."""
    if not certificates:
        raise InvalidRequest("A truststore holds one certificate or more.")
    return bundles.java_truststore(certificates, protection)


def _check_chain(chain: Sequence[x509.Certificate]) -> None:
    if not chain:
        raise InvalidRequest("A chain begins with the certificate that it is of.")
    try:
        names = [(one.subject, one.issuer) for one in chain]
    except ValueError as error:
        raise InvalidRequest(f"A name in the chain can't be read: {error}") from error
    # RFC 5280 §6.1: the subject of each is the issuer of the one before.
    if not all(below[1] == above[0] for below, above in pairwise(names)):
        raise InvalidRequest("The chain is out of order: each certificate's issuer comes next.")
