"""What an issuer has published, as others fetch it."""

from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from tiny_ca.application.publish_crl import CRL_FILE_NAME
from tiny_ca.application.services import Services
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.errors import MalformedDER, StorageError
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.publication import PublishedFiles

__all__ = ["CRLDocument", "issuer_certificate", "published_crl"]

_INTEGER, _UTC_TIME, _GENERALIZED_TIME = 0x02, 0x17, 0x18


class CRLDocument(NamedTuple):
    """A published CRL, DER, and from when to when it counts."""

    der: bytes | memoryview
    this_update: datetime
    next_update: datetime
    max_age: int
    """Seconds from now to *next_update*; 0 if that is past."""


def published_crl(services: Services, issuer_id: str) -> CRLDocument | None:
    """Give an issuer's complete CRL; `None`: it has published none, or it is another one's.

    Raises `StorageError`.
    """
    ca = issuer_certificate(services, issuer_id)
    if ca is None or not isinstance(services.storage, PublishedFiles):
        return None
    der = services.storage.read_crl(CRL_FILE_NAME)
    if der is None:
        return None
    try:
        issuer, this_update, next_update = _read_head(der)
    except MalformedDER as error:
        raise StorageError(f"The published CRL can't be read: {error}") from error
    # RFC 5280 §5.2.1: its authority key identifier tells apart CAs that share a name.
    if issuer != ca.subject.public_bytes() or not _is_by(der, ca):
        return None
    left = next_update - utc_seconds(services.clock.now())
    return CRLDocument(der, this_update, next_update, max(0, int(left.total_seconds())))


def _read_head(der: bytes | memoryview) -> tuple[bytes, datetime, datetime]:
    """Read what comes before the entries, however many these are (§5.1.2)."""
    tbs = Reader(der).sequence().sequence()
    if tbs.peek() == _INTEGER:
        tbs.element()
    tbs.element()
    issuer, this_update = tbs.encoded(), tbs.time()
    if tbs.peek() not in (_UTC_TIME, _GENERALIZED_TIME):
        raise MalformedDER("The CRL has no nextUpdate.")
    return issuer, this_update, tbs.time()


def _is_by(der: bytes | memoryview, ca: x509.Certificate) -> bool:
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    tbs = Reader(der).sequence().sequence()
    while tbs:
        extensions = tbs.explicit(0)
        if extensions is not None:
            return any(
                extension.object_identifier() == "2.5.29.35" and own in extension.octet_string()
                for extension in extensions.sequence().each(0x30)
            )
        tbs.element()
    return False


def issuer_certificate(
    services: Services, issuer_id: str, own: Issuer | None = None
) -> x509.Certificate | None:
    """Give the certificate of the CA with this id, one that is valid now and ends last.

    Of one that has none any more, the last it had; *own* is a CA beside those on record.
    """
    now = services.clock.now()
    records = [
        record
        for record in services.registry.issuer_certificates(issuer_id)
        if record.certificate_pem is not None
    ]
    if not records:
        return own.certificate if own is not None and own.issuer_id == issuer_id else None
    best = max(
        records,
        key=lambda record: (record.status_at(now) is CertificateStatus.VALID, record.not_after),
    )
    return x509.load_pem_x509_certificate((best.certificate_pem or "").encode())
