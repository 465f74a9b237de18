"""Events as values, and how long a failure has to wait."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tiny_ca import Event, EventKind
from tiny_ca.domain.events import retry_delay

EVENT = Event(EventKind.CRL_PUBLISHED, "ca", None, None, datetime(2030, 1, 1, tzinfo=UTC), {"n": 1})


def test_an_event_travels_and_can_be_remembered() -> None:
    assert pickle.loads(pickle.dumps(EVENT)) == EVENT
    assert len({EVENT, replace(EVENT)}) == 1
    assert EVENT.stream == ("ca", None)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 10), (2, 20), (9, 2560), (10, 3600), (10**9, 3600)]
)
def test_a_failure_waits_twice_as_long_each_time(failures: int, seconds: int) -> None:
    assert retry_delay(failures) == timedelta(seconds=seconds)
