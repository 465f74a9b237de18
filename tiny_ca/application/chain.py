"""From a certificate up to a root, through the CAs on record."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from cryptography import x509

from tiny_ca.application.services import Services
from tiny_ca.domain.errors import RegistryError, ValidationCertError
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.ports.issuer import (
    is_ca,
    is_self_issued,
    issuer_id_of,
    names_issuer_key,
    own_issuer_id,
)

__all__ = ["chain_of", "check_not_revoked", "check_on_record", "parent_of", "roots_above"]

_LONGEST = 16


def chain_of(
    services: Services, certificate: x509.Certificate, *known: x509.Certificate
) -> list[x509.Certificate]:
    """Give *certificate*, its issuer, that one's, and so on, as far as they are on record.

    A root comes last, if it is.  *known* are CAs beside those of the registry.  Of a CA with
    several certificates, one that is valid now and ends last is taken.  Raises
    `ValidationCertError` when not even the first issuer is on record.
    """
    try:
        chain = [certificate, *_ancestors(services, certificate, known)]
    except ValueError as error:
        raise ValidationCertError(f"The certificate is malformed: {error}") from error
    if len(chain) == 1 and not is_self_issued(certificate):
        raise ValidationCertError(
            "No CA on record issued this certificate: stand under its CA, or import that first."
        )
    return chain


def _ancestors(
    services: Services, certificate: x509.Certificate, known: Sequence[x509.Certificate]
) -> Iterator[x509.Certificate]:
    seen = {certificate}
    while not is_self_issued(certificate) and len(seen) < _LONGEST:
        parent = parent_of(services, certificate, known)
        if parent is None or parent in seen:
            return
        yield parent
        seen.add(parent)
        certificate = parent


def parent_of(
    services: Services, certificate: x509.Certificate, known: Sequence[x509.Certificate] = ()
) -> x509.Certificate | None:
    """Give a certificate of the CA that signed *certificate*; `None`: none is on record."""
    issuer_id, now = issuer_id_of(certificate), services.clock.now()
    records = services.registry.issuer_certificates(issuer_id)
    if not records and not names_issuer_key(certificate):
        records = _of_name(services, certificate.issuer)
    candidates = [
        (record.status_at(now) is CertificateStatus.VALID, record.not_after, _loaded(record))
        for record in records
    ]
    on_record = {candidate for _, _, candidate in candidates}
    candidates += [
        (True, ca.not_valid_after_utc, ca)
        for ca in known
        if own_issuer_id(ca) == issuer_id and ca not in on_record
    ]
    for _, _, ca in sorted(candidates, key=lambda each: each[:2], reverse=True):
        if is_ca(ca) and services.crypto.is_issued_by(certificate, ca):
            return ca
    return None


def roots_above(
    services: Services, ca: x509.Certificate, *, has_registry: bool
) -> list[x509.Certificate]:
    """Give the root above *ca*, and valid ones of the same name that are on record.

    What a root signed before it was rolled over is trusted until it ends.  Raises
    `ValidationCertError` if the root is not on record.
    """
    root = chain_of(services, ca, ca)[-1]
    if not is_self_issued(root):
        raise ValidationCertError(
            "The root above this CA is not on record: import its certificate first."
        )
    now = services.clock.now()
    valid = [
        _loaded(record)
        for record in (services.registry.authorities() if has_registry else ())
        if record.status_at(now) is CertificateStatus.VALID
    ]
    others = [one for one in valid if is_self_issued(one) and one.subject == root.subject]
    return [root, *(one for one in others if one != root)]


def _of_name(services: Services, name: x509.Name) -> list[CertificateRecord]:
    """Give the CAs of a name: a certificate that says no more may be of any (RFC 5280 §4.2.1.1)."""
    return [one for one in services.registry.authorities() if _loaded(one).subject == name]


def check_on_record(services: Services, ca: x509.Certificate) -> None:
    """Check that no CA from *ca* up to its root is revoked on record.

    A CA from elsewhere need not be in the registry.  Raises `ValidationCertError`.
    """
    check_not_revoked(services, (ca, *_ancestors(services, ca, ())))


def check_not_revoked(services: Services, authorities: Iterable[x509.Certificate]) -> None:
    """Check that none of these CAs' certificates is revoked.  Raises `ValidationCertError`."""
    for authority in authorities:
        serial_number, signer = authority.serial_number, issuer_id_of(authority)
        for record in services.registry.issuer_certificates(own_issuer_id(authority)):
            is_it = (record.serial_number, record.issuer_id) == (serial_number, signer)
            if is_it and record.status is CertificateStatus.REVOKED:
                name = authority.subject.rfc4514_string()
                raise ValidationCertError(f"The certificate's issuer is revoked: the CA {name}.")


def _loaded(record: CertificateRecord) -> x509.Certificate:
    if record.certificate_pem is None:
        raise RegistryError(f"The CA {record.common_name!r} has no certificate on record.")
    return _read(record.certificate_pem)


@lru_cache(maxsize=64)
def _read(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
