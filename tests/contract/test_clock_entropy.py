"""Every clock and every source of random bits keeps the contract of its port."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tiny_ca import ManualClock, SeededEntropy
from tiny_ca.adapters.outbound.system import SystemClock, SystemEntropy
from tiny_ca.ports.clock import Clock
from tiny_ca.ports.entropy import Entropy
from tiny_ca.testing import ClockContract, EntropyContract


class TestSystemClock(ClockContract):
    @pytest.fixture
    def clock(self) -> Clock:
        return SystemClock()

    def test_it_is_the_systems(self, clock: Clock) -> None:
        before, read, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
        slack = timedelta(seconds=1)  # Somebody may set the clock meanwhile.
        assert before - slack <= read <= after + slack


class TestManualClock(ClockContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(datetime(2030, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))))

    def test_it_stands_until_it_is_moved(self, clock: ManualClock) -> None:
        noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        assert clock.now() == clock.now() == noon
        clock.advance(timedelta(seconds=90))
        assert clock.now() == noon + timedelta(seconds=90)
        clock.set(noon.astimezone(timezone(timedelta(hours=-5))))
        assert clock.now() == noon
        assert clock.now().utcoffset() == timedelta(0)


class TestSystemEntropy(EntropyContract):
    @pytest.fixture
    def entropy(self) -> Entropy:
        return SystemEntropy()

    def test_no_two_sources_agree(self) -> None:
        assert SystemEntropy().random_bits(64) != SystemEntropy().random_bits(64)


class TestSeededEntropy(EntropyContract):
    @pytest.fixture
    def entropy(self) -> Entropy:
        return SeededEntropy()

    def test_a_seed_repeats(self) -> None:
        drawn = [
            [source.random_bits(64) for _ in range(9)] for source in map(SeededEntropy, (1, 1, 2))
        ]
        assert drawn[0] == drawn[1] != drawn[2]
