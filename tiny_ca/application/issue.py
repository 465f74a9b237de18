"""Issue an end-entity certificate, in place of another one or not."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from cryptography import x509

from tiny_ca.application.authority import authority_of
from tiny_ca.application.chain import chain_of
from tiny_ca.application.find import check_is_issuer
from tiny_ca.application.issuance import (
    Order,
    Outcome,
    location_of,
    new_location,
    run_issuance,
)
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.services import Services
from tiny_ca.application.stored import are_replaced
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.errors import InvalidRequest, ValidityShortened
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.domain.planning import plan_issuance
from tiny_ca.domain.profiles import Profile, flag_profile
from tiny_ca.domain.records import CertificateRecord, Location, RetryKey
from tiny_ca.domain.requests import Authority, IssuanceRequest
from tiny_ca.domain.serial import RANDOM_BITS, CertType
from tiny_ca.ports.constraints import distinguished_name
from tiny_ca.ports.issuer import Issuer, issuer_id_of
from tiny_ca.ports.progress import Progress

__all__ = [
    "carry_out",
    "carry_out_all",
    "issue",
    "issue_many",
    "order",
    "order_leaf",
    "plan_quietly",
    "plan_under",
    "profile_of",
]


def issue(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    folder: str | PurePath | None = None,
    uuid: str | None = None,
    *,
    is_overwrite: bool = False,
    retry_key: RetryKey | None = None,
) -> Outcome:
    """Issue a certificate with a new key.

    With *is_overwrite* the valid certificate of the same common name is superseded, in one
    transaction with the new one, and its files are deleted afterwards.
    """
    wanted = order_leaf(services, issuer, config, folder, uuid)
    return carry_out(services, wanted, is_overwrite=is_overwrite, retry_key=retry_key)


def carry_out(
    services: Services,
    wanted: Order,
    *,
    is_overwrite: bool,
    retry_key: RetryKey | None,
    overlap: bool = False,
) -> Outcome:
    """Issue one certificate, in place of the valid one of its name if *is_overwrite*.

    With *overlap* that one stays valid, with its files, and gives up its claim on the name.
    """
    if is_overwrite and overlap:
        raise InvalidRequest("is_overwrite ends the former certificate, overlap does not: choose.")
    name, place = wanted.plan.subject.common_name, wanted.location
    existing = active_by_name(services, name) if is_overwrite or overlap else None
    if existing is not None and existing.cert_type is CertType.CA:
        _check_overwrites_ca(services, wanted, existing)
    if existing is not None:
        check_is_issuer(existing, wanted.issuer)
    replaced = (
        None if existing is None or overlap else location_of(services, existing, place.file_name)
    )
    if existing is not None and replaced is not None and are_replaced(services, existing, replaced):
        replaced = None
    if is_overwrite or overlap or retry_key is not None:
        wanted = replace(
            wanted,
            predecessor=None if existing is None else existing.serial_number,
            predecessor_issuer_id=None if existing is None else existing.issuer_id,
            supersedes=not overlap,
            retry_key=retry_key,
            replaces_files=is_overwrite,
        )
    [outcome] = run_issuance(services, [wanted])
    if replaced is not None and (replaced.folder, replaced.uuid) != (place.folder, place.uuid):
        services.storage.delete(replaced)
    return outcome


def _check_overwrites_ca(services: Services, wanted: Order, existing: CertificateRecord) -> None:
    """Check that a CA is superseded by a CA only, and by none that it vouches for itself.

    Whoever chooses a common name would choose which CA is revoked.
    """
    above = [] if wanted.issuer is None else chain_of(services, wanted.issuer, wanted.issuer)
    is_above = (existing.serial_number, existing.issuer_id) in {
        (ca.serial_number, issuer_id_of(ca)) for ca in above
    }
    if is_above or not wanted.plan.is_ca:
        raise InvalidRequest(
            f"{existing.common_name!r} is the name of a CA, which this certificate can't "
            "supersede: choose another name, or roll the CA over."
        )


def issue_many(
    services: Services,
    issuer: Issuer,
    configs: Sequence[ClientConfig],
    folder: str | PurePath | None = None,
    *,
    retry_keys: Sequence[RetryKey | None],
    progress: Progress | None = None,
) -> list[Outcome]:
    """Issue certificates, all or none, in two transactions."""
    authority = authority_of(services, issuer)
    orders = [
        order_leaf(services, issuer, config, folder, authority=authority) for config in configs
    ]
    return carry_out_all(services, orders, retry_keys, progress)


def carry_out_all(
    services: Services,
    orders: Sequence[Order],
    retry_keys: Sequence[RetryKey | None],
    progress: Progress | None = None,
) -> list[Outcome]:
    """Issue certificates in nobody's place, all or none."""
    return run_issuance(
        services,
        [
            each if key is None else replace(each, retry_key=key)
            for each, key in zip(orders, retry_keys, strict=True)
        ],
        progress,
    )


def order_leaf(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    folder: str | PurePath | None,
    uuid: str | None = None,
    *,
    authority: Authority | None = None,
) -> Order:
    """Plan a certificate and say who signs it and where its files go; nothing is written."""
    location = new_location(services, config.file_name, folder, uuid)
    request = config.to_request(profile_of(services, config))
    return order(services, issuer, request, location, authority)


def profile_of(services: Services, config: ClientConfig) -> Profile:
    """Give the profile that a request names, or that its flags make.  Raises `InvalidRequest`."""
    if config.profile is not None:
        return services.policy.profile(config.profile)
    return flag_profile(is_server=config.is_server_cert, is_client=config.is_client_cert)


def order(
    services: Services,
    issuer: Issuer,
    request: IssuanceRequest,
    location: Location,
    authority: Authority | None = None,
    subject: x509.Name | None = None,
) -> Order:
    """Plan what *issuer* signs; *subject* is written in place of the request's.

    Raises as `plan_issuance`, and `ValidationCertError` under a CA that is revoked.
    """
    if subject is not None:
        request = replace(request, written_subject=distinguished_name(subject))
    authority = authority or authority_of(services, issuer)
    return Order(
        plan=plan_under(services, issuer, request, authority),
        issuer_id=issuer.issuer_id,
        sign=lambda plan, public_key: issuer.sign_certificate(plan, public_key, subject),
        location=location,
        issuer=issuer.certificate,
        subject=subject,
        authorities=authority.certificates,
    )


def plan_quietly(
    services: Services, issuer: Issuer, request: IssuanceRequest, authority: Authority
) -> CertificatePlan:
    """Plan a certificate.  Raises as `plan_issuance`."""
    return plan_issuance(
        request,
        authority=authority,
        now=services.clock.now(),
        random_bits=services.entropy.random_bits(RANDOM_BITS),
        urls=(request.profile.urls or services.policy.urls).of_issuer(issuer.issuer_id),
    )


def plan_under(
    services: Services, issuer: Issuer, request: IssuanceRequest, authority: Authority
) -> CertificatePlan:
    """Plan a certificate, and warn when it is cut to its issuer's end."""
    plan = plan_quietly(services, issuer, request, authority)
    if plan.is_shortened:
        warnings.warn(
            f"{request.common_name!r} ends with its issuer on {plan.validity.not_after}.",
            ValidityShortened,
            stacklevel=2,
        )
    return plan
