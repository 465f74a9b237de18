"""The contract of `ports.observer.Observer`."""

# ruff: noqa: S101

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.observer import Observer
from tiny_ca.testing.samples import at_once

__all__ = ["ObserverContract", "Seen"]

_NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an observer has kept."""

    ended: Mapping[tuple[str, str | None], int] = field(default_factory=dict)
    """How many operations ended, by their names and the class names of what they raised."""
    issued: Mapping[str, int] = field(default_factory=dict)
    """How many certificates, by profile; those of none by the empty string."""
    revoked: Mapping[str, int] = field(default_factory=dict)
    """How many, by the reason's value."""
    ends: Mapping[str, float] = field(default_factory=dict)
    """What ends when, in seconds since 1970: CAs by id, CRLs by name, certificates by their
    serial numbers in hex."""


class ObserverContract(ABC):
    """Proves an observer: subclass it, and provide a fixture *observer* and `seen`."""

    @abstractmethod
    def seen(self, observer: Observer) -> Seen | None:
        """Read what *observer* has kept; `None`: it keeps nothing."""

    def test_is_an_observer(self, observer: Observer) -> None:
        """It has every method of the port."""
        assert isinstance(observer, Observer)

    def test_operations(self, observer: Observer) -> None:
        """Each is counted by its outcome, whatever it raised."""
        for error in (None, None, ValueError("no"), KeyboardInterrupt()):
            observer.begin("plan").end(0.25, error)
        kept = self.seen(observer)
        if kept is not None:
            assert kept.ended == {
                ("plan", None): 2,
                ("plan", "ValueError"): 1,
                ("plan", "KeyboardInterrupt"): 1,
            }

    def test_one_inside_another(self, observer: Observer) -> None:
        """What began last ends first."""
        outer = observer.begin("deliver_events")
        for _ in range(2):
            observer.begin("issue_certificate").end(0.0, None)
        outer.end(1.0, None)
        kept = self.seen(observer)
        if kept is not None:
            assert kept.ended == {("deliver_events", None): 1, ("issue_certificate", None): 2}

    def test_one_that_has_not_ended_has_no_outcome(self, observer: Observer) -> None:
        """It is told of at its end."""
        running = observer.begin("restore")
        kept = self.seen(observer)
        running.end(0.0, None)
        if kept is not None:
            assert kept.ended == {}

    def test_threads(self, observer: Observer) -> None:
        """Nothing is lost when they come at once."""

        def work(number: int) -> None:
            for _ in range(50):
                running = observer.begin("issue_certificate")
                observer.issued("id", "server")
                running.end(0.001 * number, None)

        for result in at_once(8, work):
            assert result is None
        kept = self.seen(observer)
        if kept is not None:
            assert kept.ended == {("issue_certificate", None): 400}
            assert kept.issued == {"server": 400}

    def test_counts(self, observer: Observer) -> None:
        """Of certificates by profile, of revocations by reason."""
        for profile in ("server", None, "server"):
            observer.issued("id", profile)
        observer.revoked(CRLReason.SUPERSEDED, 1)
        observer.revoked(CRLReason.KEY_COMPROMISE, 1000)
        observer.revoked(CRLReason.SUPERSEDED, 2)
        kept = self.seen(observer)
        if kept is not None:
            assert kept.issued == {"server": 2, "": 1}
            assert kept.revoked == {"superseded": 3, "keyCompromise": 1000}

    @pytest.mark.parametrize("issuer_ids", [["one"], ["one", "two"]])
    def test_what_ends_when(self, observer: Observer, issuer_ids: list[str]) -> None:
        """A CA's last report counts, and no other's: what is gone from it is gone."""
        for issuer_id in ["one", "two"]:
            observer.measured(_report(issuer_id, 0xABC, _NOON))
        later = _NOON + timedelta(days=1)
        for issuer_id in issuer_ids:
            observer.measured(_report(issuer_id, 0xDEF, later))
        kept = self.seen(observer)
        if kept is not None:
            assert kept.ends["one"] == later.timestamp()
            is_moved = "two" in issuer_ids
            assert kept.ends["two"] == (later if is_moved else _NOON).timestamp()
            assert kept.ends["def"] == later.timestamp()
            assert ("abc" in kept.ends) is not is_moved
            assert kept.ends["crl-delta"] == 0
            assert kept.ends["crl"] > 0

    def test_nothing_is_over_yet(self, observer: Observer) -> None:
        """A new one has kept nothing."""
        assert self.seen(observer) in (None, Seen())


def _report(issuer_id: str, serial_number: int, end: datetime) -> ExpiryReport:
    record = CertificateRecord(
        serial_number=serial_number,
        issuer_id=issuer_id,
        common_name="a.internal",
        cert_type=CertType.SERVICE,
        status=CertificateStatus.VALID,
        not_before=end - timedelta(days=90),
        not_after=end,
        uuid=None,
        cert_path=None,
        file_name=None,
        created_at=end - timedelta(days=90),
        certificate_pem=None,
        revocation_date=None,
        revocation_reason=None,
    )
    stamp = CRLStamp(1, end - timedelta(days=7), end)
    return ExpiryReport(issuer_id, "Root", end, {"crl": stamp, "crl-delta": None}, (record,))
