"""What an outbox promises to tell of."""

# ruff: noqa: S101

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import (
    InvalidRevocationReason,
    NotOnHold,
    ReservationLost,
    ValidationCertError,
)
from tiny_ca.domain.events import Event, EventKind
from tiny_ca.domain.records import CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.outbox import Outbox
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA

__all__ = ["DAY", "Telling", "ToldEventsContract", "told", "waiting"]

DAY = timedelta(days=1)


class Telling(Registry, Outbox, Protocol):
    """A registry that tells of what happens in it."""


def waiting(
    registry: Outbox, name: str = "one", now: datetime = NOW, after: int = 0
) -> list[Event]:
    """Give all that is due, as one page."""
    return [event for event, _ in registry.due_events(name, now, after, 1000)]


def told(registry: Outbox, name: str = "one") -> list[tuple[EventKind, int | None]]:
    """Give the kind and the serial number of all that is due."""
    return [(event.kind, event.serial_number) for event in waiting(registry, name)]


class ToldEventsContract:
    """Which events there are, and what they say."""

    def test_an_issue(self, registry: Telling, ca: SampleCA) -> None:
        """Nobody is told of a reservation; of the commit, all that was reserved."""
        registry.subscribe("one")
        reservation = ca.reservation(2**158 + 1, "a")
        registry.reserve([reservation])
        registry.reserve([ca.reservation(2, "b")])
        registry.abandon(ca.issuer_id, 2)
        assert waiting(registry) == []
        ca.commit(registry, reservation, NOW + HOUR)
        [event] = waiting(registry)
        assert event.id > 0
        assert event == Event(
            EventKind.ISSUED,
            ca.issuer_id,
            2**158 + 1,
            "a",
            NOW + HOUR,
            {
                "cert_type": "SVC",
                "not_after": (NOW + 24 * HOUR).isoformat(),
                "predecessor": None,
            },
            event.id,
        )
        assert event.occurred_at.utcoffset() == timedelta(0)

    def test_a_succession(self, registry: Telling, ca: SampleCA) -> None:
        """The new one first, then the old one, that names it."""
        registry.subscribe("one")
        ca.issue(registry, 1, "a")
        successor = ca.reservation(2, "a", predecessor=1)
        registry.reserve([successor])
        ca.commit(registry, successor, NOW + HOUR)
        _, new, old = waiting(registry)
        assert (new.kind, new.serial_number) == (EventKind.ISSUED, 2)
        assert new.details["predecessor"] == 1
        assert (old.kind, old.serial_number, old.common_name) == (EventKind.REVOKED, 1, "a")
        assert old.details == {
            "reason": "superseded",
            "revocation_date": (NOW + HOUR).isoformat(),
            "successor": 2,
        }

    def test_a_renewal(self, registry: Telling, ca: SampleCA) -> None:
        """Of a predecessor that is not revoked nothing is told."""
        registry.subscribe("one")
        ca.issue(registry, 1, "a")
        successor = ca.reservation(2, "a", predecessor=1)
        successor = replace(successor, is_renewal=True, supersedes=False)
        registry.reserve([successor])
        ca.commit(registry, successor)
        assert told(registry) == [(EventKind.ISSUED, 1), (EventKind.RENEWED, 2)]
        assert waiting(registry)[1].details["predecessor"] == 1

    def test_many_revocations(self, registry: Telling, ca: SampleCA) -> None:
        """Of each that changes; of a dry run nothing."""
        registry.subscribe("one")
        for serial in (1, 2, 3):
            ca.issue(registry, serial, f"name-{serial}")
        registry.revoke(2, CRLReason.KEY_COMPROMISE, NOW)
        for dry_run in (True, False, False):
            everything = CertificateFilter(issuer_id=ca.issuer_id)
            registry.revoke_many(everything, CRLReason.SUPERSEDED, NOW, 9, dry_run=dry_run)
        revoked = [event for event in waiting(registry) if event.kind is EventKind.REVOKED]
        assert [event.serial_number for event in revoked] == [2, 1, 3]
        assert [event.common_name for event in revoked] == ["name-2", "name-1", "name-3"]
        assert revoked[2].details["reason"] == "superseded"

    def test_a_revocation(self, registry: Telling, ca: SampleCA) -> None:
        """What changes nothing is not told of; a hold that becomes final is."""
        ca.issue(registry, 1, "a")
        registry.subscribe("one")
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW + HOUR)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW + 2 * HOUR)
        registry.revoke(1, CRLReason.SUPERSEDED, NOW + 3 * HOUR)
        registry.revoke(404, CRLReason.SUPERSEDED, NOW)
        events = waiting(registry)
        assert [event.kind for event in events] == [EventKind.REVOKED] * 2
        assert [event.occurred_at for event in events] == [NOW, NOW + 2 * HOUR]
        assert [event.details for event in events] == [
            {"reason": reason, "revocation_date": NOW.isoformat()}
            for reason in ("certificateHold", "keyCompromise")
        ]

    def test_a_release(self, registry: Telling, ca: SampleCA) -> None:
        """Of a certificate that is valid again, and of one that never was."""
        ca.issue(registry, 1, "a")
        registry.reserve([ca.reservation(2, "b")])
        for serial in (1, 2):
            registry.revoke(serial, CRLReason.CERTIFICATE_HOLD, NOW)
        registry.subscribe("one")
        for serial in (1, 2, 404):
            registry.release(serial, NOW + HOUR)
        events = waiting(registry)
        assert [event.kind for event in events] == [EventKind.RELEASED] * 2
        assert [event.details for event in events] == [{"status": "valid"}, {"status": "abandoned"}]

    def test_a_certificate_from_elsewhere(self, registry: Telling, ca: SampleCA) -> None:
        """As of one that was issued here."""
        registry.subscribe("one")
        certificate = ca.certificate(ca.reservation(7, "a"))
        registry.register(certificate, None, CertType.DEVICE, NOW)
        [event] = waiting(registry)
        assert (event.kind, event.serial_number, event.common_name) == (EventKind.ISSUED, 7, "a")
        assert (event.details["cert_type"], event.occurred_at) == ("DEV", NOW)

    def test_a_crl(self, registry: Telling, ca: SampleCA) -> None:
        """It is the issuer's; a CRL that is not published is not told of."""
        registry.subscribe("one")
        stamp = CRLStamp(9, NOW, NOW + HOUR)
        assert registry.publish_crl(ca.issuer_id, stamp, lambda: None)
        assert not registry.publish_crl(ca.issuer_id, stamp, lambda: None)
        [event] = waiting(registry)
        assert (event.kind, event.issuer_id) == (EventKind.CRL_PUBLISHED, ca.issuer_id)
        assert (event.serial_number, event.common_name) == (None, None)
        assert event.details == {"crl_number": 9, "next_update": (NOW + HOUR).isoformat()}
        assert event.occurred_at == NOW

    def test_a_refusal_is_not_told_of(self, registry: Telling, ca: SampleCA) -> None:
        """Nor anything else of what was asked for together with it."""
        ca.issue(registry, 1, "a")
        registry.subscribe("one")
        batch = [ca.reservation(2, "b"), ca.reservation(3, "a", predecessor=1)]
        registry.reserve(batch)
        registry.abandon(ca.issuer_id, 2)
        signed = [(one, ca.certificate(one)) for one in reversed(batch)]
        refusals: dict[type[Exception], Callable[[], object]] = {
            ReservationLost: lambda: registry.commit(signed, NOW),
            NotOnHold: lambda: registry.release(1, NOW),
            InvalidRevocationReason: lambda: registry.revoke(1, CRLReason.REMOVE_FROM_CRL, NOW),
            ZeroDivisionError: lambda: registry.publish_crl(
                ca.issuer_id, CRLStamp(1, NOW, NOW), lambda: 1 // 0
            ),
        }
        for error, call in refusals.items():
            with pytest.raises(error):
                call()
        assert waiting(registry) == []
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW)
        with pytest.raises(ValidationCertError):
            registry.commit(signed[:1], NOW)
        assert told(registry) == [(EventKind.REVOKED, 1)]

    def test_what_ends_soon(self, registry: Telling, ca: SampleCA) -> None:
        """Once for each window; valid certificates alone, in their last second too."""
        for serial, name, hours in ((1, "a", 1), (2, "b", 30), (3, "c", 2), (4, "d", 1)):
            ca.issue(registry, serial, name, not_after=NOW + hours * HOUR)
        registry.reserve([ca.reservation(5, "e", not_after=NOW + HOUR)])
        registry.revoke(4, CRLReason.CERTIFICATE_HOLD, NOW)
        assert registry.note_expiring(NOW, DAY) == 0
        registry.subscribe("one")
        assert registry.note_expiring(NOW, DAY) == 2
        assert registry.note_expiring(NOW, DAY) == 0
        assert told(registry) == [(EventKind.EXPIRING, 1), (EventKind.EXPIRING, 3)]
        assert waiting(registry)[0].details == {
            "not_after": (NOW + HOUR).isoformat(),
            "profile": None,
            "window_seconds": 86400,
        }
        registry.release(4, NOW)
        assert registry.note_expiring(NOW, 2 * DAY) == 4
        late = NOW + HOUR + timedelta(milliseconds=900)
        assert registry.note_expiring(late, DAY) == 1
        assert registry.note_expiring(late, 90 * DAY) == 4
        assert registry.note_expiring(late + timedelta(seconds=1), 91 * DAY) == 2
