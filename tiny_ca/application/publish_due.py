"""Publish what is due: every CRL of an issuer, in time before the last one is over."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tiny_ca.application.publish_crl import PublishedCRL, publish_crl
from tiny_ca.application.services import Services
from tiny_ca.domain.crl import COMPLETE, CRLScope, Shard
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.records import CRLStamp
from tiny_ca.ports.issuer import Issuer

__all__ = ["Schedule", "publish_due", "published_stamps", "scopes_of"]

_SIXTEENTHS = 4


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
        if not timedelta(0) <= self.ahead * 5 / 4 < shortest:
            raise InvalidRequest(
                "A CRL has to hold longer than a new one is published ahead of its end, and a "
                f"quarter: {shortest} against {self.ahead}."
            )

    def of(self, scope: CRLScope) -> timedelta:
        """How long a CRL of this scope holds."""
        return self.delta_valid_for if scope.is_delta else self.valid_for


def published_stamps(services: Services, issuer: Issuer) -> dict[str, CRLStamp | None]:
    """Say of every CRL that an issuer should publish which one is out, and until when it holds.

    By the name of its scope; `None`: there never was one.
    """
    urls = services.policy.urls
    last = services.registry.last_crl
    return {scope.name: last(issuer.issuer_id, scope) for scope in scopes_of(urls)}


def publish_due(services: Services, issuer: Issuer, schedule: Schedule) -> list[PublishedCRL]:
    """Publish each CRL of *issuer* that is due: complete, of each shard, and their deltas.

    A delta CRL is made anew with its base, too.  Safe in several processes: one publishes, and
    the others find nothing due or raise `RegistryError`, since only a higher number counts.
    """
    urls = services.policy.urls.of_issuer(issuer.issuer_id)
    published: list[PublishedCRL] = []
    renewed: set[CRLScope] = set()
    for scope in scopes_of(urls):
        last = services.registry.last_crl(issuer.issuer_id, scope)
        is_new_base = scope.is_delta and scope.base in renewed
        if is_new_base or _is_due(services, last, schedule):
            valid_for = schedule.of(scope)
            published.append(publish_crl(services, issuer, valid_for, scope=scope, urls=urls))
            renewed.add(scope)
    return published


def _is_due(services: Services, last: CRLStamp | None, schedule: Schedule) -> bool:
    if last is None:
        return True
    jitter = schedule.ahead * services.entropy.random_bits(_SIXTEENTHS) / 4 / (1 << _SIXTEENTHS)
    due: datetime = last.next_update - schedule.ahead - jitter
    return services.clock.now() >= due


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
