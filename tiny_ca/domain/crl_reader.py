"""Reading a CRL where it lies, without a copy of its entries (RFC 5280 §5.1)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from tiny_ca.domain.crl import INVALIDITY_DATE, REASON_CODE, REASONS
from tiny_ca.domain.der import (
    BOOLEAN,
    INTEGER,
    SEQUENCE,
)
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.errors import MalformedDER
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason

__all__ = ["CRLReader", "parse_crl", "parse_entry", "parse_extensions", "vanished"]

CRL_NUMBER = "2.5.29.20"
DELTA_CRL_INDICATOR = "2.5.29.27"
ISSUING_DISTRIBUTION_POINT = "2.5.29.28"
AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"

Data = bytes | memoryview
_REASON_OF = {code: reason for reason, code in REASONS.items()}
_BLOCK = 1 << 18
"""How much is hashed at once: each call gives other threads a turn."""
_FEW = 1 << 14
"""In how many octets entries are looked for: faster in a copy of them than where they are."""
_SHORT = sorted(range(0x80), key=lambda length: min(abs(length - 37), abs(length - 51)))
"""Lengths of entries: first what 20 octets of serial number make, without and with a reason."""
_RUN = 64
_MOST_APART = 100_000
"""How many entries may be looked through for the one that should be next."""


@dataclass(frozen=True, slots=True)
class CRLReader:
    """A version 2 CRL: what it says of itself, and where its parts lie in *data*."""

    data: memoryview
    to_be_signed: range
    algorithm: bytes
    """The AlgorithmIdentifier, encoded."""
    signature: bytes
    issuer: bytes
    """The issuer's Name, encoded."""
    stamp: CRLStamp
    base_number: int | None
    extensions: dict[str, tuple[bool, bytes]]
    """By OID: whether critical, and the value."""
    entries: range
    forget: Callable[[int, int], object] = field(compare=False, repr=False)
    """Says from where to where *data* were read and need not be kept in memory."""

    def octets(self, part: range) -> Iterator[bytes]:
        """Give a part of the data in blocks."""
        for at in range(part.start, part.stop, _BLOCK):
            end = min(at + _BLOCK, part.stop)
            yield self.data[at:end].tobytes()
            self.forget(at, end)

    def count(self) -> int:
        """Walk through all entries, and count them.  Raises `MalformedDER` for what is none."""
        found, at, end = 0, self.entries.start, self.entries.stop
        while at < end:
            block = self.data[at : min(at + _BLOCK, end)].tobytes()
            count, passed = _run_of_entries(block)
            found += count
            if passed:
                self.forget(at, at + passed)
                at += passed
            else:
                at = Reader(self.data, at, end).element(SEQUENCE).end
                found += 1
        return found

    def offsets(self) -> Iterator[int]:
        """Give where every entry begins.  Raises `MalformedDER` for what is none."""
        return (at + start for at, _, starts in self._blocks() for start in starts)

    def places(self) -> Iterator[tuple[int, Data, int]]:
        """Give where every entry begins, and octets to read it from, faster, and where in them."""
        for at, octets, starts in self._blocks():
            for start in starts:
                yield at + start, octets, start

    def _blocks(self) -> Iterator[tuple[int, Data, list[int]]]:
        """Give some octets at a time: where they are, and where in them entries begin."""
        at, end = self.entries.start, self.entries.stop
        while at < end:
            block = self.data[at : min(at + _FEW, end)].tobytes()
            starts, passed = _short_entries(block)
            if passed:
                yield at, block, starts
                self.forget(at, at + passed)
                at += passed
            else:
                following = Reader(self.data, at, end).element(SEQUENCE).end
                yield at, self.data[at:following], [0]
                at = following

    def __iter__(self) -> Iterator[CRLEntry]:
        for at in self.offsets():
            yield parse_entry(Reader(self.data, at, self.entries.stop))


@cache
def _run() -> re.Pattern[bytes]:
    """Match so many entries of less than 128 octets, at three times the speed of a loop."""
    any_length = b"|".join(re.escape(bytes([one])) + b".{%d}" % one for one in _SHORT)
    return re.compile(b"(?s:0(?:%b)){%d}" % (any_length, _RUN))


def _run_of_entries(octets: bytes) -> tuple[int, int]:
    """Give how many entries of less than 128 octets come first, and where they end."""
    count, at, match = 0, 0, _run().match
    while run := match(octets, at):
        count, at = count + _RUN, run.end()
    starts, passed = _short_entries(octets[at : at + _RUN * 0x82])
    return count + len(starts), at + passed


def _short_entries(octets: bytes) -> tuple[list[int], int]:
    """Give where the entries of less than 128 octets begin, as nearly all are, and where they end.

    Up to the first that is longer, malformed, or cut off.
    """
    starts = []
    at, size = 0, len(octets)
    while at + 1 < size and octets[at] == SEQUENCE:
        length = octets[at + 1]
        if length >= 0x80 or at + 2 + length > size:
            break
        starts.append(at)
        at += 2 + length
    return starts, at


def parse_crl(data: Data) -> CRLReader:
    """Take a CRL apart; its entries are looked at when they are asked for.

    Data that are mapped may have a `forget` (`ports.storage.StagedCRL.read`).  Raises
    `MalformedDER` for anything but a whole CRL of version 2 with nextUpdate and
    cRLNumber, which every conforming CRL has (§5.1.2.1, §5.1.2.5, §5.2.3).
    """
    outer = Reader(data)
    crl = outer.sequence()
    outer.finish()
    place = crl.element(SEQUENCE)
    algorithm = crl.encoded(SEQUENCE)
    signature, unused = crl.bit_string()
    crl.finish()
    tbs = Reader(crl.data, place.content_start, place.end)
    if tbs.integer() != 1 or tbs.encoded(SEQUENCE) != algorithm or unused:
        raise MalformedDER("This is no CRL of version 2, or it names two signature algorithms.")
    issuer = tbs.encoded(SEQUENCE)
    this_update, next_update = tbs.time(), tbs.time()
    entries = range(tbs.position, tbs.position)
    if tbs.peek() == SEQUENCE:
        listed = tbs.element(SEQUENCE)
        entries = range(listed.content_start, listed.end)
    wrapped = tbs.explicit(0)
    tbs.finish()
    extensions = {} if wrapped is None else parse_extensions(wrapped)
    if CRL_NUMBER not in extensions:
        raise MalformedDER("The CRL has no number.")
    number = Reader(extensions[CRL_NUMBER][1]).integer()
    _, base = extensions.get(DELTA_CRL_INDICATOR, (True, None))
    return CRLReader(
        data=crl.data,
        to_be_signed=range(place.start, place.end),
        algorithm=algorithm,
        signature=signature,
        issuer=issuer,
        stamp=CRLStamp(number, this_update, next_update),
        base_number=None if base is None else Reader(base).integer(),
        extensions=extensions,
        entries=entries,
        forget=getattr(crl.data.obj, "forget", _keep),
    )


def _keep(_start: int, _stop: int) -> None:
    """Stand in for what data that are not mapped don't have."""


def parse_extensions(reader: Reader) -> dict[str, tuple[bool, bytes]]:
    """Read Extensions (§4.1); give by OID whether each is critical, and its value."""
    found = {}
    inside = reader.sequence()
    reader.finish()
    for extension in inside.each(SEQUENCE):
        oid = extension.object_identifier()
        critical = extension.boolean() if extension.peek() == BOOLEAN else False
        if oid in found:
            raise MalformedDER(f"The extension {oid} is there twice.")
        found[oid] = critical, extension.octet_string()
        extension.finish()
    return found


def parse_entry(reader: Reader) -> CRLEntry:
    """Read the next entry of revokedCertificates (§5.1.2.6)."""
    inside = reader.sequence()
    serial_number, date = inside.integer(), inside.time()
    extensions = parse_extensions(inside) if inside else {}
    reason, invalidity_date = CRLReason.UNSPECIFIED, None
    if REASON_CODE in extensions:
        code = Reader(extensions[REASON_CODE][1]).enumerated()
        if code not in _REASON_OF:
            raise MalformedDER(f"There is no reason code {code:#x}.")
        reason = _REASON_OF[code]
    if INVALIDITY_DATE in extensions:
        invalidity_date = Reader(extensions[INVALIDITY_DATE][1]).generalized_time()
    return CRLEntry(serial_number, date, reason, invalidity_date)


def vanished(old: CRLReader, new: CRLReader, parts: list[int]) -> list[CRLEntry]:
    """Give what *old* lists and *new* does not.

    *parts* are the lengths in which the entries of *new* were written: one that is in *old* as
    it stands is passed over at once, so that two CRLs alike are compared at memory's speed.
    """
    former = _Former(old)
    at = new.entries.start
    for length in parts:
        part = new.data[at : at + length].tobytes()
        if not former.passes(part):
            for start, end in _bounds(part):
                if not former.passes(part[start:end]):
                    former.find(_serial_of(Reader(part, start)))
        new.forget(at, at + length)
        at += length
    return former.rest()


def _bounds(entries: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(entries):
        length = entries[start + 1] if start + 1 < len(entries) else 0x80
        end = start + 2 + length if length < 0x80 else Reader(entries, start).element().end
        yield start, end
        start = end


def _serial_of(reader: Reader) -> bytes:
    return reader.sequence().content(INTEGER)


class _Former:
    """The entries of a former CRL, taken off one by one as they are found again."""

    def __init__(self, crl: CRLReader) -> None:
        self._reader = Reader(crl.data, crl.entries.start, crl.entries.stop)
        self._forget = crl.forget
        self._skipped: dict[bytes, int] = {}
        """Serial numbers that were passed over, and where their entries are."""
        self._early: set[bytes] = set()
        """Serial numbers of the new CRL that may come up later."""

    def passes(self, octets: bytes) -> bool:
        """Pass over *octets* if they are what comes next."""
        at = self._reader.position
        end = at + len(octets)
        if end > self._reader.end or self._reader.data[at:end].tobytes() != octets:
            return False
        self._reader.position = end
        if len(octets) > _FEW:
            self._forget(at, end)
        return True

    def find(self, serial: bytes) -> None:
        """Take off the entry of a serial number, if there is one."""
        if self._skipped.pop(serial, None) is not None:
            return
        while self._reader and len(self._skipped) < _MOST_APART:
            start = self._reader.position
            following = _serial_of(self._reader)
            if following == serial:
                return
            if following in self._early:
                self._early.remove(following)
            else:
                self._skipped[following] = start
        if self._reader:
            self._early.add(serial)

    def rest(self) -> list[CRLEntry]:
        """Give every entry that was not taken off."""
        while self._reader:
            start = self._reader.position
            serial = _serial_of(self._reader)
            if serial not in self._early:
                self._skipped[serial] = start
        data, end = self._reader.data, self._reader.end
        return [parse_entry(Reader(data, start, end)) for start in self._skipped.values()]
