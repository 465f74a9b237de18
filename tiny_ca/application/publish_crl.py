"""Sign a CRL, look at it as others will, and put it in place of the last one."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from tiny_ca.application.crl_files import own_crl_file_name
from tiny_ca.application.progress import Steps
from tiny_ca.application.publications import is_crl_of
from tiny_ca.application.services import Services
from tiny_ca.domain.crl import COMPLETE, CRLPlan, CRLScope
from tiny_ca.domain.crl_reader import CRLReader, parse_crl, vanished
from tiny_ca.domain.errors import (
    InvalidRangeTimeCertificate,
    InvalidRequest,
    MalformedDER,
    RegistryError,
    SigningError,
    StorageError,
    TinyCAError,
    ValidationCertError,
)
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import may_leave_crl
from tiny_ca.ports.examination import ExaminableStorage
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.progress import Progress
from tiny_ca.ports.storage import StagedCRL

__all__ = ["PublishedCRL", "publish_crl"]


@dataclass(frozen=True, slots=True)
class PublishedCRL:
    """A CRL that is in its place: of what, which one, how long, and where."""

    scope: CRLScope
    stamp: CRLStamp
    count: int
    """How many certificates it lists."""
    path: Path
    """Of the PEM file; the DER file is beside it."""
    data: bytes | memoryview
    """The CRL itself, DER."""


def publish_crl(
    services: Services,
    issuer: Issuer,
    valid_for: timedelta = timedelta(days=1),
    *,
    scope: CRLScope = COMPLETE,
    urls: PublicationURLs = PublicationURLs(),
    former: bytes | memoryview | None = None,
    progress: Progress | None = None,
) -> PublishedCRL:
    """Sign a CRL of *issuer*'s certificates, valid from now on, and publish it.

    *former* is compared with it in place of the last CRL, DER, where that is damaged.

    The number is drawn first and never used again, so that numbers rise even over failures.
    Raises `InvalidRangeTimeCertificate`, `InvalidRequest` for a delta CRL without a complete
    one or a shard without URLs, `RegistryError` when a CRL with a higher number was published
    meanwhile or certificates would be missing, `StorageError` when the last one is damaged, and
    `SigningError`; the last CRL is then still there.
    """
    this_update = utc_seconds(services.clock.now())
    try:
        next_update = utc_seconds(this_update + valid_for)
    except OverflowError:
        next_update = this_update
    if next_update <= this_update:
        raise InvalidRangeTimeCertificate(this_update, next_update, this_update)
    base = _base(services, issuer, scope)
    points = urls.of_shard(scope.shard)
    if scope.shard is not None and not points.crl:
        raise InvalidRequest(f"Certificates name no shard {scope.shard}: say where in the URLs.")
    number = services.registry.next_crl_number(issuer.issuer_id)
    plan = CRLPlan(
        stamp=CRLStamp(number, this_update, next_update),
        base_number=base,
        distribution_point=() if scope.shard is None else points.crl,
        freshest=() if scope.is_delta else points.delta,
    )
    entries = _Entries(services, issuer, scope, plan, progress)
    return _publish(services, issuer, scope, plan, entries, former)


def _base(services: Services, issuer: Issuer, scope: CRLScope) -> int | None:
    if not scope.is_delta:
        return None
    last = services.registry.last_crl(issuer.issuer_id, scope.base)
    if last is None:
        raise InvalidRequest("A delta CRL says what a complete one does not: publish that first.")
    return last.number


class _Entries:
    """The entries that are written: passed on, and counted."""

    def __init__(
        self,
        services: Services,
        issuer: Issuer,
        scope: CRLScope,
        plan: CRLPlan,
        progress: Progress | None,
    ) -> None:
        self._steps = Steps(progress)
        self._parts = services.registry.crl_entries(issuer.issuer_id, scope.shard, plan.base_number)
        self.count = 0
        self.lengths: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self.count += part.count
            self.lengths.append(len(part.entries))
            self._steps.add(part.count)
            yield part.entries


def _publish(
    services: Services,
    issuer: Issuer,
    scope: CRLScope,
    plan: CRLPlan,
    entries: _Entries,
    former: bytes | memoryview | None,
) -> PublishedCRL:

    def write(file: BinaryIO) -> None:
        issuer.sign_crl(plan, entries, file)

    name = own_crl_file_name(services, issuer.issuer_id, scope)
    staged = services.storage.stage_crl(write, name)
    try:
        data = staged.read()
        new = _read_back(issuer, data, plan, entries.count)
        old = _last(services, issuer, name) if former is None else issuer.verify_crl(former)
        if old is not None:
            _compare(services, issuer, scope, name, old, new, entries.lengths)
        path = _swap(services, issuer, scope, plan.stamp, staged)
    except BaseException as error:
        try:
            staged.discard()
        except TinyCAError as second:
            error.add_note(f"Left for recover(): {second}")
        raise
    return PublishedCRL(scope, plan.stamp, entries.count, path, data)


def _read_back(issuer: Issuer, data: bytes | memoryview, plan: CRLPlan, count: int) -> CRLReader:
    """Check that what lies in the storage is what was planned, whole, and signed."""
    try:
        crl = issuer.verify_crl(data)
        is_as_planned = (
            crl.stamp == plan.stamp and crl.base_number == plan.base_number and crl.count() == count
        )
    except (MalformedDER, ValidationCertError) as error:
        raise SigningError(f"The new CRL does not verify; it was discarded: {error}") from error
    if not is_as_planned:
        raise SigningError("What was signed differs from what was planned; it was discarded.")
    return crl


def _last(services: Services, issuer: Issuer, name: str) -> CRLReader | None:
    """Give the CRL that is to be replaced, or its copy if it is damaged; `None`: there is none.

    Nor is that of another CA, which had the name before.  Raises `StorageError`.
    """
    data = services.storage.read_crl(name)
    if data is None or _is_anothers(issuer, data):
        return None
    try:
        return issuer.verify_crl(data)
    except ValidationCertError as error:
        storage = services.storage
        copy = storage.read_crl_copy(name) if isinstance(storage, ExaminableStorage) else None
        with suppress(ValidationCertError):
            return issuer.verify_crl(copy or b"")
        raise StorageError(
            f"The last CRL is damaged, and nobody can say whom the next one would forget. Put it "
            f"back, or remove {name}.der to do without: {error}"
        ) from error


def _is_anothers(issuer: Issuer, data: bytes | memoryview) -> bool:
    try:
        return not is_crl_of(parse_crl(data), issuer.certificate)
    except MalformedDER:
        return False


def _compare(
    services: Services,
    issuer: Issuer,
    scope: CRLScope,
    name: str,
    old: CRLReader,
    new: CRLReader,
    lengths: list[int],
) -> None:
    """Check that a CRL goes forward from the one that it replaces, and forgets nobody."""
    try:
        missing = [] if scope.is_delta else vanished(old, new, lengths)
    except MalformedDER as error:
        raise StorageError(f"The last CRL can't be read, remove {name}.der: {error}") from error
    last = services.registry.last_crl(issuer.issuer_id, scope)
    if old.stamp.number >= new.stamp.number and (last is None or last.number < old.stamp.number):
        raise RegistryError(
            f"The last CRL has the number {old.stamp.number}, this one {new.stamp.number}: the "
            "registry is older than what was published. Restore it."
        )
    this_update = None if last is None else last.this_update
    lost = _lost(services, issuer, missing, this_update)
    if lost:
        raise RegistryError(
            f"{len(lost)} certificates that the last CRL lists would be missing in the next, "
            f"{min(lost)} among them, for no reason that the registry knows. Restore it, or "
            f"remove {name}.der if that CRL was wrong."
        )


def _lost(
    services: Services,
    issuer: Issuer,
    missing: Iterable[CRLEntry],
    this_update: datetime | None,
) -> Collection[int]:
    """Give the certificates that may not be missing from a CRL."""
    reasons = {entry.serial_number: entry.revocation_reason for entry in missing}
    for record in services.registry.get_many(issuer.issuer_id, list(reasons)):
        listed = reasons[record.serial_number]
        if may_leave_crl(listed, record.revocation, record.not_after, this_update):
            del reasons[record.serial_number]
    return reasons.keys() - services.registry.deleted_serials(issuer.issuer_id, list(reasons))


def _swap(
    services: Services, issuer: Issuer, scope: CRLScope, stamp: CRLStamp, staged: StagedCRL
) -> Path:
    paths: list[Path] = []
    is_published = services.registry.publish_crl(
        issuer.issuer_id, stamp, lambda: paths.append(staged.swap()), scope
    )
    if not is_published:
        raise RegistryError(
            f"A CRL with a higher number than {stamp.number} was published meanwhile; it stays."
        )
    return paths[0]
