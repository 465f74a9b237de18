"""When a certificate should be followed by the next one."""

from datetime import datetime, timedelta

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.lifetime import Validity

__all__ = ["is_due"]


def is_due(validity: Validity, now: datetime, within: timedelta | None = None) -> bool:
    """Whether a certificate is to be renewed: its last third has begun, or it ends *within*.

    Not in its first third, though, so that a *within* longer than its life does not renew it
    all the time.  One that is over is due.  Raises `InvalidRequest` for a negative *within*.
    """
    third = (validity.not_after - validity.not_before) / 3
    if within is not None and within < timedelta(0):
        raise InvalidRequest("Renewal is asked for 0 days before the end, or more.")
    return validity.not_after - now <= (third if within is None else min(within, 2 * third))
