"""The clock and the random numbers of the operating system."""

from datetime import UTC, datetime

from tiny_ca.adapters.outbound.system import SerialWithEncoding, SystemClock, SystemEntropy
from tiny_ca.domain.serial import CertType


def test_the_clock_is_aware_and_in_utc():
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC


def test_random_bits_keep_to_their_width_and_fill_it():
    drawn = [SystemEntropy().random_bits(64) for _ in range(256)]
    assert all(0 <= bits < 2**64 for bits in drawn)
    seen = 0
    for bits in drawn:
        seen |= bits
    # All but certain: one bit stays clear in 256 draws with a probability of 2^-256.
    assert seen == 2**64 - 1
    assert {SystemEntropy().random_bits(1) for _ in range(256)} == {0, 1}


def test_serial_numbers_take_all_their_random_bits_from_it(monkeypatch):
    asked = []

    def random_bits(self, count):
        asked.append(count)
        return 2**count - 1

    monkeypatch.setattr(SystemEntropy, "random_bits", random_bits)
    serial = SerialWithEncoding.generate("nginx", CertType.SERVICE)
    assert asked == [64]
    assert serial & (2**64 - 1) == 2**64 - 1
