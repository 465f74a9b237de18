"""What an issuer has published, as others fetch it."""

from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from tiny_ca.application.crl_files import crl_file_name
from tiny_ca.application.services import Services
from tiny_ca.domain.crl import COMPLETE, CRLScope
from tiny_ca.domain.crl_reader import AUTHORITY_KEY_IDENTIFIER, CRLReader, parse_crl
from tiny_ca.domain.errors import MalformedDER, StorageError
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.ports.issuer import Issuer

__all__ = ["CRLDocument", "is_crl_of", "issuer_certificate", "published_crl"]


class CRLDocument(NamedTuple):
    """A published CRL, DER, and from when to when it counts."""

    der: bytes | memoryview
    this_update: datetime
    next_update: datetime
    max_age: int
    """Seconds from now to *next_update*; 0 if that is past."""


def published_crl(
    services: Services, issuer_id: str, scope: CRLScope = COMPLETE
) -> CRLDocument | None:
    """Give one of an issuer's CRLs; `None`: it has published none of this scope.

    Raises `StorageError`.
    """
    ca = issuer_certificate(services, issuer_id)
    if ca is None:
        return None
    der = services.storage.read_crl(crl_file_name(services, issuer_id, scope))
    if der is None:
        return None
    try:
        crl = parse_crl(der)
    except MalformedDER as error:
        raise StorageError(f"The published CRL can't be read: {error}") from error
    if not is_crl_of(crl, ca):
        return None
    left = crl.stamp.next_update - utc_seconds(services.clock.now())
    max_age = max(0, int(left.total_seconds()))
    return CRLDocument(der, crl.stamp.this_update, crl.stamp.next_update, max_age)


def is_crl_of(crl: CRLReader, ca: x509.Certificate) -> bool:
    """Whether a CRL names *ca* as its issuer, and its key (RFC 5280 §5.2.1)."""
    # Its authority key identifier tells apart CAs that share a name.
    _, authority = crl.extensions.get(AUTHORITY_KEY_IDENTIFIER, (False, b""))
    return crl.issuer == ca.subject.public_bytes() and _is_key_of(authority, ca)


def _is_key_of(authority: bytes, ca: x509.Certificate) -> bool:
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    return own in authority


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
