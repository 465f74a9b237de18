"""What a dry run says at its end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tiny_ca.adapters.inbound.cli.output import Output, day
from tiny_ca.adapters.inbound.cli.serials import hex_of

if TYPE_CHECKING:
    from tiny_ca.domain.records import Reservation

__all__ = ["Rehearsed", "tell_rehearsed"]


class Rehearsed(Exception):
    """A dry run came to its first write; nothing is in its way."""

    def __init__(self, would: str, reservations: "Sequence[Reservation]" = ()) -> None:
        super().__init__(would)
        self.reservations = tuple(reservations)
        """What would be issued."""


def tell_rehearsed(end: Rehearsed, out: Output) -> None:
    """Tell what a dry run would have done next."""
    issued: list[dict[str, Any]] = [
        {
            "common_name": each.common_name,
            "kind": each.cert_type.name.lower(),
            "profile": each.profile,
            "not_before": each.validity.not_before,
            "not_after": each.validity.not_after,
            "supersedes": _superseded(each),
        }
        for each in end.reservations
    ]
    if out.document({"dry_run": True, "would": str(end), "issue": issued}):
        return
    if not issued:
        out.line(f"Would {end}.")
    for one in issued:
        out.line(f"Would issue {one['common_name']}, until {day(one['not_after'])}")
        out.fields([("profile", one["profile"]), ("supersedes", one["supersedes"])])


def _superseded(reservation: "Reservation") -> str | None:
    old = reservation.predecessor
    return hex_of(old) if old is not None and reservation.supersedes else None
