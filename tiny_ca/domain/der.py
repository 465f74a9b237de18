"""Writing DER (X.690 §8, §10 and §11): just what CRLs and OCSP are made of.

Every function gives the whole encoding.  `domain.der_reader` reads it.
"""

from datetime import UTC, datetime
from functools import lru_cache

from tiny_ca.domain.errors import InvalidRequest

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "ENUMERATED",
    "GENERALIZED_TIME",
    "IA5_STRING",
    "INTEGER",
    "NULL",
    "OCTET_STRING",
    "OID",
    "SEQUENCE",
    "SET",
    "UTC_TIME",
    "UTC_TIME_YEARS",
    "bit_string",
    "boolean",
    "context",
    "enumerated",
    "explicit",
    "generalized_time",
    "header",
    "implicit",
    "integer",
    "null",
    "object_identifier",
    "octet_string",
    "sequence",
    "time",
    "tlv",
]

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
ENUMERATED = 0x0A
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

UTC_TIME_YEARS = range(1950, 2050)
"""RFC 5280 §4.1.2.5: these are UTCTime, all others GeneralizedTime."""

_CONSTRUCTED = 0x20
_CONTEXT = 0x80


def context(number: int, *, constructed: bool = True) -> int:
    """Give the identifier octet of the context-specific tag *number*, 0..30."""
    if not 0 <= number <= 30:
        raise InvalidRequest(f"A context tag of one octet is 0..30, got {number}.")
    return _CONTEXT | number | (_CONSTRUCTED if constructed else 0)


def header(tag: int, length: int) -> bytes:
    """Write the identifier and length octets of *length* octets that follow."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def tlv(tag: int, content: bytes) -> bytes:
    """Write one element."""
    return header(tag, len(content)) + content


def sequence(*elements: bytes) -> bytes:
    """Write a SEQUENCE of encoded *elements*."""
    return tlv(SEQUENCE, b"".join(elements))


def explicit(number: int, element: bytes) -> bytes:
    """Wrap an encoded element into the context tag *number*."""
    return tlv(context(number), element)


def implicit(number: int, element: bytes) -> bytes:
    """Give an encoded element the context tag *number* in place of its own."""
    return bytes((context(number, constructed=bool(element[0] & _CONSTRUCTED)),)) + element[1:]


def _twos_complement(value: int) -> bytes:
    # One more bit for the sign; ~value, since -128 needs no ninth bit.
    bits = (value if value >= 0 else ~value).bit_length() + 1
    return value.to_bytes((bits + 7) // 8, "big", signed=True)


def integer(value: int) -> bytes:
    """Write an INTEGER."""
    return tlv(INTEGER, _twos_complement(value))


def enumerated(value: int) -> bytes:
    """Write an ENUMERATED."""
    return tlv(ENUMERATED, _twos_complement(value))


def boolean(value: bool) -> bytes:
    """Write a BOOLEAN."""
    return tlv(BOOLEAN, b"\xff" if value else b"\x00")


def null() -> bytes:
    """Write a NULL."""
    return tlv(NULL, b"")


def octet_string(content: bytes) -> bytes:
    """Write an OCTET STRING."""
    return tlv(OCTET_STRING, content)


def bit_string(content: bytes, unused_bits: int = 0) -> bytes:
    """Write a BIT STRING whose last *unused_bits*, 0..7, are zero and don't count."""
    padding = content[-1] & ((1 << unused_bits) - 1) if content else unused_bits
    if not 0 <= unused_bits <= 7 or padding:
        raise InvalidRequest("The unused bits of a BIT STRING are 0..7 zeros.")
    return tlv(BIT_STRING, bytes((unused_bits,)) + content)


@lru_cache(maxsize=256)
def object_identifier(dotted: str) -> bytes:
    """Write an OBJECT IDENTIFIER.  Raises `InvalidRequest` for what is none."""
    try:
        first, second, *rest = (int(arc) for arc in dotted.split("."))
    except ValueError:
        raise InvalidRequest(f"{dotted!r} is not an object identifier.") from None
    if first not in {0, 1, 2} or (first < 2 and second > 39) or min(second, *rest, 0) < 0:
        raise InvalidRequest(f"{dotted!r} is not an object identifier.")
    return tlv(OID, b"".join(_base_128(arc) for arc in (40 * first + second, *rest)))


def _base_128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise InvalidRequest(f"{moment.isoformat()} has no time zone: pass an aware datetime.")
    return moment.astimezone(UTC)


def generalized_time(moment: datetime) -> bytes:
    """Write an aware datetime as GeneralizedTime in UTC, cut to whole seconds (§4.1.2.5.2)."""
    moment = _utc(moment)
    # strftime("%Y") does not fill years up to four digits everywhere.
    return tlv(GENERALIZED_TIME, f"{moment.year:04}{moment:%m%d%H%M%S}Z".encode())


@lru_cache(maxsize=256)
def time(moment: datetime) -> bytes:
    """Write a Time: UTCTime in 1950-2049, GeneralizedTime else (RFC 5280 §4.1.2.5)."""
    moment = _utc(moment)
    if moment.year in UTC_TIME_YEARS:
        return tlv(UTC_TIME, f"{moment:%y%m%d%H%M%S}Z".encode())
    return generalized_time(moment)
