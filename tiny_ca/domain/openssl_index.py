"""Rows of the text database that `openssl ca` keeps, and easy-rsa with it: `index.txt`.

    V|R|E <tab> notAfter <tab> revocation <tab> serial number <tab> file <tab> subject

The revocation is empty, or its date, reason and argument, with commas between.  A tab inside a
field has a backslash before it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tiny_ca.domain.revocation import CRLReason, Revocation

__all__ = ["IndexRow", "index_serial_number", "parse_index_row"]

_SEPARATOR = re.compile(r"(?<!\\)\t")
_TIME = re.compile(r"(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?Z", re.ASCII)
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,40}", re.ASCII)
# An attribute begins at a slash that a type and an equals sign follow; other slashes are text.
_COMMON_NAME = re.compile(r"/(?:CN|commonName)=(.*?)(?=/[A-Za-z][A-Za-z0-9.]*=|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})", re.ASCII)

_REASONS = {
    **{reason.value.lower(): reason for reason in CRLReason},
    "holdinstruction": CRLReason.CERTIFICATE_HOLD,
    "keytime": CRLReason.KEY_COMPROMISE,
    "cakeytime": CRLReason.CA_COMPROMISE,
    # RFC 5280 §5.3.1: for delta CRLs, where it says the opposite of what the row does.
    "removefromcrl": CRLReason.UNSPECIFIED,
}
_WITH_TIME = frozenset({"keytime", "cakeytime"})


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One certificate of the database."""

    serial_number: int
    not_after: datetime
    common_name: str
    """Empty if the subject has none."""
    is_expired: bool
    """Marked as such, by `openssl ca -updatedb`."""
    revocation: Revocation | None
    invalidity_date: datetime | None
    """From when on the key was compromised, where somebody said so (keyTime)."""


def parse_index_row(line: str) -> IndexRow:
    """Read a line, without its end.  Raises `ValueError` that says what is wrong with it."""
    fields = [field.replace("\\\t", "\t") for field in _SEPARATOR.split(line)]
    if len(fields) != 6:
        raise ValueError(f"it has {len(fields)} fields, not 6")
    status, not_after, revoked, serial, _, subject = fields
    if status not in {"V", "R", "E"}:
        raise ValueError(f"its status is {status!r}, not V, R or E")
    if (status == "R") != bool(revoked):
        raise ValueError(f"its status is {status}, and its revocation {revoked!r}")
    revocation, invalidity_date = _revocation(revoked) if revoked else (None, None)
    return IndexRow(
        index_serial_number(serial),
        _moment(not_after),
        _common_name(subject),
        status == "E",
        revocation,
        invalidity_date,
    )


def index_serial_number(text: str) -> int:
    """Read a serial number, hexadecimal, of 20 octets at most.  Raises `ValueError`."""
    if _SERIAL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no serial number")
    return int(text, 16)


def _moment(text: str) -> datetime:
    """Read a UTCTime or GeneralizedTime (RFC 5280 §4.1.2.5); years of two digits from 1950 on."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    if len(found[1]) == 2:
        year += 1900 if year >= 50 else 2000
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None


def _revocation(text: str) -> tuple[Revocation, datetime | None]:
    date, _, rest = text.partition(",")
    name, _, argument = rest.partition(",")
    reason = _REASONS.get(name.lower()) if name else CRLReason.UNSPECIFIED
    if reason is None:
        raise ValueError(f"{name!r} is no reason to revoke")
    invalidity_date = _moment(argument) if name.lower() in _WITH_TIME else None
    return Revocation(_moment(date), reason), invalidity_date


def _common_name(subject: str) -> str:
    """Give the first common name of a subject in OpenSSL's one-line form."""
    found = _COMMON_NAME.search(subject)
    if found is None:
        return ""
    # What is not printable ASCII is written octet by octet.
    octets = _ESCAPE.sub(lambda one: chr(int(one[1], 16)), found[1])
    try:
        return octets.encode("latin-1").decode()
    except UnicodeError:
        return octets
