"""Issue an end-entity certificate, in place of another one or not."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
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
from tiny_ca.domain.records import RetryKey
from tiny_ca.domain.serial import RANDOM_BITS
from tiny_ca.ports.issuer import Issuer

__all__ = ["issue", "issue_many", "order_leaf"]


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
    order = replace(
        order_leaf(services, issuer, config, folder, uuid, urls=urls),
        predecessor=None if existing is None else existing.serial_number,
        retry_key=retry_key,
        replaces_files=is_overwrite,
    )
    [outcome] = run_issuance(services, [order])
    place = order.location
    if replaced is not None and (replaced.folder, replaced.uuid) != (place.folder, place.uuid):
        services.storage.delete(replaced)
    return outcome


def issue_many(
    services: Services,
    issuer: Issuer,
    configs: Sequence[ClientConfig],
    folder: str | PurePath | None = None,
    *,
    retry_keys: Sequence[RetryKey | None],
    urls: PublicationURLs,
) -> list[Outcome]:
    """Issue certificates, all or none, in two transactions."""
    orders = [order_leaf(services, issuer, config, folder, urls=urls) for config in configs]
    return run_issuance(
        services,
        [replace(order, retry_key=key) for order, key in zip(orders, retry_keys, strict=True)],
    )


def order_leaf(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    folder: str | PurePath | None,
    uuid: str | None = None,
    *,
    urls: PublicationURLs,
) -> Order:
    """Plan a certificate and say who signs it and where its files go; nothing is written."""
    return Order(
        plan=_plan(services, issuer, config, urls),
        issuer_id=issuer.issuer_id,
        sign=lambda plan, key: issuer.sign_certificate(plan, key.public_key()),
        location=new_location(services, config.file_name, folder, uuid),
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
