"""Rows of `index.txt`: whatever OpenSSL writes is read, and anything else is refused."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tiny_ca.domain.openssl_index import index_serial_number, parse_index_row
from tiny_ca.domain.revocation import CRLReason, Revocation

# What `openssl ca` takes for -crl_reason, beside those with an argument.
REASONS = {
    "unspecified": CRLReason.UNSPECIFIED,
    "keyCompromise": CRLReason.KEY_COMPROMISE,
    "CACompromise": CRLReason.CA_COMPROMISE,
    "affiliationChanged": CRLReason.AFFILIATION_CHANGED,
    "superseded": CRLReason.SUPERSEDED,
    "cessationOfOperation": CRLReason.CESSATION_OF_OPERATION,
    "certificateHold": CRLReason.CERTIFICATE_HOLD,
    "removeFromCRL": CRLReason.UNSPECIFIED,
    "": CRLReason.UNSPECIFIED,
}
moments = st.datetimes(datetime(1950, 1, 1), datetime(2049, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
names = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1)


def short(moment: datetime) -> str:
    return f"{moment:%y%m%d%H%M%S}Z"


@given(moments, moments, st.integers(0, 2**160 - 1), st.sampled_from(sorted(REASONS)))
def test_a_revocation(end: datetime, since: datetime, serial: int, reason: str) -> None:
    said = f"{short(since)},{reason}" if reason else short(since)
    row = parse_index_row(f"R\t{short(end)}\t{said}\t{serial:02X}\tunknown\t/O=a/CN=b")
    assert (row.serial_number, row.not_after, row.common_name) == (serial, end, "b")
    assert row.revocation == Revocation(since, REASONS[reason])
    assert row.invalidity_date is None


@given(moments, moments, st.sampled_from(["keyTime", "CAkeyTime"]))
def test_since_when_a_key_is_not_to_be_trusted(
    since: datetime, invalid: datetime, reason: str
) -> None:
    said = f"{short(since)},{reason},{invalid:%Y%m%d%H%M%S}Z"
    row = parse_index_row(f"R\t300101000000Z\t{said}\t01\tunknown\t/CN=b")
    assert row.revocation is not None
    assert row.revocation.reason.value.lower().startswith(reason.lower()[:3].replace("cak", "cac"))
    assert row.invalidity_date == invalid


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/"), min_size=1))
@example("Олена")
@example("a=b, c")
def test_a_name_as_openssl_writes_it(name: str) -> None:
    octets = name.encode()
    written = "".join(chr(o) if 32 <= o < 127 else f"\\x{o:02X}" for o in octets)
    if "\\x" in name:
        return
    row = parse_index_row(f"V\t300101000000Z\t\t01\tunknown\t/C=UA/CN={written}/O=x")
    assert row.common_name == name


def test_a_tab_and_a_slash_in_a_name() -> None:
    row = parse_index_row("V\t300101000000Z\t\t01\tunknown\t/CN=a\\\tb/c/emailAddress=d")
    assert row.common_name == "a\tb/c"
    assert parse_index_row("V\t300101000000Z\t\t01\tunknown\t/O=a").common_name == ""


@pytest.mark.parametrize(("text", "year"), [("500101000000Z", 1950), ("490101000000Z", 2049)])
def test_years_of_two_digits(text: str, year: int) -> None:
    assert parse_index_row(f"E\t{text}\t\t01\tunknown\t/CN=a").not_after.year == year


@given(st.text())
@example("V\t300101000000Z\t\t\tunknown\t/CN=a")
@example("V\t300101000000Z\t\t-1\tunknown\t/CN=a")
@example("V\t301301000000Z\t\t01\tunknown\t/CN=a")
@example("R\t300101000000Z\t300101000000Z,keyTime\t01\tunknown\t/CN=a")
@example("V\t300101000000Z\t300101000000Z\t01\tunknown\t/CN=a")
@example("R\t300101000000Z\t\t01\tunknown\t/CN=a")
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"it|is no"):
        parse_index_row(line)


@given(st.from_regex(r"[VRE]\t[0-9]{12}Z\t([0-9]{12}Z(,[a-zA-Z]+)?)?\t[0-9A-F]*\t.\t.*"))
def test_no_line_raises_anything_else(line: str) -> None:
    with suppress(ValueError):
        parse_index_row(line)


@given(st.integers(0, 2**160 - 1))
def test_serial_numbers(number: int) -> None:
    assert index_serial_number(f"{number:X}") == number
    with pytest.raises(ValueError, match="serial number"):
        index_serial_number("F" * 41)
