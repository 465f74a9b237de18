"""Validity periods, by example."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from tiny_ca.adapters.outbound.crypto.factory import CertificateFactory
from tiny_ca.adapters.outbound.system import CertLifetime
from tiny_ca.domain.errors import InvalidRangeTimeCertificate, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm
from tiny_ca.domain.lifetime import Validity, plan_validity, utc_seconds

NOW = datetime(2024, 1, 1, tzinfo=UTC)
KYIV = ZoneInfo("Europe/Kyiv")


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (datetime(2024, 2, 28), 1, datetime(2024, 2, 29)),
        (datetime(2024, 2, 28), 2, datetime(2024, 3, 1)),
        (datetime(2025, 2, 28), 1, datetime(2025, 3, 1)),
        (datetime(2024, 2, 29), 365, datetime(2025, 2, 28)),
        (datetime(2024, 2, 29), 366, datetime(2025, 3, 1)),
        (datetime(2099, 12, 31), 60, datetime(2100, 3, 1)),
        (datetime(2399, 12, 31), 60, datetime(2400, 2, 29)),
        (datetime(2049, 12, 31, 23, 59, 59), 1, datetime(2050, 1, 1, 23, 59, 59)),
        (datetime(9999, 12, 30, 23, 59, 59), 1, datetime(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_days_of_leap_years_and_others(start, days, end):
    validity = plan_validity(start.replace(tzinfo=UTC), days, NOW)
    assert validity == Validity(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("start", "not_before"),
    [
        # The night when Kyiv's clocks go forward, and the one when they go back.
        (datetime(2026, 3, 28, 12, tzinfo=KYIV), datetime(2026, 3, 28, 10, tzinfo=UTC)),
        (datetime(2026, 10, 24, 12, tzinfo=KYIV), datetime(2026, 10, 24, 9, tzinfo=UTC)),
    ],
)
def test_a_day_has_24_hours_over_a_change_of_clocks(start, not_before):
    validity = plan_validity(start, 1, NOW)
    assert validity == Validity(not_before, not_before + timedelta(hours=24))
    on_the_wall = start + timedelta(days=1)
    assert validity.not_after != on_the_wall.astimezone(UTC)


def test_an_hour_that_comes_twice_is_two_hours():
    first = plan_validity(datetime(2026, 10, 25, 3, 30, tzinfo=KYIV, fold=0), 1, NOW)
    second = plan_validity(datetime(2026, 10, 25, 3, 30, tzinfo=KYIV, fold=1), 1, NOW)
    assert second.not_before - first.not_before == timedelta(hours=1)
    assert second.not_after - first.not_after == timedelta(hours=1)


def test_fractions_are_cut_also_before_1970():
    moment = datetime(1960, 1, 1, 0, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert utc_seconds(moment) == datetime(1959, 12, 31, 22, tzinfo=UTC)


class TestRefusals:
    def test_a_naive_start(self):
        with pytest.raises(InvalidRequest, match="time zone"):
            plan_validity(datetime(2030, 1, 1), 1, NOW)

    def test_a_zone_that_knows_no_offset_is_naive(self):
        class Nowhere(tzinfo):
            def utcoffset(self, dt):
                return None

        with pytest.raises(InvalidRequest, match="time zone"):
            utc_seconds(datetime(2030, 1, 1, tzinfo=Nowhere()))

    @pytest.mark.parametrize("days", [0, -1, -(10**12), 10**12, 2_914_000])
    def test_days_that_make_no_period(self, days):
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(None, days, NOW)

    def test_one_that_ended_a_second_ago(self):
        day = timedelta(days=1)
        plan_validity(NOW - day, 1, NOW)
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(NOW - day - timedelta(seconds=1), 1, NOW)

    def test_a_start_that_utc_time_can_not_write(self):
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(datetime(1949, 12, 31, 23, 59, 59, tzinfo=UTC), 40_000, NOW)
        assert plan_validity(datetime(1950, 1, 1, tzinfo=UTC), 40_000, NOW)

    @pytest.mark.parametrize(
        "edge",
        [
            datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-1))),
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        ],
    )
    def test_a_moment_outside_the_years_of_utc(self, edge):
        with pytest.raises(InvalidRequest, match="1-9999"):
            plan_validity(edge, 1, NOW)


class TestCertLifetime:
    def test_the_default_is_a_year_from_now(self):
        before = datetime.now(UTC).replace(microsecond=0)
        start, end = CertLifetime.compute()
        assert before <= start <= datetime.now(UTC)
        assert end - start == timedelta(days=365)
        assert start.tzinfo is end.tzinfo is UTC

    def test_from_a_given_start(self):
        start = datetime(2900, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        assert CertLifetime.compute(start, 1) == (
            datetime(2900, 1, 1, tzinfo=UTC),
            datetime(2900, 1, 2, tzinfo=UTC),
        )

    def test_it_refuses_what_the_domain_refuses(self):
        with pytest.raises(InvalidRangeTimeCertificate):
            CertLifetime.compute(days_valid=0)
        with pytest.raises(InvalidRangeTimeCertificate):
            CertLifetime.compute(datetime(2000, 1, 1, tzinfo=UTC), 1)
        with pytest.raises(InvalidRequest):
            CertLifetime.compute(datetime(2900, 1, 1))

    def test_a_certificate_gives_its_start_and_its_end(self):
        # tiny_ca 0.1.1 gave the end for both.
        root, _ = CertificateFactory.build_self_signed_ca(key_algorithm=KeyAlgorithm.P256)
        assert CertLifetime.valid_from(root) == root.not_valid_before_utc
        assert CertLifetime.valid_to(root) == root.not_valid_after_utc
        assert CertLifetime.valid_to(root) - CertLifetime.valid_from(root) == timedelta(days=3650)
