"""Revocation, by example."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tiny_ca.domain.errors import InvalidRevocationReason, NotOnHold
from tiny_ca.domain.revocation import CRLReason, Revocation, owed_by_crl, release, revoke

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def test_reasons_are_those_of_rfc_5280_by_their_asn1_names():
    assert {reason.value for reason in CRLReason} == {flag.value for flag in x509.ReasonFlags}


def test_a_revocation_twice_changes_nothing():
    first = revoke(None, CRLReason.SUPERSEDED, NOW)
    assert revoke(first, CRLReason.KEY_COMPROMISE, NOW + DAY) is first


def test_a_hold_becomes_final_on_its_own_date():
    hold = revoke(None, CRLReason.CERTIFICATE_HOLD, NOW)
    final = revoke(hold, CRLReason.KEY_COMPROMISE, NOW + DAY)
    assert final == Revocation(NOW, CRLReason.KEY_COMPROMISE)
    with pytest.raises(NotOnHold):
        release(final)


def test_what_was_never_revoked_is_not_released():
    with pytest.raises(NotOnHold):
        release(None)


@pytest.mark.parametrize("current", [None, Revocation(NOW, CRLReason.CERTIFICATE_HOLD)])
def test_remove_from_crl_is_refused_even_for_a_hold(current):
    with pytest.raises(InvalidRevocationReason, match="release"):
        revoke(current, CRLReason.REMOVE_FROM_CRL, NOW)


@pytest.mark.parametrize(
    ("not_after", "revoked_at", "last", "is_owed"),
    [
        (NOW, NOW - DAY, None, True),
        (NOW, NOW - DAY, NOW - SECOND, True),
        # The last second is part of the validity, so a CRL of that second is not after it.
        (NOW, NOW - DAY, NOW, True),
        (NOW, NOW - DAY, NOW + SECOND, False),
        # Revoked after its end, and not shown since.
        (NOW, NOW + DAY, NOW + SECOND, True),
        (NOW, NOW + DAY, NOW + DAY, True),
        (NOW, NOW + DAY, NOW + DAY + SECOND, False),
    ],
)
def test_an_entry_stays_until_one_crl_after_the_end(not_after, revoked_at, last, is_owed):
    assert owed_by_crl(Revocation(revoked_at, CRLReason.SUPERSEDED), not_after, last) is is_owed
