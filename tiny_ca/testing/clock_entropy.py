"""The contracts of `ports.clock.Clock` and `ports.entropy.Entropy`."""

# ruff: noqa: S101

from datetime import timedelta

import pytest

from tiny_ca.ports.clock import Clock
from tiny_ca.ports.entropy import Entropy
from tiny_ca.testing.samples import at_once

__all__ = ["ClockContract", "EntropyContract"]


class ClockContract:
    """Proves a clock: subclass it and provide a fixture *clock*."""

    def test_is_a_clock(self, clock: Clock) -> None:
        """It has every method of the port."""
        assert isinstance(clock, Clock)

    def test_now_is_aware_and_in_utc(self, clock: Clock) -> None:
        """The offset is zero: not local time, and not without a time zone."""
        assert clock.now().utcoffset() == timedelta(0)

    @pytest.mark.parametrize("seconds", [0, 0.01])
    def test_sleep(self, clock: Clock, seconds: float) -> None:
        """That much time has passed by then, give or take a tick."""
        before = clock.now()
        clock.sleep(seconds)
        assert clock.now() - before >= timedelta(seconds=seconds) - timedelta(milliseconds=1)

    def test_threads_read_one_time(self, clock: Clock) -> None:
        """What threads read at once lies between two readings, give or take a correction."""
        before, read, after = clock.now(), at_once(8, lambda _: clock.now()), clock.now()
        slack = timedelta(seconds=1)
        for moment in read:
            assert not isinstance(moment, Exception), moment
            assert before - slack <= moment <= after + slack


class EntropyContract:
    """Proves a source of random bits: subclass it and provide a fixture *entropy*.

    That nobody can predict them is beyond a test: it finds only gross mistakes.
    """

    def test_is_a_source(self, entropy: Entropy) -> None:
        """It has every method of the port."""
        assert isinstance(entropy, Entropy)

    @pytest.mark.parametrize("count", [1, 2, 7, 8, 63, 64, 65, 128, 160, 1000])
    def test_as_many_bits_as_asked_for(self, entropy: Entropy, count: int) -> None:
        """In 0..2^count-1, and each bit is now 0, now 1 (by chance not: once in 2^245)."""
        drawn = [entropy.random_bits(count) for _ in range(256)]
        assert all(0 <= bits < 1 << count for bits in drawn)
        ever_set, always_set = 0, -1
        for bits in drawn:
            ever_set, always_set = ever_set | bits, always_set & bits
        assert ever_set == (1 << count) - 1
        assert always_set == 0

    def test_about_half_of_the_bits_are_set(self, entropy: Entropy) -> None:
        """Of 64,000, within eight standard deviations."""
        ones = sum(entropy.random_bits(64).bit_count() for _ in range(1000))
        assert abs(ones - 32_000) < 8 * 127

    def test_nothing_comes_twice(self, entropy: Entropy) -> None:
        """Not in 8 threads of 500 draws either (by chance: once in 2^41)."""
        drawn = at_once(8, lambda _: [entropy.random_bits(64) for _ in range(500)])
        together: set[int] = set()
        for numbers in drawn:
            assert not isinstance(numbers, Exception), numbers
            together.update(numbers)
        assert len(together) == 4000
