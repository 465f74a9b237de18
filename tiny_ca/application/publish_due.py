"""Publish what is due of an issuer, in time before the last one is over; say how stale it is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from tiny_ca.application.ocsp import OCSPResponder
from tiny_ca.application.publish_crl import PublishedCRL, publish_crl
from tiny_ca.application.services import Services
from tiny_ca.domain.crl import COMPLETE, CRLScope, Shard
from tiny_ca.domain.errors import InvalidRequest, RegistryError, StorageError, TinyCAError
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.records import CRLStamp, PublishingLease
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.ocsp import ResponseStore

__all__ = [
    "Publication",
    "Schedule",
    "presign_due",
    "publications_of",
    "publish_due",
    "published_stamps",
    "scopes_of",
]

_SIXTEENTHS = 4
_LEASE = timedelta(minutes=10)
"""What a process that died was at, another one takes up after so long."""
_CLOCKS_APART = timedelta(minutes=10)
"""A CRL that begins later than this was published by a clock that is wrong, or was."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long CRLs hold, and how long before their end the next one is due.

    A random part of *ahead*, up to a quarter, is added each time, so that many installations
    don't publish at once.  Raises `InvalidRequest` unless *ahead* is shorter than both.
    """

    valid_for: timedelta = timedelta(days=7)
    delta_valid_for: timedelta = timedelta(hours=6)
    ahead: timedelta = timedelta(hours=2)

    def __post_init__(self) -> None:
        shortest = min(self.valid_for, self.delta_valid_for)
        # In seconds: no period is too long for them.
        if not 0 <= self.ahead.total_seconds() * 5 / 4 < shortest.total_seconds():
            raise InvalidRequest(
                "A CRL has to hold longer than a new one is published ahead of its end, and a "
                f"quarter: {shortest} against {self.ahead}."
            )

    def of(self, scope: CRLScope) -> timedelta:
        """How long a CRL of this scope holds."""
        return self.delta_valid_for if scope.is_delta else self.valid_for

    def is_due(
        self, last: CRLStamp | None, now: datetime, jitter: timedelta = timedelta(0)
    ) -> bool:
        """Whether the next one is due, where *last* is out; *jitter* earlier than *ahead*."""
        if last is None:
            return True
        return (
            now >= last.next_update - self.ahead - jitter or now + _CLOCKS_APART < last.this_update
        )


@dataclass(frozen=True, slots=True)
class Publication:
    """Something that an issuer publishes, and how stale it is."""

    name: str
    """A CRL's scope's (`crl`, `crl-3-of-8-delta`), or `ocsp-sha1`: responses made beforehand."""
    this_update: datetime | None
    """`None`: it was never published."""
    next_update: datetime | None
    """Until when it holds: of responses, the one that ends first."""
    left: timedelta | None
    """From now to *next_update*: negative if that is past, `None` if there is none."""
    missing: int = 0
    """How many certificates have no response that holds and tells of their state."""


def published_stamps(services: Services, issuer: Issuer) -> dict[str, CRLStamp | None]:
    """Say of every CRL that an issuer should publish which one is out, and until when it holds.

    By the name of its scope; `None`: there never was one.
    """
    urls = services.policy.urls
    last = services.registry.last_crl
    return {scope.name: last(issuer.issuer_id, scope) for scope in _scopes(services, issuer, urls)}


def publications_of(
    services: Services, issuer: Issuer, digests: Sequence[str]
) -> list[Publication]:
    """Say how stale every CRL of an issuer is, and its OCSP responses for certIDs by *digests*."""
    now, store = services.clock.now(), services.registry
    found = []
    for name, stamp in published_stamps(services, issuer).items():
        since, until = (None, None) if stamp is None else (stamp.this_update, stamp.next_update)
        found.append(Publication(name, since, until, _left(until, now)))
    if isinstance(store, ResponseStore):
        for digest in digests:
            count, kept, since, until = store.kept_responses(issuer.issuer_id, digest, now)
            left = _left(until, now)
            found.append(Publication(_responses(digest), since, until, left, count - kept))
    return found


def _left(until: datetime | None, now: datetime) -> timedelta | None:
    return None if until is None else until - now


def _responses(digest: str) -> str:
    return f"ocsp-{digest}"


def publish_due(
    services: Services, issuer: Issuer, schedule: Schedule, *, after_revocation: bool = False
) -> Iterator[PublishedCRL]:
    """Publish each CRL of *issuer* that is due: complete, of each shard, and their deltas.

    A delta CRL is made anew with its base, too, and *after_revocation* what would tell of one:
    the delta CRLs where there are such, else all others.  Whoever publishes one has a lease on
    it: several processes share the work.  One that is refused keeps none of the others back:
    the first such error is raised at the end.
    """
    urls = services.policy.urls.of_issuer(issuer.issuer_id)
    failure: TinyCAError | None = None
    for scope in _scopes(services, issuer, urls):
        try:
            last = services.registry.last_crl(issuer.issuer_id, scope)
            if not _is_wanted(services, issuer, scope, last, schedule, after_revocation):
                continue
            with _lease(services, issuer, scope.name) as is_ours:
                # Unless another process has just published it.
                if is_ours and services.registry.last_crl(issuer.issuer_id, scope) == last:
                    valid_for = schedule.of(scope)
                    yield publish_crl(services, issuer, valid_for, scope=scope, urls=urls)
        except (RegistryError, StorageError) as error:
            if isinstance(error, RegistryError) and error.__cause__ is not None:
                # The database fails, and would for each of a thousand shards.
                raise
            failure = failure or error
    if failure is not None:
        raise failure


def _is_wanted(
    services: Services,
    issuer: Issuer,
    scope: CRLScope,
    last: CRLStamp | None,
    schedule: Schedule,
    after_revocation: bool,
) -> bool:
    is_due = _is_due(services, last, schedule)
    if scope.is_delta:
        base = services.registry.last_crl(issuer.issuer_id, scope.base)
        if base is None:
            # Another process is at it, and goes on with this one.
            return False
        is_due = is_due or (last is not None and base.number > last.number)
    if is_due or not after_revocation or scope.is_delta != bool(services.policy.urls.delta):
        return is_due
    return _has_changed(services, issuer, scope, last)


def presign_due(
    services: Services, issuer: Issuer, responder: OCSPResponder, digests: Sequence[str]
) -> int:
    """Sign the responses of an issuer that are due; give how many.

    0, too, if another process is at it.
    """
    count = 0
    for digest in digests:
        with _lease(services, issuer, _responses(digest)) as is_ours:
            if is_ours:
                count += responder.presign(digest, issuer_id=issuer.issuer_id)
    return count


@contextmanager
def _lease(services: Services, issuer: Issuer, what: str) -> Iterator[bool]:
    """Publish alone; false: another process does."""
    now = services.clock.now()
    holder = f"{services.entropy.random_bits(128):032x}"
    lease = PublishingLease(issuer.issuer_id, what, holder, now + _LEASE)
    is_ours = services.registry.begin_publishing(lease, now)
    try:
        yield is_ours
    finally:
        if is_ours:
            services.registry.end_publishing(lease)


def _is_due(services: Services, last: CRLStamp | None, schedule: Schedule) -> bool:
    if last is None:
        return True
    jitter = schedule.ahead * services.entropy.random_bits(_SIXTEENTHS) / 4 / (1 << _SIXTEENTHS)
    return schedule.is_due(last, services.clock.now(), jitter)


def _has_changed(
    services: Services, issuer: Issuer, scope: CRLScope, last: CRLStamp | None
) -> bool:
    since = 0 if last is None else last.number
    changes = services.registry.crl_entries(issuer.issuer_id, scope.shard, since)
    return next(iter(changes), None) is not None


def _scopes(services: Services, issuer: Issuer, urls: PublicationURLs) -> Iterator[CRLScope]:
    """Give `scopes_of`, and what certificates name that were issued before there were shards."""
    yield from scopes_of(urls)
    delta = CRLScope(is_delta=True)
    is_sharded = urls.crl_shards > 1 and bool(urls.delta)
    if is_sharded and services.registry.last_crl(issuer.issuer_id, delta) is not None:
        yield delta


def scopes_of(urls: PublicationURLs) -> Iterator[CRLScope]:
    """Give what is published: bases before their deltas.

    With shards the complete CRL stays, for certificates that were issued before there were any.
    """
    count = urls.crl_shards
    shards = [] if count == 1 else [Shard(index, count) for index in range(count)]
    bases = [COMPLETE, *(CRLScope(shard) for shard in shards)]
    yield from bases
    if urls.delta:
        # A certificate names the delta CRL of its shard, or of the complete CRL.
        yield from (CRLScope(base.shard, is_delta=True) for base in bases[count > 1 :])
