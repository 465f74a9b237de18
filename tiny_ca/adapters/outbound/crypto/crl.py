"""Building and signing complete CRLs (RFC 5280 §5)."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.adapters.outbound.crypto.extensions import authority_key_identifier
from tiny_ca.adapters.outbound.crypto.keys import signature_hash
from tiny_ca.domain.errors import SigningError
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason

__all__ = ["sign_crl"]


def _revoked_certificate(entry: CRLEntry) -> x509.RevokedCertificate:
    date = entry.revocation_date.replace(tzinfo=None)
    builder = x509.RevokedCertificateBuilder(entry.serial_number, date)
    if entry.revocation_reason is not CRLReason.UNSPECIFIED:
        # RFC 5280 §5.3.1: the reason should be absent rather than unspecified.
        reason = x509.CRLReason(x509.ReasonFlags(entry.revocation_reason.value))
        builder = builder.add_extension(reason, critical=False)
    return builder.build()


def sign_crl(
    ca: x509.Certificate,
    key: CertificateIssuerPrivateKeyTypes,
    stamp: CRLStamp,
    entries: Iterable[CRLEntry],
) -> x509.CertificateRevocationList:
    """Sign a complete CRL with its number (§5.2.3) and authority key identifier (§5.2.1).

    Raises `SigningError` when the key can't sign, or its signature does not verify.
    """
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (authority_key_identifier(ca), False),
        (x509.CRLNumber(stamp.number), False),
    ]
    # The constructor takes all entries at once; adding them one by one is quadratic.
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=ca.subject,
        last_update=stamp.this_update.replace(tzinfo=None),
        next_update=stamp.next_update.replace(tzinfo=None),
        extensions=[x509.Extension(value.oid, critical, value) for value, critical in extensions],
        revoked_certificates=[_revoked_certificate(entry) for entry in entries],
    )
    try:
        crl = builder.sign(key, signature_hash(key))
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"The CA's key did not sign the CRL: {error}") from error
    if not crl.is_signature_valid(ca.public_key()):  # type: ignore[arg-type]  # a CA's key
        raise SigningError("The new CRL's signature does not verify; it was discarded.")
    return crl
