"""Issue an end-entity certificate, in place of another one or not."""

import warnings
from pathlib import PurePath

from tiny_ca.application.issuance import (
    Order,
    Outcome,
    location_of,
    new_location,
    run_issuance,
)
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.services import Services
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.errors import ValidityShortened
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.plan import CertificatePlan, PublicationURLs, plan_leaf
from tiny_ca.domain.records import CertificateRecord, Location, RetryKey
from tiny_ca.domain.serial import RANDOM_BITS
from tiny_ca.ports.issuer import Issuer

__all__ = ["issue", "issue_successor"]


def issue(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    folder: str | PurePath | None = None,
    uuid: str | None = None,
    *,
    is_overwrite: bool = False,
    retry_key: RetryKey | None = None,
    urls: PublicationURLs,
) -> Outcome:
    """Issue a certificate with a new key.

    With *is_overwrite* the valid certificate of the same common name is superseded, in one
    transaction with the new one, and its files are deleted afterwards.
    """
    existing = active_by_name(services, config.common_name) if is_overwrite else None
    replaced = None if existing is None else location_of(services, existing, config.file_name)
    location = new_location(services, config.file_name, folder, uuid)
    outcome = issue_successor(
        services,
        issuer,
        config,
        existing,
        location,
        retry_key=retry_key,
        replaces_files=is_overwrite,
        urls=urls,
    )
    if replaced is not None and (replaced.folder, replaced.uuid) != (
        location.folder,
        location.uuid,
    ):
        services.storage.delete(replaced)
    return outcome


def issue_successor(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    predecessor: CertificateRecord | None,
    location: Location,
    *,
    retry_key: RetryKey | None = None,
    replaces_files: bool = False,
    urls: PublicationURLs,
) -> Outcome:
    """Issue a certificate that supersedes *predecessor*, if there is one."""
    return run_issuance(
        services,
        Order(
            plan=_plan(services, issuer, config, urls),
            issuer_id=issuer.issuer_id,
            sign=lambda plan, key: issuer.sign_certificate(plan, key.public_key()),
            location=location,
            predecessor=None if predecessor is None else predecessor.serial_number,
            retry_key=retry_key,
            replaces_files=replaces_files,
        ),
    )


def _plan(
    services: Services, issuer: Issuer, config: ClientConfig, urls: PublicationURLs
) -> CertificatePlan:
    ca = issuer.certificate
    plan = plan_leaf(
        config.to_request(),
        issuer=issuer.info,
        issuer_validity=Validity(ca.not_valid_before_utc, ca.not_valid_after_utc),
        now=services.clock.now(),
        random_bits=services.entropy.random_bits(RANDOM_BITS),
        urls=urls,
    )
    if plan.is_shortened:
        warnings.warn(
            f"{config.common_name!r} ends with its issuer on {plan.validity.not_after}.",
            ValidityShortened,
            stacklevel=2,
        )
    return plan
