"""The one way in which a certificate comes to be: reserve, sign, stage, commit, publish."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from cryptography import x509

from tiny_ca.application import lint
from tiny_ca.application.progress import Steps
from tiny_ca.application.runner import in_threads
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import (
    FileAlreadyExists,
    SerialNumberCollision,
    StorageError,
    TinyCAError,
    UnsafePath,
)
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.domain.records import CertificateRecord, Location, Reservation, RetryKey
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import RANDOM_BITS
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.progress import Progress
from tiny_ca.ports.storage import Artefacts

__all__ = [
    "Order",
    "Outcome",
    "Prepared",
    "location_of",
    "new_location",
    "prepare",
    "present",
    "publish",
    "run_issuance",
    "tell_of_issue",
    "undo",
]

T = TypeVar("T")

_COLLISIONS_TO_TAKE = 5


@dataclass(frozen=True, slots=True)
class Order:
    """A planned certificate, who signs it, where its files go, and what it takes the place of."""

    plan: CertificatePlan
    issuer_id: str
    sign: Callable[[CertificatePlan, Any], x509.Certificate]
    """Signs the plan for a public key."""
    location: Location
    issuer: x509.Certificate | None = None
    """Who signs it; `None`: it signs itself."""
    subject: x509.Name | None = None
    """Written in place of the plan's."""
    key: PrivateKey | None = None
    """`None`: made once the serial number is reserved, unless there is a *public_key*."""
    public_key: Any = None
    """Of somebody who keeps the private one."""
    csr: x509.CertificateSigningRequest | None = None
    with_csr: bool = True
    """Whether a request is made where there is none."""
    predecessor: int | None = None
    predecessor_issuer_id: str | None = None
    supersedes: bool = True
    retry_key: RetryKey | None = None
    is_renewal: bool = False
    """It keeps its predecessor's key."""
    authorities: tuple[tuple[str, int], ...] = ()
    """The CAs' certificates that must not be revoked when it commits."""
    replaces_files: bool = False
    """What lies at *location* is replaced, when all else is done."""

    @property
    def makes_key(self) -> bool:
        """Whether a key is made for it."""
        return self.key is None and self.public_key is None


class Prepared(NamedTuple):
    """A certificate that is signed and staged, and waits for its commit."""

    reservation: Reservation
    artefacts: Artefacts


class Outcome(NamedTuple):
    """What was issued, and the files' paths by extension."""

    artefacts: Artefacts
    paths: Mapping[str, Path]


def present(value: T | None) -> T:
    """Give what every end-entity issue makes, and an idempotent retry finds in the storage."""
    if value is None:
        raise StorageError("The storage does not hold this certificate's files any more.")
    return value


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


def run_issuance(
    services: Services, orders: Sequence[Order], progress: Progress | None = None
) -> list[Outcome]:
    """Carry out orders, all or none: two transactions, however many they are.

    Up to the commit, a failure leaves nothing but closed rows.  From it on the certificates
    are issued: `recover` publishes their files if this process could not.
    """
    prepared = prepare(services, orders, progress)
    try:
        signed = [(one.reservation, one.artefacts.certificate) for one in prepared]
        services.registry.commit(signed, utc_seconds(services.clock.now()))
    except BaseException as error:
        undo(services, [one.reservation for one in prepared], prepared, error)
        raise
    tell_of_issue(services, [one.reservation for one in prepared])
    return [publish(services, one) for one in prepared]


def prepare(
    services: Services, orders: Sequence[Order], progress: Progress | None = None
) -> list[Prepared]:
    """Reserve, sign and stage: everything up to the commit.

    Raises `LintFailed`, before anything is reserved, for what the linter objects to.
    """
    for order in orders:
        lint.check(services, order.plan, order.issuer, _known_public_key(order), order.subject)
        if not order.replaces_files:
            services.storage.check_vacant(order.location)
    reserved = _reserve(services, orders)
    staged: list[Prepared] = []
    steps = Steps(progress, len(orders))

    def sign_and_stage(place: int) -> Prepared:
        one = _sign(services, orders[place], *reserved[place])
        location = one.reservation.location
        replaces = orders[place].replaces_files
        staged.append(one)
        try:
            services.storage.stage(location, one.artefacts, replaces=replaces)
        except FileAlreadyExists:
            staged.remove(one)
            raise
        steps.add()
        return one

    try:
        return in_threads(
            sign_and_stage,
            range(len(orders)),
            is_heavy=any(order.makes_key and order.plan.key.is_heavy for order in orders),
        )
    except BaseException as error:
        undo(services, [reservation for _, reservation in reserved], staged, error)
        raise


def _known_public_key(order: Order) -> Any:
    """Give the key that will be certified, if it is there and the linter can be shown it."""
    if order.issuer is None:
        # Linters tell a root by its own signature, and this key signs no drafts.
        return None
    return order.public_key if order.key is None else order.key.public_key()


def tell_of_issue(services: Services, committed: Sequence[Reservation]) -> None:
    """Tell the observer of certificates that are valid now, and of those in whose place."""
    if services.observing is None:
        return
    for one in committed:
        services.observing.issued(one.issuer_id, one.profile)
    superseded = sum(one.predecessor is not None and one.supersedes for one in committed)
    services.observing.revoked(CRLReason.SUPERSEDED, superseded)


def publish(services: Services, prepared: Prepared) -> Outcome:
    """Make a committed certificate's files visible."""
    return Outcome(prepared.artefacts, services.storage.publish(prepared.reservation.location))


def _reserve(
    services: Services, orders: Sequence[Order]
) -> list[tuple[CertificatePlan, Reservation]]:
    """Reserve serial numbers, and other ones while the registry knows one of them already."""
    plans = [order.plan for order in orders]
    for _ in range(_COLLISIONS_TO_TAKE):
        try:
            return _try_to_reserve(services, orders, plans)
        except SerialNumberCollision:
            plans = [
                plan.with_random_bits(services.entropy.random_bits(RANDOM_BITS)) for plan in plans
            ]
    return _try_to_reserve(services, orders, plans)


def _try_to_reserve(
    services: Services, orders: Sequence[Order], plans: Sequence[CertificatePlan]
) -> list[tuple[CertificatePlan, Reservation]]:
    now = services.clock.now()
    reservations = [
        Reservation(
            serial_number=plan.serial_number,
            issuer_id=order.issuer_id,
            common_name=plan.subject.common_name,
            cert_type=plan.cert_type,
            validity=plan.validity,
            location=order.location,
            created_at=now,
            predecessor=order.predecessor,
            predecessor_issuer_id=order.predecessor_issuer_id,
            supersedes=order.supersedes,
            retry_key=order.retry_key,
            is_renewal=order.is_renewal,
            profile=plan.profile,
            claims_name=plan.claims_name,
            authorities=order.authorities,
        )
        for order, plan in zip(orders, plans, strict=True)
    ]
    services.registry.reserve(reservations)
    return list(zip(plans, reservations, strict=True))


def _sign(
    services: Services, order: Order, plan: CertificatePlan, reservation: Reservation
) -> Prepared:
    if order.public_key is not None:
        certificate = order.sign(plan, order.public_key)
        return Prepared(reservation, Artefacts(certificate, None, order.csr))
    key = order.key or services.crypto.generate_private_key(plan.key)
    csr = order.csr
    if csr is None and order.with_csr:
        csr = services.crypto.sign_request(plan.subject, key)
    return Prepared(reservation, Artefacts(order.sign(plan, key.public_key()), key, csr))


def undo(
    services: Services,
    reservations: Sequence[Reservation],
    staged: Sequence[Prepared],
    error: BaseException,
) -> None:
    """Close rows, then remove files: in that order, since a valid row needs its files.

    Files that were not *staged* here are another issuance's, for the same folder.  When a row
    turns out to be committed after all, its files stay for `recover`.  What fails here is
    noted on *error*; `recover` does it later.
    """
    ours = {one.reservation.location.uuid for one in staged}
    for reservation in reservations:
        try:
            is_closed = services.registry.abandon(reservation.issuer_id, reservation.serial_number)
            if is_closed and reservation.location.uuid in ours:
                services.storage.discard(reservation.location.uuid)
        except TinyCAError as second:
            error.add_note(f"Left for recover(): {second}")
