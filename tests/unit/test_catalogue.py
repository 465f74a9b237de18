"""Which certificates are meant, and which may go, by example."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.test_records import END, START, record
from tiny_ca.domain.catalogue import (
    AT_ONCE,
    CertificateFilter,
    cert_type_of,
    check_deletable,
    exactly,
    literals,
    status_of,
)
from tiny_ca.domain.errors import InvalidRequest, StillNeeded
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

SECOND = timedelta(seconds=1)
REVOKED = {
    "status": CertificateStatus.REVOKED,
    "revocation_date": START,
    "revocation_reason": CRLReason.SUPERSEDED,
}


@pytest.mark.parametrize("word", ["SVC", "svc", "service", "Service", CertType.SERVICE])
def test_words_for_a_type(word):
    assert cert_type_of(word) is CertType.SERVICE


def test_words_for_nothing():
    assert status_of("valid") is CertificateStatus.VALID
    for ask in (lambda: cert_type_of("x"), lambda: status_of("x"), lambda: status_of("unknown")):
        with pytest.raises(InvalidRequest, match="use one of"):
            ask()


@pytest.mark.parametrize(
    "fields",
    [
        {"status": CertificateStatus.UNKNOWN},
        {"issued_from": datetime(2030, 1, 1)},
        {"expires_before": datetime(2030, 1, 1)},
        {"serial_numbers": tuple(range(AT_ONCE + 1))},
    ],
)
def test_a_filter_is_checked_when_it_is_made(fields):
    with pytest.raises(InvalidRequest):
        CertificateFilter(**fields)


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [("nginx", True), ("n*", True), ("*x", True), ("n*x*", True), ("*", True), ("n*g", False)]
    + [(other, False) for other in ("", "NGINX", "ngin", "n.*", "ngin?", "*y*")],
)
def test_a_pattern_is_of_the_whole_name(pattern, is_meant):
    assert CertificateFilter(common_name=pattern).matches(record(), START) is is_meant


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("a", ["a"]),
        ("*.a", ["", ".a"]),
        ("[*].a", ["*.a"]),
        ("[*]*", ["*", ""]),
        ("[*", ["[", ""]),
        ("*]", ["", "]"]),
        ("[[*]]", ["[*]"]),
        ("[**]", ["[", "", "]"]),
    ],
)
def test_an_asterisk_in_brackets_is_one(pattern, parts):
    assert literals(pattern) == parts


@pytest.mark.parametrize("name", ["a", "*.a", "[*].a", "**", "[[*]]*", "*]", "[*", "[", "", "é*\\"])
def test_a_name_that_is_meant_exactly_is_no_pattern(name):
    wanted = CertificateFilter(common_name=exactly(name))
    assert literals(exactly(name)) == [name]
    assert wanted.matches(record(common_name=name), START)
    assert not wanted.matches(record(common_name=f"x{name}"), START)


@pytest.mark.parametrize(
    ("changes", "last_this_update", "at", "until"),
    [
        ({}, None, END, END),
        ({"status": CertificateStatus.PENDING}, None, END + SECOND, None),
        ({"status": CertificateStatus.ABANDONED}, None, END, END),
        (REVOKED, END + SECOND, END, END),
        (REVOKED, None, END + SECOND, END),
        (REVOKED, END, END + SECOND, END),
        ({**REVOKED, "revocation_date": END + 5 * SECOND}, END + SECOND, END + 9 * SECOND, 5),
    ],
)
def test_what_stays(changes, last_this_update, at, until):
    with pytest.raises(StillNeeded) as caught:
        check_deletable(record(**changes), last_this_update, at)
    assert caught.value.until == (END + until * SECOND if isinstance(until, int) else until)


@pytest.mark.parametrize(
    ("changes", "last_this_update"),
    [
        ({}, None),
        ({"status": CertificateStatus.EXPIRED}, None),
        ({"status": CertificateStatus.ABANDONED}, None),
        (REVOKED, END + SECOND),
    ],
)
def test_what_may_go(changes, last_this_update):
    check_deletable(record(**changes), last_this_update, END + SECOND)


def test_moments_have_a_zone():
    assert CertificateFilter(issued_from=START.astimezone(UTC)).matches(record(), START)
