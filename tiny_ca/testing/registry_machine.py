"""Any steps in any order: a registry against a model of it."""

# ruff: noqa: S101

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule

from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.crl import CRLScope, Shard
from tiny_ca.domain.records import (
    CertificateRecord,
    CertificateStatus,
    CRLEntry,
    CRLStamp,
    Reservation,
    RetryKey,
)
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.registry_model import Refused, RegistryModel
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, entries_of, issuer_id_of_name

__all__ = ["RegistryMachine"]

SERIALS, NAMES, UUIDS, RETRY_KEYS = 6, 3, 2, 2
MANY = 100
STATUSES = (None, CertificateStatus.VALID, CertificateStatus.EXPIRED)
_runs = count(1)


class SwapFailed(Exception):
    """What a CRL's file raises now and then."""


@st.composite
def descriptions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a certificate is to be: few values, so that they meet."""
    return {
        "serial_number": draw(st.integers(1, SERIALS)),
        "common_name": draw(st.integers(1, NAMES)),
        "uuid": draw(st.integers(1, UUIDS)),
        "cert_type": draw(st.sampled_from([CertType.CA, CertType.SERVICE])),
        "hours": draw(st.integers(0, 5)),
        "retry_key": draw(st.none() | st.integers(1, RETRY_KEYS)),
        "claims_name": draw(st.sampled_from([True, True, False])),
        "supersedes": draw(st.booleans()),
    }


SHARDS = Shard(0, 2), Shard(1, 2)
SCOPES = (
    CRLScope(),
    CRLScope(is_delta=True),
    CRLScope(SHARDS[0]),
    CRLScope(SHARDS[1], is_delta=True),
)
cas = st.integers(0, 1)
scopes = st.sampled_from(SCOPES)
some_ca = st.none() | cas
serials = st.integers(1, SERIALS)
reasons = st.sampled_from(
    [CRLReason.CERTIFICATE_HOLD, CRLReason.KEY_COMPROMISE, CRLReason.UNSPECIFIED]
)


class RegistryMachine(RuleBasedStateMachine):
    """Takes the same steps on *registry* and on a `RegistryModel`, and compares.

    *registry* need not be empty: every run has issuers, names and numbers of its own.  Use it
    with `hypothesis.stateful.run_state_machine_as_test(lambda: RegistryMachine(registry))`.
    """

    reservations: Bundle[Reservation] = Bundle("reservations")
    stamps: Bundle[tuple[int, CRLStamp]] = Bundle("stamps")

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        self.model = RegistryModel()
        self.run = next(_runs)
        self.cas = [SampleCA("One"), SampleCA("Two")]
        self.now = NOW
        self.drawn = [0, 0]

    def _serial(self, which: int) -> int:
        # In either of two shards.
        return self.run << 64 | (which % 2) << 15 | which

    def _reservation(self, ca: int, wanted: dict[str, Any], predecessor: int | None) -> Reservation:
        reservation = self.cas[ca].reservation(
            self._serial(wanted["serial_number"]),
            f"name-{self.run}-{wanted['common_name']}",
            uuid=f"uuid-{self.run}-{wanted['uuid']}",
            cert_type=wanted["cert_type"],
            not_after=self.now.replace(microsecond=0) + wanted["hours"] * HOUR,
            created_at=self.now,
            predecessor=None if predecessor is None else self._serial(predecessor),
            claims_name=wanted["claims_name"],
            supersedes=wanted["supersedes"],
        )
        if wanted["retry_key"] is None:
            return reservation
        return replace(reservation, retry_key=RetryKey(self._key(wanted["retry_key"]), "5" * 64))

    def _key(self, which: int) -> str:
        return f"key-{self.run}-{which}"

    def _both(self, act: Callable[[Any], object]) -> bool:
        """Do the same to both; both refuse (false), or both give the same."""
        try:
            expected = act(self.model)
        except Refused as refused:
            with pytest.raises(refused.errors):
                act(self.registry)
            return False
        assert act(self.registry) == expected
        return True

    @rule(
        target=reservations,
        ca=cas,
        wanted=descriptions(),
        predecessor=st.none() | serials,
    )
    def reserve(self, ca: int, wanted: dict[str, Any], predecessor: int | None) -> Any:
        """Reserve, with a predecessor or without."""
        reservation = self._reservation(ca, wanted, predecessor)
        is_reserved = self._both(lambda registry: registry.reserve([reservation]))
        return reservation if is_reserved else multiple()

    @rule(target=reservations, ca=cas, wanted=descriptions())
    def issue(self, ca: int, wanted: dict[str, Any]) -> Any:
        """Reserve and, if that went well, commit."""
        reservation = self._reservation(ca, wanted, None)
        if not self._both(lambda registry: registry.reserve([reservation])):
            return multiple()
        self.commit(reservation)
        return reservation

    @rule(reservation=reservations)
    def commit(self, reservation: Reservation) -> None:
        """Commit what was reserved, whatever became of it."""
        issuer = next(ca for ca in self.cas if ca.issuer_id == reservation.issuer_id)
        certificate, at = issuer.certificate(reservation), self.now
        self._both(lambda registry: registry.commit([(reservation, certificate)], at))

    @rule(ca=cas, serial=serials)
    def abandon(self, ca: int, serial: int) -> None:
        """Close a row, pending or not."""
        issuer_id = self.cas[ca].issuer_id
        self._both(lambda registry: registry.abandon(issuer_id, self._serial(serial)))

    @rule(ca=cas, wanted=descriptions())
    def register(self, ca: int, wanted: dict[str, Any]) -> None:
        """Register a certificate that was signed elsewhere."""
        plain = {"retry_key": None, "claims_name": True, "supersedes": True}
        reservation = self._reservation(ca, {**wanted, **plain}, None)
        certificate = self.cas[ca].certificate(reservation)
        uuid, cert_type = reservation.location.uuid, reservation.cert_type

        def act(registry: Any) -> None:
            if registry is self.model:
                self.model.register(certificate, reservation, self.now)
            else:
                registry.register(certificate, uuid, cert_type, self.now)

        self._both(act)

    @rule(serial=serials, reason=reasons, ca=some_ca)
    def revoke(self, serial: int, reason: CRLReason, ca: int | None) -> None:
        """Revoke whatever has the serial number, of one CA or of any."""
        number, of, now = self._serial(serial), self._issuer_id(ca), self.now
        self._both(lambda registry: registry.revoke(number, reason, now, issuer_id=of))

    @rule(serial=serials, ca=some_ca)
    def release(self, serial: int, ca: int | None) -> None:
        """Release whatever has the serial number, of one CA or of any."""
        number, of, now = self._serial(serial), self._issuer_id(ca), self.now
        self._both(lambda registry: registry.release(number, now, of))

    def _issuer_id(self, ca: int | None) -> str | None:
        return None if ca is None else self.cas[ca].issuer_id

    @rule(several=st.sets(serials), reason=reasons, ca=st.none() | cas)
    def revoke_many(self, several: set[int], reason: CRLReason, ca: int | None) -> None:
        """Revoke whatever has the serial numbers, of one issuer or of any."""
        wanted = CertificateFilter(
            serial_numbers=tuple(map(self._serial, several)),
            issuer_id=None if ca is None else self.cas[ca].issuer_id,
        )

        def act(registry: Any) -> object:
            more = () if registry is self.model else (MANY,)
            return registry.revoke_many(wanted, reason, self.now, *more)

        self._both(act)

    @rule(ca=cas, status=st.sampled_from(STATUSES))
    def page(self, ca: int, status: CertificateStatus | None) -> None:
        """List an issuer's certificates."""
        wanted = CertificateFilter(status=status, issuer_id=self.cas[ca].issuer_id)

        def act(registry: Any) -> object:
            more = () if registry is self.model else (MANY,)
            return registry.page(wanted, self.now, *more)

        self._both(act)

    @rule()
    def expire(self) -> None:
        """Mark what is over, of earlier runs too."""
        self.model.expire(self.now)
        while self.registry.expire(self.now, 2):
            pass

    @rule(serial=serials)
    def delete(self, serial: int) -> None:
        """Delete whatever has the serial number."""
        self._both(lambda registry: registry.delete(self._serial(serial), self.now))

    @rule(minutes=st.integers(1, 180))
    def wait(self, minutes: int) -> None:
        """Let time pass, and not to the whole second."""
        self.now += timedelta(minutes=minutes, microseconds=1)

    @rule(target=stamps, ca=cas)
    def draw_crl_number(self, ca: int) -> tuple[int, CRLStamp]:
        """Draw a number for a CRL of now."""
        number = self.registry.next_crl_number(self.cas[ca].issuer_id)
        assert number > self.drawn[ca]
        self.drawn[ca] = self.model.drawn[self.cas[ca].issuer_id] = number
        return ca, CRLStamp(number, self.now, self.now + HOUR)

    @rule(drawn=stamps, scope=scopes, fails=st.booleans())
    def publish_crl(self, drawn: tuple[int, CRLStamp], scope: CRLScope, fails: bool) -> None:
        """Publish one of the CRLs whose numbers were drawn, in any order."""
        ca, stamp = drawn

        def swap() -> None:
            if fails:
                raise SwapFailed

        def act(registry: Any) -> bool | None:
            try:
                is_published: bool = registry.publish_crl(
                    self.cas[ca].issuer_id, stamp, swap, scope
                )
            except SwapFailed:
                return None
            return is_published

        self._both(act)

    @rule()
    def compare(self) -> None:
        """Everything that can be asked has the same answer."""
        questions: list[Callable[[Any], object]] = [
            *(partial(_get_by_serial, serial=self._serial(n + 1)) for n in range(SERIALS)),
            *(
                partial(_get_by_serial, serial=self._serial(n + 1), issuer_id=ca.issuer_id)
                for n in range(SERIALS)
                for ca in self.cas
            ),
            *(partial(self._issuer_certificates, which=n + 1) for n in range(NAMES)),
            *(partial(_get_by_name, name=f"name-{self.run}-{n + 1}") for n in range(NAMES)),
            *(partial(_get_by_key, key=self._key(n + 1)) for n in range(RETRY_KEYS)),
            lambda registry: self._mine(registry.pending(self.now)),
            lambda registry: self._mine(registry.authorities()),
            *(partial(_revoked, issuer_id=ca.issuer_id) for ca in self.cas),
            *(
                partial(_last_crl, issuer_id=ca.issuer_id, scope=scope)
                for ca in self.cas
                for scope in SCOPES
            ),
            *(
                partial(_crl_entries, issuer_id=ca.issuer_id, shard=shard)
                for ca in self.cas
                for shard in (None, *SHARDS)
            ),
            *(partial(_delta, issuer_id=ca.issuer_id) for ca in self.cas),
        ]
        for question in questions:
            self._both(question)

    def _issuer_certificates(self, registry: Any, which: int) -> list[CertificateRecord]:
        issuer_id = issuer_id_of_name(f"name-{self.run}-{which}")
        records = registry.issuer_certificates(issuer_id)
        return sorted(records, key=lambda record: (record.issuer_id, record.serial_number))

    def _mine(self, records: Any) -> list[CertificateRecord]:
        issuers = {ca.issuer_id for ca in self.cas}
        return [record for record in records if record.issuer_id in issuers]

    def teardown(self) -> None:
        """Compare once more."""
        self.compare()


def _get_by_serial(
    registry: Registry, serial: int, issuer_id: str | None = None
) -> CertificateRecord | None:
    return registry.get_by_serial(serial, issuer_id)


def _get_by_name(registry: Registry, name: str) -> CertificateRecord | None:
    return registry.get_by_name(name)


def _get_by_key(registry: Registry, key: str) -> CertificateRecord | None:
    return registry.get_by_idempotency_key(key)


def _revoked(registry: Registry, issuer_id: str) -> list[CRLEntry]:
    return sorted(registry.revoked(issuer_id), key=lambda entry: entry.serial_number)


def _last_crl(registry: Registry, issuer_id: str, scope: CRLScope) -> CRLStamp | None:
    return registry.last_crl(issuer_id, scope)


def _crl_entries(
    registry: Registry, issuer_id: str, shard: Shard | None, since: int | None = None
) -> list[CRLEntry]:
    return sorted(
        entries_of(registry.crl_entries(issuer_id, shard, since)),
        key=lambda entry: entry.serial_number,
    )


def _delta(registry: Registry, issuer_id: str) -> list[CRLEntry] | None:
    """Give what changed since the last complete CRL, of all scopes the one with that number."""
    base = registry.last_crl(issuer_id)
    if base is None:
        return None
    others = (registry.last_crl(issuer_id, scope) for scope in SCOPES if not scope.is_delta)
    # A registry forgets what no published CRL is a base for.
    since = max(base.number, *(last.number for last in others if last is not None))
    return _crl_entries(registry, issuer_id, None, since)
