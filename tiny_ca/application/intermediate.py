"""Issue certificates of CAs: intermediates, and other CAs' under this one."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePath

from cryptography import x509

from tiny_ca.application.authority import display_name
from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.issuance import Order, Outcome, new_location, run_issuance
from tiny_ca.application.issue import carry_out, order
from tiny_ca.application.requests import CAConfig
from tiny_ca.application.services import Services
from tiny_ca.domain.built_in_profiles import CA_PROFILE
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.names import CertificateInfo
from tiny_ca.domain.plan import PlannedConstraints
from tiny_ca.domain.records import RetryKey
from tiny_ca.domain.requests import IssuanceRequest
from tiny_ca.ports.issuer import Issuer, is_ca

__all__ = ["ca_request", "cross_sign", "issue_intermediate", "order_cross", "order_intermediate"]


def issue_intermediate(
    services: Services,
    issuer: Issuer,
    config: CAConfig,
    folder: str | PurePath | None = None,
    uuid: str | None = None,
    *,
    is_overwrite: bool = False,
    retry_key: RetryKey | None = None,
) -> Outcome:
    """Issue a CA's certificate, with a new key, under *issuer*.

    With *is_overwrite* the valid certificate of the same common name is superseded.
    """
    wanted = order_intermediate(services, issuer, config, folder, uuid)
    return carry_out(services, wanted, is_overwrite=is_overwrite, retry_key=retry_key)


def order_intermediate(
    services: Services,
    issuer: Issuer,
    config: CAConfig,
    folder: str | PurePath | None,
    uuid: str | None = None,
) -> Order:
    """Plan an intermediate CA; nothing is written."""
    request = ca_request(
        services,
        config.common_name,
        config.key_spec,
        config.days_valid,
        config.valid_from,
        config.path_length,
        None if config.name_constraints is None else config.name_constraints.planned,
        CertificateInfo(
            config.organization,
            config.organizational_unit,
            config.country,
            config.state,
            config.locality,
        ),
    )
    return order(services, issuer, request, new_location(services, CA_FILE_NAME, folder, uuid))


def ca_request(
    services: Services,
    common_name: str,
    key: KeySpec,
    lifetime: timedelta | int | None,
    valid_from: datetime | None,
    path_length: int | None,
    name_constraints: PlannedConstraints | None,
    subject: CertificateInfo,
) -> IssuanceRequest:
    """Ask for a CA's certificate by the profile for CAs."""
    profile = replace(services.policy.profile(CA_PROFILE), path_length=path_length)
    return IssuanceRequest(
        common_name=common_name,
        profile=profile,
        key=key,
        lifetime=lifetime,
        valid_from=valid_from,
        subject=subject,
        name_constraints=name_constraints,
    )


def cross_sign(
    services: Services,
    issuer: Issuer,
    certificate: x509.Certificate,
    *,
    lifetime: timedelta | int | None = None,
    not_after: datetime | None = None,
    path_length: int | None = None,
    name_constraints: PlannedConstraints | None = None,
    folder: str | PurePath | None = None,
) -> Outcome:
    """Certify another CA's name and key under *issuer*: what it issues is trusted here, too.

    Its name is taken over as it is encoded; of everything else, nothing.  Without *lifetime*
    or *not_after* it ends with the other certificate.  Raises `InvalidRequest` for what is no CA's
    certificate, or the issuer's own; `ErrorLoadCert` for a malformed one; `WeakKey`;
    `ProfileViolation`.
    """
    services.crypto.check_readable(certificate)
    if not is_ca(certificate):
        raise InvalidRequest("Only a CA is cross-signed: co-sign other certificates.")
    if certificate.public_key() == issuer.certificate.public_key():
        raise InvalidRequest("A CA can't cross-sign its own key.")
    wanted = order_cross(
        services,
        issuer,
        certificate,
        lifetime=lifetime,
        not_after=not_after,
        path_length=path_length,
        name_constraints=name_constraints,
        folder=folder,
    )
    [outcome] = run_issuance(services, [wanted])
    return outcome


def order_cross(
    services: Services,
    issuer: Issuer,
    certificate: x509.Certificate,
    *,
    lifetime: timedelta | int | None = None,
    not_after: datetime | None = None,
    path_length: int | None = None,
    name_constraints: PlannedConstraints | None = None,
    folder: str | PurePath | None = None,
) -> Order:
    """Plan what `cross_sign` issues; nothing is written."""
    public_key = certificate.public_key()
    valid_from = None
    if lifetime is None:
        # From here on the time is the same, or a period that was counted from now ends later.
        valid_from = utc_seconds(services.clock.now())
        lifetime = (not_after or certificate.not_valid_after_utc) - valid_from
    request = ca_request(
        services,
        display_name(certificate.subject),
        services.crypto.key_spec(public_key),
        lifetime,
        valid_from,
        path_length,
        name_constraints,
        CertificateInfo(),
    )
    # The name belongs to the other CA; its own certificate may be on record as well.
    request = replace(request, profile=replace(request.profile, claims_name=False))
    wanted = order(
        services,
        issuer,
        request,
        new_location(services, CA_FILE_NAME, folder, None),
        subject=certificate.subject,
    )
    return replace(wanted, public_key=public_key)
