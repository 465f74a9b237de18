"""Make a self-signed root."""

from dataclasses import replace
from pathlib import PurePath

from tiny_ca.application.find import check_is_issuer
from tiny_ca.application.issuance import Order, Outcome, new_location, run_issuance
from tiny_ca.application.requests import CAConfig
from tiny_ca.application.services import Services
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.errors import NotUniqueCertOwner
from tiny_ca.domain.planning import plan_root
from tiny_ca.domain.records import Location, RetryKey
from tiny_ca.domain.serial import RANDOM_BITS

__all__ = ["CA_FILE_NAME", "create_root", "order_root"]

CA_FILE_NAME = "ca"


def create_root(
    services: Services,
    config: CAConfig,
    folder: str | PurePath | None = None,
    uuid: str | None = None,
    *,
    is_overwrite: bool = False,
    retry_key: RetryKey | None = None,
) -> Outcome:
    """Make a root's key and certificate, and record it before it is signed.

    With *is_overwrite* the valid root of the same common name is superseded.  Raises
    `AnotherIssuer` if the name is another certificate's.
    """
    location = new_location(services, CA_FILE_NAME, folder, uuid)
    existing = active_by_name(services, config.common_name)
    if not is_overwrite:
        # `run_issuance` checks both too, but a root's row needs the id that its key gives.
        if existing is not None:
            raise NotUniqueCertOwner(config.common_name)
        services.storage.check_vacant(location)
    elif existing is not None:
        check_is_issuer(existing, None)
    wanted = replace(
        order_root(services, config, location),
        predecessor=None if existing is None else existing.serial_number,
        predecessor_issuer_id=None if existing is None else existing.issuer_id,
        retry_key=retry_key,
        replaces_files=is_overwrite,
    )
    [outcome] = run_issuance(services, [wanted])
    return outcome


def order_root(services: Services, config: CAConfig, location: Location) -> Order:
    """Plan a root and make its key."""
    random_bits = services.entropy.random_bits(RANDOM_BITS)
    plan = plan_root(config.to_request(), services.clock.now(), random_bits)
    key = services.crypto.generate_private_key(plan.key)
    return Order(
        plan=plan,
        issuer_id=services.crypto.issuer_id(plan.subject, key),
        sign=lambda plan, _: services.crypto.self_sign(plan, key),
        location=location,
        key=key,
        with_csr=False,
    )
