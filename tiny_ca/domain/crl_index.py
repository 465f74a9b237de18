"""Finding one serial number in a CRL of any size, without walking it each time."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from tiny_ca.domain.crl_reader import CRLReader, parse_entry
from tiny_ca.domain.der import INTEGER
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.records import CRLEntry

__all__ = ["EntryIndex"]

_LOW = (1 << 32) - 1


class EntryIndex:
    """Where the entries of a CRL are, by serial number: eight octets an entry.

    Raises `MalformedDER` for entries that are none.
    """

    def __init__(self, crl: CRLReader) -> None:
        self._crl = crl
        # The last, random, bits of a serial number and its entry's place, in one number.
        self._places = array("Q", sorted(self._each()))

    def _each(self) -> Iterator[int]:
        data, start = self._crl.data, self._crl.entries.start
        for at in self._crl.offsets():
            yield (int.from_bytes(_serial_at(data, at)) & _LOW) << 32 | at - start

    def __len__(self) -> int:
        return len(self._places)

    def find(self, serial_number: int) -> CRLEntry | None:
        """Give the entry of a serial number, `None` if it is not listed."""
        low = (serial_number & _LOW) << 32
        start, end = self._crl.entries.start, self._crl.entries.stop
        index = bisect_left(self._places, low)
        while index < len(self._places) and self._places[index] & ~_LOW == low:
            at = start + (self._places[index] & _LOW)
            if int.from_bytes(_serial_at(self._crl.data, at), signed=True) == serial_number:
                return parse_entry(Reader(self._crl.data, at, end))
            index += 1
        return None


def _serial_at(data: memoryview, at: int) -> memoryview:
    """Give the octets of the serial number of the entry at a place."""
    # SEQUENCE and INTEGER of less than 128 octets, as nearly all are.
    if data[at + 1] < 0x80 and data[at + 2] == INTEGER and data[at + 3] < 0x80:
        return data[at + 4 : at + 4 + data[at + 3]]
    return memoryview(Reader(data, at).sequence().content(INTEGER))
