"""Certificates for keys that are certified already: renewals, and co-signatures."""

from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from tiny_ca.application.find import check_is_issuer, get
from tiny_ca.application.issuance import (
    Order,
    Outcome,
    location_of,
    new_location,
    run_issuance,
)
from tiny_ca.application.issue import order
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import (
    AnotherIssuer,
    FileAlreadyExists,
    InvalidName,
    InvalidRequest,
    ValidationCertError,
)
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.names import (
    SUBJECT_ATTRIBUTES,
    CertificateInfo,
    GeneralName,
    file_name_of,
)
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.domain.profiles import Profile, flag_profile
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, RetryKey
from tiny_ca.domain.requests import IssuanceRequest
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import Issuer, is_ca
from tiny_ca.ports.storage import Artefacts

__all__ = ["alternative_names", "cosign", "renew"]

_ATTRIBUTES = {oid: attribute for attribute, oid in SUBJECT_ATTRIBUTES}


def renew(
    services: Services,
    issuer: Issuer,
    serial_number: int,
    *,
    lifetime: timedelta | int,
    valid_from: datetime | None = None,
    retry_key: RetryKey | None = None,
) -> Outcome:
    """Issue a certificate with the key and the names of an old one, for a new period.

    The old one stays valid, since others may still be serving it, and gives up its claim on
    the name.  The profile that it was issued by decides anew.  A CA that was rolled over renews
    what its former key has signed.  Raises `CertNotFound`, and
    `ValidationCertError` for one that is revoked, unfinished, a CA's, or another issuer's;
    `ErrorLoadCert` for one from elsewhere that is malformed.
    """
    record, old = _renewable(services, issuer, serial_number)
    request = _request_like(services, old, _profile_of(services, record, old), record.cert_type)
    request = replace(request, lifetime=lifetime, valid_from=valid_from)
    held, file_name = _held(services, record)
    wanted = order(
        services,
        issuer,
        request,
        new_location(services, file_name, record.cert_path, None),
        subject=old.subject,
    )
    is_valid = record.status_at(services.clock.now()) is CertificateStatus.VALID
    [outcome] = run_issuance(
        services,
        [
            replace(
                wanted,
                key=None if held is None else held.private_key,
                public_key=old.public_key() if held is None or held.private_key is None else None,
                csr=None if held is None else held.csr,
                with_csr=False,
                predecessor=serial_number if is_valid else None,
                predecessor_issuer_id=record.issuer_id,
                supersedes=False,
                is_renewal=True,
                retry_key=retry_key,
            )
        ],
    )
    return outcome


def _renewable(
    services: Services, issuer: Issuer, serial_number: int
) -> tuple[CertificateRecord, x509.Certificate]:
    """Find what may be renewed.  Raises as `renew` does before it issues."""
    record = get(services, serial_number, issuer)
    status = record.status_at(services.clock.now())
    if status not in (CertificateStatus.VALID, CertificateStatus.EXPIRED):
        raise ValidationCertError(
            f"The certificate {serial_number} is {status} and can't be renewed: issue a new one."
        )
    if record.certificate_pem is None:
        raise ValidationCertError(f"Of the certificate {serial_number}, only the row is known.")
    try:
        check_is_issuer(record, issuer.certificate)
    except AnotherIssuer as error:
        raise ValidationCertError(
            f"Another CA issued the certificate {serial_number}: stand under that one to renew it."
        ) from error
    old = x509.load_pem_x509_certificate(record.certificate_pem.encode())
    services.crypto.check_readable(old)
    if is_ca(old):
        raise ValidationCertError("A CA's certificate is not renewed: roll the CA over.")
    return record, old


def cosign(
    services: Services,
    issuer: Issuer,
    certificate: x509.Certificate,
    *,
    profile: str | None = None,
    lifetime: timedelta | int | None = None,
    valid_from: datetime | None = None,
) -> Outcome:
    """Certify the key and the names of somebody else's certificate under *issuer*.

    By *profile*, or else for the purposes of servers and clients that it has; nothing else of
    it is taken over.  Without *lifetime* it ends with the other certificate.  Raises
    `InvalidRequest` for a CA's certificate, `ErrorLoadCert` for a malformed one, `InvalidName`
    for names that are not issued here, `WeakKey`, `ProfileViolation`.
    """
    services.crypto.check_readable(certificate)
    if is_ca(certificate):
        raise InvalidRequest("A CA is not co-signed: cross-sign it, with limits.")
    chosen = _purposes(certificate) if profile is None else services.policy.profile(profile)
    request = _request_like(services, certificate, chosen, None)
    if lifetime is None:
        begin = utc_seconds(services.clock.now() if valid_from is None else valid_from)
        lifetime = certificate.not_valid_after_utc - begin
        if not chosen.backdate:
            # From here on the time is the same, or it would end later than the other one.
            valid_from = begin
    request = replace(request, lifetime=lifetime, valid_from=valid_from)
    wanted: Order = order(
        services,
        issuer,
        request,
        new_location(services, file_name_of(request.common_name), None, None),
    )
    [outcome] = run_issuance(services, [replace(wanted, public_key=certificate.public_key())])
    return outcome


def _held(services: Services, record: CertificateRecord) -> tuple[Artefacts | None, str]:
    """Give what the storage holds of a certificate, if anything, and its files' name."""
    file_name = record.file_name or file_name_of(record.common_name)
    location = location_of(services, record, file_name)
    if location is None:
        return None, file_name
    try:
        services.storage.check_vacant(location)
    except FileAlreadyExists:
        return services.storage.load(location), file_name
    return None, file_name


def _profile_of(
    services: Services, record: CertificateRecord, certificate: x509.Certificate
) -> Profile:
    if record.profile is not None:
        return services.policy.profile(record.profile)
    return _purposes(certificate)


def _purposes(certificate: x509.Certificate) -> Profile:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        purposes = {oid.dotted_string for oid in found.value}
    except x509.ExtensionNotFound:
        purposes = set()
    return flag_profile(
        is_server=ExtendedKeyUsage.SERVER_AUTH in purposes,
        is_client=ExtendedKeyUsage.CLIENT_AUTH in purposes,
    )


def _request_like(
    services: Services,
    certificate: x509.Certificate,
    profile: Profile,
    cert_type: CertType | None,
) -> IssuanceRequest:
    """Ask for what *certificate* says, as far as it is issued here."""
    subject = _subject(certificate.subject)
    return IssuanceRequest(
        common_name=subject["common_name"],
        profile=profile,
        key=services.crypto.key_spec(certificate.public_key()),
        cert_type=cert_type,
        subject=CertificateInfo(
            **{name: value for name, value in subject.items() if name in _INFO}
        ),
        email=subject.get("email"),
        names=alternative_names(certificate),
    )


_INFO = frozenset({"organization", "organizational_unit", "country", "state", "locality"})


def _subject(name: x509.Name) -> dict[str, str]:
    subject: dict[str, str] = {}
    for attribute in name:
        known = _ATTRIBUTES.get(attribute.oid.dotted_string)
        if known is None or known in subject or not isinstance(attribute.value, str):
            raise InvalidName(
                f"The subject attribute {attribute.oid.dotted_string} is not issued here, or "
                "is there twice."
            )
        subject[known] = attribute.value
    if "common_name" not in subject:
        raise InvalidName("The subject has no common name, and certificates here have one.")
    return subject


def alternative_names(certificate: x509.Certificate) -> tuple[GeneralName, ...]:
    """Give the alternative names.  Raises `InvalidName` for one that is not issued here."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(_general_name(name) for name in found.value)


def _general_name(name: x509.GeneralName) -> GeneralName:
    match name:
        case x509.DNSName():
            return GeneralName.dns(name.value)
        case x509.IPAddress():
            return GeneralName.ip(str(name.value))
        case x509.RFC822Name():
            return GeneralName.email(name.value)
        case x509.UniformResourceIdentifier():
            return GeneralName.uri(name.value)
    raise InvalidName(f"A name of kind {type(name).__name__} is not issued here.")
