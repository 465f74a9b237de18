"""Revocation, and what a CRL owes."""
# ruff: noqa: N801  (classes are named after the clause that they prove)

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.property.strategies import NOW, near_seconds, reasons_to_revoke
from tiny_ca.domain.errors import InvalidRevocationReason, NotOnHold
from tiny_ca.domain.revocation import CRLReason, Revocation, owed_by_crl, release, revoke

HOLD = CRLReason.CERTIFICATE_HOLD
final_reasons = reasons_to_revoke.filter(lambda reason: reason is not HOLD)
revocations = st.builds(Revocation, near_seconds, reasons_to_revoke)
SECOND = timedelta(seconds=1)


class TestRFC5280_5_3_1_ReasonCode:
    @given(reasons_to_revoke, near_seconds)
    def test_the_first_revocation_is_as_asked(self, reason, at):
        assert revoke(None, reason, at) == Revocation(at, reason)

    @given(final_reasons, near_seconds, st.lists(st.tuples(reasons_to_revoke, near_seconds)))
    def test_is_final(self, reason, at, later):
        first = current = revoke(None, reason, at)
        for again, when in later:
            current = revoke(current, again, when)
        assert current == first
        with pytest.raises(NotOnHold):
            release(current)

    @given(near_seconds, near_seconds, reasons_to_revoke)
    def test_a_hold_gives_way_to_any_reason_and_keeps_its_date(self, at, later, reason):
        assert revoke(Revocation(at, HOLD), reason, later) == Revocation(at, reason)

    @given(st.none() | revocations, near_seconds)
    def test_remove_from_crl_revokes_nothing(self, current, at):
        with pytest.raises(InvalidRevocationReason):
            revoke(current, CRLReason.REMOVE_FROM_CRL, at)

    @given(st.none() | revocations)
    def test_only_a_hold_is_released(self, current):
        if current is not None and current.reason is HOLD:
            assert current.is_hold
            release(current)
        else:
            with pytest.raises(NotOnHold):
                release(current)


class TestRFC5280_3_3_EntriesOutliveTheirCertificates:
    @given(revocations, near_seconds)
    def test_the_first_crl_lists_every_revocation(self, revocation, not_after):
        assert owed_by_crl(revocation, not_after, None)

    @given(revocations, near_seconds, near_seconds)
    def test_is_listed_until_one_crl_after_its_end(self, revocation, not_after, last):
        was_shown_after_its_end = last > not_after and last > revocation.revocation_date
        assert owed_by_crl(revocation, not_after, last) == (not was_shown_after_its_end)


class CertificateUnderCRLs(RuleBasedStateMachine):
    """One certificate and its issuer's CRLs, against what a relying party may expect.

    The model does not know `owed_by_crl`'s inputs: it remembers what each CRL showed.
    """

    @initialize(lifetime=st.integers(0, 8))
    def begin(self, lifetime: int) -> None:
        self.now = NOW
        self.not_after = NOW + lifetime * SECOND
        self.revocation: Revocation | None = None
        self.last_this_update = None
        self.expected: tuple[CRLReason, object] | None = None
        self.is_final = False
        self.was_shown_after_its_end = False

    # Half of them holds, or hardly any would be left to be released or made final.
    @rule(reason=st.just(HOLD) | final_reasons)
    def revoke(self, reason: CRLReason) -> None:
        self.revocation = revoke(self.revocation, reason, self.now)
        if self.expected is None:
            self.expected = (reason, self.now)
            self.was_shown_after_its_end = False
        elif not self.is_final:
            self.expected = (reason, self.expected[1])
        self.is_final = self.is_final or reason is not HOLD

    @rule()
    def revoke_with_remove_from_crl(self) -> None:
        with pytest.raises(InvalidRevocationReason):
            revoke(self.revocation, CRLReason.REMOVE_FROM_CRL, self.now)

    @precondition(lambda self: self.expected is not None and not self.is_final)
    @rule()
    def release(self) -> None:
        release(self.revocation)
        self.revocation = self.expected = None

    @precondition(lambda self: self.expected is None or self.is_final)
    @rule()
    def release_what_is_not_on_hold(self) -> None:
        with pytest.raises(NotOnHold):
            release(self.revocation)

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @precondition(lambda self: self.now < self.not_after)
    @rule()
    def the_last_second_comes(self) -> None:
        self.now = self.not_after

    @rule()
    def publish_a_crl(self) -> None:
        is_listed = self.revocation is not None and owed_by_crl(
            self.revocation, self.not_after, self.last_this_update
        )
        if self.expected is None:
            assert not is_listed
        elif self.now <= self.not_after:
            assert is_listed, "a revoked certificate that has not ended is on every CRL"
        else:
            assert is_listed == (not self.was_shown_after_its_end)
            # A CRL of the very second of the revocation may have been made just before it,
            # so it is not taken for one that has shown it.
            self.was_shown_after_its_end |= is_listed and self.now > self.expected[1]
        self.last_this_update = self.now

    @invariant()
    def it_is_revoked_as_the_model_says(self) -> None:
        found = self.revocation and (self.revocation.reason, self.revocation.revocation_date)
        assert found == self.expected


TestCertificateUnderCRLs = CertificateUnderCRLs.TestCase
TestCertificateUnderCRLs.settings = settings(max_examples=200, stateful_step_count=30)
