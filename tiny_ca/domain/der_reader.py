"""Reading DER strictly: one encoding for each value, and no octet past the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from tiny_ca.domain.der import (
    BIT_STRING,
    BOOLEAN,
    ENUMERATED,
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTC_TIME,
    UTC_TIME_YEARS,
    context,
)
from tiny_ca.domain.errors import MalformedDER

__all__ = ["Element", "Reader"]

_HIGH_TAG_NUMBER = 0x1F
_LONGEST_OID = 256
"""Octets: RFC 5280 appendix B asks for 20 arcs of less than 2^28, which are 80."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it was read: offsets are those of the reader's data."""

    tag: int
    start: int
    content_start: int
    end: int


class Reader:
    """Reads the elements of *data* between *start* and *end* one after the other.

    Data is anything that has a buffer, a mapped file too.  Every method raises `MalformedDER`
    for what it does not find, for lengths that are indefinite, not minimal or too long, and
    for tags of more than one octet.
    """

    def __init__(
        self, data: bytes | bytearray | memoryview, start: int = 0, end: int | None = None
    ) -> None:
        self.data = memoryview(data)
        self.position = start
        self.end = len(self.data) if end is None else end
        if not 0 <= start <= self.end <= len(self.data):
            raise MalformedDER("An element ends after what holds it.")

    def __bool__(self) -> bool:
        return self.position < self.end

    def peek(self) -> int | None:
        """Give the next element's tag, `None` at the end."""
        return self.data[self.position] if self else None

    def element(self, tag: int | None = None) -> Element:
        """Pass over the next element, which has to have the tag, if one is given."""
        start = self.position
        if self.end - start < 2:
            raise MalformedDER("The data end where an element was expected.")
        found, length = self.data[start], self.data[start + 1]
        if found & _HIGH_TAG_NUMBER == _HIGH_TAG_NUMBER:
            raise MalformedDER("A tag of several octets can't be read.")
        if tag is not None and found != tag:
            raise MalformedDER(f"Expected the tag {tag:#04x}, found {found:#04x}.")
        content = start + 2
        if length & 0x80:
            content += length & 0x7F
            octets = self.data[start + 2 : min(content, self.end)]
            length = int.from_bytes(octets, "big")
            if content > self.end or not octets or octets[0] == 0 or length < 0x80:
                raise MalformedDER("A length is indefinite, not minimal, or cut off.")
        if length > self.end - content:
            raise MalformedDER("An element ends after what holds it.")
        self.position = content + length
        return Element(found, start, content, self.position)

    def content(self, tag: int | None = None) -> bytes:
        """Give the next element's content."""
        element = self.element(tag)
        return bytes(self.data[element.content_start : element.end])

    def encoded(self, tag: int | None = None) -> bytes:
        """Give the next element, whole."""
        element = self.element(tag)
        return bytes(self.data[element.start : element.end])

    def inside(self, tag: int) -> "Reader":
        """Give a reader of what is in the next element; this one goes on after it."""
        element = self.element(tag)
        return Reader(self.data, element.content_start, element.end)

    def sequence(self) -> "Reader":
        """Give a reader of the next SEQUENCE."""
        return self.inside(SEQUENCE)

    def explicit(self, number: int) -> "Reader | None":
        """Give a reader of the context tag *number*, `None` if that is not what is next."""
        tag = context(number)
        return self.inside(tag) if self.peek() == tag else None

    def each(self, tag: int) -> Iterator["Reader"]:
        """Give a reader of every element up to the end."""
        while self:
            yield self.inside(tag)

    def finish(self) -> None:
        """Check that nothing is left."""
        if self:
            raise MalformedDER("Something follows where the data should end.")

    def integer(self, tag: int = INTEGER) -> int:
        """Read an INTEGER, or what is tagged *tag* in its place."""
        content = self.content(tag)
        # X.690 §8.3.2: the first nine bits are neither all ones nor all zeros.
        if not content or (
            len(content) > 1 and content[0] in {0x00, 0xFF} and content[0] >> 7 == content[1] >> 7
        ):
            raise MalformedDER("An INTEGER is empty or not minimal.")
        return int.from_bytes(content, "big", signed=True)

    def enumerated(self) -> int:
        """Read an ENUMERATED."""
        return self.integer(ENUMERATED)

    def boolean(self, tag: int = BOOLEAN) -> bool:
        """Read a BOOLEAN (X.690 §11.1: true is all ones)."""
        content = self.content(tag)
        if content not in {b"\x00", b"\xff"}:
            raise MalformedDER("A BOOLEAN is neither 00 nor FF.")
        return content == b"\xff"

    def null(self, tag: int = NULL) -> None:
        """Read a NULL."""
        if self.content(tag):
            raise MalformedDER("A NULL has content.")

    def octet_string(self, tag: int = OCTET_STRING) -> bytes:
        """Read an OCTET STRING."""
        return self.content(tag)

    def bit_string(self, tag: int = BIT_STRING) -> tuple[bytes, int]:
        """Read a BIT STRING; give its octets and how many bits of the last don't count."""
        content = self.content(tag)
        if not content or content[0] > (7 if content[1:] else 0):
            raise MalformedDER("A BIT STRING does not say how many bits it has.")
        if content[-1] & ((1 << content[0]) - 1) and len(content) > 1:
            raise MalformedDER("The unused bits of a BIT STRING are not zero.")
        return content[1:], content[0]

    def object_identifier(self) -> str:
        """Read an OBJECT IDENTIFIER; give it dotted."""
        return _dotted(self.content(OID))

    def time(self) -> datetime:
        """Read a Time as RFC 5280 §4.1.2.5 has it; give an aware UTC datetime."""
        if self.peek() != UTC_TIME:
            moment = self.generalized_time()
            if moment.year in UTC_TIME_YEARS:
                raise MalformedDER("A time before 2050 is written as UTCTime.")
            return moment
        content = self.content(UTC_TIME)
        century = b"19" if content[:1] >= b"5" else b"20"
        return _moment(century + content)

    def generalized_time(self) -> datetime:
        """Read a GeneralizedTime without fractions (§4.1.2.5.2); give an aware UTC datetime."""
        return _moment(self.content(GENERALIZED_TIME))


@lru_cache(maxsize=256)
def _dotted(content: bytes) -> str:
    if len(content) > _LONGEST_OID:
        raise MalformedDER(f"An OBJECT IDENTIFIER is longer than {_LONGEST_OID} octets.")
    arcs, value, is_open = [], 0, True
    for index, octet in enumerate(content):
        is_first = index == 0 or not content[index - 1] & 0x80
        if is_first and octet == 0x80:
            raise MalformedDER("An OBJECT IDENTIFIER is not minimal.")
        value = value << 7 | octet & 0x7F
        is_open = bool(octet & 0x80)
        if not is_open:
            arcs.append(value)
            value = 0
    if is_open:
        raise MalformedDER("An OBJECT IDENTIFIER is cut off.")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _moment(digits: bytes) -> datetime:
    text = digits.decode("ascii", "replace")
    if len(text) != 15 or text[-1] != "Z" or not text[:-1].isdecimal() or not text.isascii():
        raise MalformedDER(f"{text!r} is not a time in UTC with seconds.")
    fields = text[:4], text[4:6], text[6:8], text[8:10], text[10:12], text[12:14]
    year, month, day, hour, minute, second = (int(field) for field in fields)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise MalformedDER(f"{text!r} is not a time: {error}") from error
