"""Any steps in any order: a registry against a model of it."""

# ruff: noqa: S101

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule

from tiny_ca.domain.records import CertificateRecord, CRLStamp, Reservation
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.registry_model import Refused, RegistryModel
from tiny_ca.testing.samples import HOUR, NOW, SampleCA

__all__ = ["RegistryMachine"]

SERIALS, NAMES, UUIDS = 6, 3, 2
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
    }


cas = st.integers(0, 1)
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
        return self.run << 64 | which

    def _reservation(self, ca: int, wanted: dict[str, Any], predecessor: int | None) -> Reservation:
        return self.cas[ca].reservation(
            self._serial(wanted["serial_number"]),
            f"name-{self.run}-{wanted['common_name']}",
            uuid=f"uuid-{self.run}-{wanted['uuid']}",
            cert_type=wanted["cert_type"],
            not_after=self.now.replace(microsecond=0) + wanted["hours"] * HOUR,
            created_at=self.now,
            predecessor=None if predecessor is None else self._serial(predecessor),
        )

    def _both(self, act: Callable[[Any], object]) -> None:
        """Do the same to both; both refuse, or both give the same."""
        try:
            expected = act(self.model)
        except Refused as refused:
            with pytest.raises(refused.errors):
                act(self.registry)
        else:
            assert act(self.registry) == expected

    @rule(
        target=reservations,
        ca=cas,
        wanted=descriptions(),
        predecessor=st.none() | serials,
    )
    def reserve(self, ca: int, wanted: dict[str, Any], predecessor: int | None) -> Reservation:
        """Reserve, with a predecessor or without."""
        reservation = self._reservation(ca, wanted, predecessor)
        self._both(lambda registry: registry.reserve([reservation]))
        return reservation

    @rule(target=reservations, ca=cas, wanted=descriptions())
    def issue(self, ca: int, wanted: dict[str, Any]) -> Any:
        """Reserve and, if that went well, commit."""
        reservation = self._reservation(ca, wanted, None)
        try:
            self.model.reserve([reservation])
        except Refused as refused:
            with pytest.raises(refused.errors):
                self.registry.reserve([reservation])
            return multiple()
        self.registry.reserve([reservation])
        self.commit(reservation)
        return reservation

    @rule(reservation=reservations)
    def commit(self, reservation: Reservation) -> None:
        """Commit what was reserved, or refused, or committed before."""
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
        reservation = self._reservation(ca, wanted, None)
        certificate = self.cas[ca].certificate(reservation)
        uuid, cert_type = reservation.location.uuid, reservation.cert_type

        def act(registry: Any) -> None:
            if registry is self.model:
                self.model.register(certificate, reservation, self.now)
            else:
                registry.register(certificate, uuid, cert_type, self.now)

        self._both(act)

    @rule(serial=serials, reason=reasons)
    def revoke(self, serial: int, reason: CRLReason) -> None:
        """Revoke whatever has the serial number."""
        self._both(lambda registry: registry.revoke(self._serial(serial), reason, self.now))

    @rule(serial=serials)
    def release(self, serial: int) -> None:
        """Release whatever has the serial number."""
        self._both(lambda registry: registry.release(self._serial(serial), self.now))

    @rule(minutes=st.integers(1, 180))
    def wait(self, minutes: int) -> None:
        """Let time pass, and not to the whole second."""
        self.now += timedelta(minutes=minutes, microseconds=1)

    @rule(target=stamps, ca=cas)
    def draw_crl_number(self, ca: int) -> tuple[int, CRLStamp]:
        """Draw a number for a CRL of now."""
        number = self.registry.next_crl_number(self.cas[ca].issuer_id)
        assert number > self.drawn[ca]
        self.drawn[ca] = number
        return ca, CRLStamp(number, self.now, self.now + HOUR)

    @rule(drawn=stamps, fails=st.booleans())
    def publish_crl(self, drawn: tuple[int, CRLStamp], fails: bool) -> None:
        """Publish one of the CRLs whose numbers were drawn, in any order."""
        ca, stamp = drawn

        def swap() -> None:
            if fails:
                raise SwapFailed

        def act(registry: Any) -> bool | None:
            try:
                is_published: bool = registry.publish_crl(self.cas[ca].issuer_id, stamp, swap)
            except SwapFailed:
                return None
            return is_published

        self._both(act)

    @rule()
    def compare(self) -> None:
        """Everything that can be asked has the same answer."""
        for serial in range(1, SERIALS + 1):
            self._both(lambda registry, n=serial: registry.get_by_serial(self._serial(n)))
        for name in range(1, NAMES + 1):
            self._both(lambda registry, n=name: registry.get_by_name(f"name-{self.run}-{n}"))
        for uuid in range(1, UUIDS + 1):
            self._both(lambda registry, n=uuid: registry.get_by_uuid(f"uuid-{self.run}-{n}"))
        self._both(lambda registry: self._mine(registry.pending(self.now)))
        self._both(lambda registry: self._mine(registry.authorities()))
        for ca in self.cas:
            self._both(lambda registry, i=ca.issuer_id: _sorted(registry.revoked(i)))

    def _mine(self, records: Any) -> list[CertificateRecord]:
        issuers = {ca.issuer_id for ca in self.cas}
        return [record for record in records if record.issuer_id in issuers]

    def teardown(self) -> None:
        """Compare once more."""
        self.compare()


def _sorted(entries: Any) -> list[Any]:
    return sorted(entries, key=lambda entry: entry.serial_number)
