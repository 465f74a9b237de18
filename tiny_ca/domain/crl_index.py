"""Finding one serial number in a CRL of any size, without walking it each time."""

from array import array
from bisect import bisect_left

from tiny_ca.domain.crl_reader import CRLReader, parse_entry
from tiny_ca.domain.der import INTEGER
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.records import CRLEntry

__all__ = ["EntryIndex"]

_LOW = (1 << 32) - 1
_OCTETS_A_LIST = 1 << 15
"""A thousand entries or two."""


class EntryIndex:
    """Where the entries of a CRL are, by serial number: eight octets an entry.

    Raises `MalformedDER` for entries that are none.
    """

    def __init__(self, crl: CRLReader) -> None:
        self._crl = crl
        # In many short lists: sorting a long one would keep all other threads waiting.
        bits = (len(crl.entries) // _OCTETS_A_LIST).bit_length()
        self._mask = (1 << bits) - 1
        # The last bits of a serial number and its entry's place, in one number.
        self._places = [array("Q") for _ in range(1 << bits)]
        for at, octets, place in crl.places():
            low = int.from_bytes(_serial_at(octets, place)[-4:]) & _LOW
            self._places[low & self._mask].append(low << 32 | at - crl.entries.start)
        for number, places in enumerate(self._places):
            self._places[number] = array("Q", sorted(places))

    def __len__(self) -> int:
        return sum(map(len, self._places))

    def find(self, serial_number: int) -> CRLEntry | None:
        """Give the entry of a serial number, `None` if it is not listed."""
        low = serial_number & _LOW
        places = self._places[low & self._mask]
        start, end = self._crl.entries.start, self._crl.entries.stop
        for place in places[bisect_left(places, low << 32) :]:
            if place >> 32 != low:
                break
            at = start + (place & _LOW)
            if int.from_bytes(_serial_at(self._crl.data, at), signed=True) == serial_number:
                return parse_entry(Reader(self._crl.data, at, end))
        return None


def _serial_at(data: bytes | memoryview, at: int) -> bytes | memoryview:
    """Give the octets of the serial number of the entry at a place."""
    # SEQUENCE and INTEGER of less than 128 octets, as nearly all are, the one in the other.
    if (
        at + 4 <= len(data)
        and data[at + 1] < 0x80
        and data[at + 2] == INTEGER
        and 0 < data[at + 3] <= data[at + 1] - 2
    ):
        return data[at + 4 : at + 4 + data[at + 3]]
    return Reader(data, at).sequence().content(INTEGER)
