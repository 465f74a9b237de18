"""Who publishes what: one process at a time."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select, update

from tiny_ca.adapters.outbound.db.schema import publishing_leases
from tiny_ca.domain.records import PublishingLease

__all__ = ["begin_publishing", "end_publishing"]

_l = publishing_leases.c


def begin_publishing(connection: Connection, lease: PublishingLease, at: datetime) -> bool:
    """See `ports.registry.Registry.begin_publishing`; of two inserts at once, one fails."""
    taken = update(publishing_leases).where(
        _l.issuer_id == lease.issuer_id,
        _l.what == lease.what,
        or_(_l.holder == lease.holder, _l.until <= at),
    )
    values = {"holder": lease.holder, "until": lease.until}
    if connection.execute(taken.values(values)).rowcount == 1:
        return True
    key = {"issuer_id": lease.issuer_id, "what": lease.what}
    if connection.execute(select(_l.holder).filter_by(**key)).first() is not None:
        return False
    connection.execute(insert(publishing_leases).values(**key, **values))
    return True


def end_publishing(connection: Connection, lease: PublishingLease) -> None:
    """See `ports.registry.Registry.end_publishing`."""
    held = {"issuer_id": lease.issuer_id, "what": lease.what, "holder": lease.holder}
    connection.execute(delete(publishing_leases).filter_by(**held))
