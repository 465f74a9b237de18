"""The one way in which a certificate comes to be: reserve, sign, stage, commit, publish."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple
from uuid import UUID

from cryptography import x509

from tiny_ca.application.services import Services
from tiny_ca.domain.errors import SerialNumberCollision, TinyCAError, UnsafePath
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.domain.records import CertificateRecord, Location, Reservation, RetryKey
from tiny_ca.domain.serial import RANDOM_BITS
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.storage import Artefacts

__all__ = ["Order", "Outcome", "location_of", "new_location", "run_issuance"]

_COLLISIONS_TO_TAKE = 5


@dataclass(frozen=True, slots=True)
class Order:
    """A planned certificate, who signs it, where its files go, and what it takes the place of."""

    plan: CertificatePlan
    issuer_id: str
    sign: Callable[[CertificatePlan, PrivateKey], x509.Certificate]
    location: Location
    key: PrivateKey | None = None
    """`None`: made once the serial number is reserved."""
    with_csr: bool = True
    predecessor: int | None = None
    retry_key: RetryKey | None = None
    replaces_files: bool = False
    """What lies at *location* is replaced, when all else is done."""


class Outcome(NamedTuple):
    """What was issued, and the files' paths by extension."""

    artefacts: Artefacts
    paths: dict[str, Path]


def new_location(
    services: Services, file_name: str, folder: str | PurePath | None, uuid: str | None
) -> Location:
    """Choose the folder of a new certificate: a random uuid unless the caller has one."""
    if uuid is None:
        uuid = str(UUID(int=services.entropy.random_bits(128), version=4))
    return Location(uuid, file_name, None if folder is None else str(folder))


def location_of(services: Services, record: CertificateRecord, file_name: str) -> Location | None:
    """Find where a certificate's files lie, if it has any.

    tiny_ca 0.1 recorded neither the folder nor the *file_name*.
    """
    if record.location is not None or record.uuid is None:
        return record.location
    try:
        return Location(record.uuid, file_name, services.storage.find_folder(record.uuid))
    except UnsafePath:
        # It took any path for a uuid; what lies there is not ours to touch.
        return None


def run_issuance(services: Services, order: Order) -> Outcome:
    """Carry out an order.

    Up to the commit, a failure leaves nothing but a closed row.  From it on the certificate
    is issued: `recover` publishes its files if this process could not.
    """
    if not order.replaces_files:
        services.storage.check_vacant(order.location)
    plan, reservation = _reserve(services, order)
    is_staged = False
    try:
        artefacts = _sign(services, order, plan)
        services.storage.stage(order.location, artefacts, replaces=order.replaces_files)
        is_staged = True
        services.registry.commit(
            reservation, artefacts.certificate, utc_seconds(services.clock.now())
        )
    except BaseException as error:
        _undo(services, reservation, error, is_staged=is_staged)
        raise
    return Outcome(artefacts, services.storage.publish(order.location))


def _reserve(services: Services, order: Order) -> tuple[CertificatePlan, Reservation]:
    """Reserve a serial number, and another one while the registry knows it already."""
    plan = order.plan
    for attempt in range(_COLLISIONS_TO_TAKE + 1):
        reservation = Reservation(
            serial_number=plan.serial_number,
            issuer_id=order.issuer_id,
            common_name=plan.subject.common_name,
            cert_type=plan.cert_type,
            validity=plan.validity,
            location=order.location,
            created_at=services.clock.now(),
            predecessor=order.predecessor,
            retry_key=order.retry_key,
        )
        try:
            services.registry.reserve(reservation)
        except SerialNumberCollision:
            if attempt == _COLLISIONS_TO_TAKE:
                raise
            plan = plan.with_random_bits(services.entropy.random_bits(RANDOM_BITS))
        else:
            break
    return plan, reservation


def _sign(services: Services, order: Order, plan: CertificatePlan) -> Artefacts:
    key = order.key or services.crypto.generate_private_key(plan.key)
    csr = services.crypto.sign_request(plan.subject, key) if order.with_csr else None
    return Artefacts(order.sign(plan, key), key, csr)


def _undo(
    services: Services, reservation: Reservation, error: BaseException, *, is_staged: bool
) -> None:
    """Close the row, then remove the files: in that order, since a valid row needs its files.

    Files that this issuance did not stage are another one's, for the same folder.  When the
    row turns out to be committed after all, the files stay for `recover`.  What fails here is
    noted on *error*; `recover` does it later.
    """
    try:
        is_closed = services.registry.abandon(reservation.issuer_id, reservation.serial_number)
        if is_closed and is_staged:
            services.storage.discard(reservation.location.uuid)
    except TinyCAError as second:
        error.add_note(f"Left for recover(): {second}")
