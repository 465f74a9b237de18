"""Validity periods."""
# ruff: noqa: N801  (classes are named after the clause that they prove)

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.x509.oid import NameOID
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.property import der
from tests.property.strategies import NOW, moments, near_seconds, utc_moments, validities
from tiny_ca.adapters.outbound.crypto.backend import CryptographyBackend
from tiny_ca.adapters.outbound.crypto.factory import CertificateFactory
from tiny_ca.adapters.outbound.crypto.loaders import CAMaterial
from tiny_ca.adapters.outbound.system import CertLifetime
from tiny_ca.domain.errors import InvalidRangeTimeCertificate, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import Validity, plan_validity, utc_seconds
from tiny_ca.domain.names import CertificateInfo, SubjectName
from tiny_ca.domain.planning import plan_issuance, plan_root
from tiny_ca.domain.requests import Authority, IssuanceRequest, RootRequest

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
END_OF_UTC_TIME = datetime(2050, 1, 1, tzinfo=UTC)
P256 = KeySpec(KeyAlgorithm.P256)

few_days = st.integers(1, 5000)


class TestRFC5280_4_1_2_5_Validity:
    @given(now=moments(), days=few_days)
    def test_begins_now_and_ends_whole_days_later_in_utc_seconds(self, now, days):
        validity = plan_validity(None, days, now)
        assert timedelta(0) <= now - validity.not_before < SECOND
        assert validity.not_after - validity.not_before == days * DAY
        for moment in (validity.not_before, validity.not_after):
            assert moment.tzinfo is UTC
            assert moment.microsecond == 0

    @given(days=few_days, now=moments())
    def test_both_ends_are_in_it(self, days, now):
        validity = plan_validity(None, days, now)
        assert validity.duration == days * DAY + SECOND
        assert validity.contains(validity.not_before)
        assert validity.contains(validity.not_after)
        assert validity.contains(validity.not_after + SECOND - MICROSECOND)
        assert not validity.contains(validity.not_after + SECOND)
        assert not validity.contains(validity.not_before - MICROSECOND)

    @given(validity=validities(near_seconds), moment=near_seconds, part=st.integers(0, 999_999))
    def test_every_moment_is_before_in_or_after_it(self, validity, moment, part):
        moment += part * MICROSECOND
        is_before = moment < validity.not_before
        assert is_before + validity.contains(moment) + validity.is_over(moment) == 1

    @given(
        start=moments(datetime(2030, 1, 1), datetime(2200, 1, 1)),
        now=moments(datetime(2029, 1, 1), datetime(2030, 1, 1)),
        days=few_days,
    )
    def test_the_zone_of_the_start_changes_nothing(self, start, now, days):
        validity = plan_validity(start, days, now)
        assert validity == plan_validity(start.astimezone(UTC), days, now.astimezone(UTC))
        assert validity.not_before == start.astimezone(UTC).replace(microsecond=0)
        # A day is 24 hours: no clock is put forward or back inside a validity period.
        assert validity.not_after - validity.not_before == days * DAY

    @given(moment=moments())
    def test_a_moment_is_cut_to_its_second(self, moment):
        cut = utc_seconds(moment)
        assert timedelta(0) <= moment - cut < SECOND
        assert utc_seconds(cut) == cut
        assert (cut.microsecond, cut.tzinfo) == (0, UTC)


class TestRefusedPeriods:
    @given(
        now=moments(),
        days=st.integers(max_value=0) | st.sampled_from([-(10**9), -(10**30)]),
        start=st.none() | moments(),
    )
    def test_none_is_empty_or_backwards(self, now, days, start):
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(start, days, now)

    @given(now=moments(), days=few_days, ago=st.integers(1, 10**9))
    def test_none_has_ended(self, now, days, ago):
        end = utc_seconds(now) - ago * SECOND
        assume(end - days * DAY > datetime(1950, 1, 1, tzinfo=UTC))
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(end - days * DAY, days, now)

    @given(now=moments(), start=st.none() | moments(), days=st.integers(min_value=3_000_000))
    @example(now=NOW, start=None, days=10**400)
    def test_none_passes_the_year_9999(self, now, start, days):
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(start, days, now)

    @given(naive=st.datetimes(), now=moments(), days=few_days)
    def test_none_begins_at_an_unknown_hour(self, naive, now, days):
        with pytest.raises(InvalidRequest):
            plan_validity(naive, days, now)
        with pytest.raises(InvalidRequest):
            plan_validity(now, days, naive)

    @given(
        start=st.datetimes(datetime(1, 1, 1), datetime(1950, 1, 1) - SECOND),
        now=moments(latest=datetime(1960, 1, 1)),
    )
    def test_none_begins_before_1950(self, start, now):
        with pytest.raises(InvalidRangeTimeCertificate):
            plan_validity(start.replace(tzinfo=UTC), 5_000, now)

    @given(
        hours=st.integers(1, 23),
        is_latest=st.booleans(),
        days=few_days,
    )
    def test_none_begins_where_utc_has_no_year(self, hours, is_latest, days):
        zone = timezone(timedelta(hours=-hours if is_latest else hours))
        edge = datetime(9999, 12, 31, 23, 59) if is_latest else datetime(1, 1, 1)
        start = edge.replace(tzinfo=zone)
        with pytest.raises(InvalidRequest):
            plan_validity(start, days, NOW)

    @given(days=st.integers(), start=st.none() | st.datetimes(timezones=st.none() | st.just(UTC)))
    def test_what_is_not_refused_is_a_period_that_x509_can_express(self, days, start):
        try:
            validity = plan_validity(start, days, NOW)
        except (InvalidRangeTimeCertificate, InvalidRequest):
            return
        assert validity.not_before.year >= 1950
        assert validity.not_before < validity.not_after
        assert validity.not_after >= NOW


class TestRFC5280_6_1_NothingOutlivesItsIssuer:
    @given(
        issuer=validities() | validities(near_seconds),
        start=st.none() | near_seconds | utc_moments,
        days=few_days,
        is_strict=st.booleans(),
    )
    def test_a_leaf_ends_with_its_issuer_or_is_refused(self, issuer, start, days, is_strict):
        request = IssuanceRequest(
            "a.internal", key=P256, valid_from=start, lifetime=days, is_strict=is_strict
        )

        def plan():
            authority = Authority(CertificateInfo(), issuer)
            return plan_issuance(request, authority=authority, now=NOW, random_bits=1)

        try:
            asked = plan_validity(start, days, NOW)
        except InvalidRangeTimeCertificate:
            with pytest.raises(InvalidRangeTimeCertificate):
                plan()
            return
        end = min(asked.not_after, issuer.not_after)
        if end <= NOW or end <= asked.not_before or (is_strict and end < asked.not_after):
            with pytest.raises(InvalidRangeTimeCertificate):
                plan()
            return
        planned = plan()
        assert planned.validity == Validity(asked.not_before, end)
        assert planned.validity.not_after <= issuer.not_after
        assert planned.is_shortened == (issuer.not_after < asked.not_after)

    @given(inner=validities(), outer=validities())
    def test_cutting_takes_the_earlier_end_and_leaves_the_start(self, inner, outer):
        cut = inner.within(outer)
        assert cut.not_before == inner.not_before
        assert cut.not_after == min(inner.not_after, outer.not_after)
        assert cut.within(outer) == cut


def form(moment: datetime) -> tuple[int, bytes]:
    """Tag and contents of a Time as RFC 5280 §4.1.2.5.1 and §4.1.2.5.2 want them."""
    # strftime does not pad years, so the digits are put together by hand.
    rest = f"{moment:%m%d%H%M%S}Z"
    if moment < END_OF_UTC_TIME:
        return der.UTC_TIME, f"{moment.year % 100:02}{rest}".encode()
    return der.GENERALIZED_TIME, f"{moment.year:04}{rest}".encode()


class TestRFC5280_4_1_2_5_UTCTimeThrough2049:
    backend = CryptographyBackend()
    key = backend.generate_private_key(P256)
    plan = plan_root(RootRequest(SubjectName("Test Root"), P256), NOW, 1)

    @given(
        validity=validities(
            st.integers(-100_000, 100_000).map(lambda s: END_OF_UTC_TIME + s * SECOND)
        )
        | validities()
    )
    @example(Validity(END_OF_UTC_TIME - SECOND, END_OF_UTC_TIME))
    @example(Validity(END_OF_UTC_TIME, END_OF_UTC_TIME))
    @example(
        Validity(datetime(1950, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    )
    def test_the_octets_of_a_certificate_follow_the_year(self, validity):
        certificate = self.backend.self_sign(replace(self.plan, validity=validity), self.key)
        written = [(time.tag, time.content) for time in der.validity(certificate)]
        assert written == [form(validity.not_before), form(validity.not_after)]

    @given(validity=validities(utc_moments.filter(lambda moment: moment > END_OF_UTC_TIME - DAY)))
    def test_a_certificate_gives_its_own_ends_back(self, validity):
        certificate = self.backend.self_sign(replace(self.plan, validity=validity), self.key)
        assert CertLifetime.valid_from(certificate) == validity.not_before
        assert CertLifetime.valid_to(certificate) == validity.not_after


class TestFactoryValidity:
    def test_the_boundary_holds_for_issued_certificates(self):
        root, key = CertificateFactory.build_self_signed_ca(
            "Root", days_valid=365 * 60, key_algorithm=KeyAlgorithm.P256
        )
        factory = CertificateFactory(CAMaterial(root, key))
        for start, tags in (
            (END_OF_UTC_TIME - DAY - SECOND, [der.UTC_TIME, der.UTC_TIME]),
            (END_OF_UTC_TIME - DAY, [der.UTC_TIME, der.GENERALIZED_TIME]),
            (END_OF_UTC_TIME, [der.GENERALIZED_TIME, der.GENERALIZED_TIME]),
        ):
            certificate, _, _ = factory.issue_certificate(
                "a.internal", days_valid=1, valid_from=start, key_algorithm=KeyAlgorithm.P256
            )
            assert [time.tag for time in der.validity(certificate)] == tags
            assert certificate.not_valid_before_utc == start
            assert certificate.not_valid_after_utc == start + DAY

    def test_a_leaf_is_cut_to_its_issuers_end(self):
        root, key = CertificateFactory.build_self_signed_ca(
            "Root", days_valid=10, key_algorithm=KeyAlgorithm.P256
        )
        factory = CertificateFactory(CAMaterial(root, key))
        leaf, _, _ = factory.issue_certificate("a.internal", key_algorithm=KeyAlgorithm.P256)
        assert leaf.not_valid_after_utc == root.not_valid_after_utc
        assert leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Root"
        with pytest.raises(InvalidRangeTimeCertificate):
            factory.issue_certificate(
                "a.internal", key_algorithm=KeyAlgorithm.P256, strict_validity=True
            )
