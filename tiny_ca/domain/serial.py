"""Serial numbers: positive, at most 20 octets (RFC 5280 §4.1.2.2), readable in a hex dump.

    [ 16 bits: two letters of the type ][ 80 bits: ten characters of the name ][ 64 random bits ]

The name's first character is in the least significant byte of its field, padded with zeros.
"""

from enum import Enum
from typing import Protocol

from tiny_ca.domain.errors import InvalidRequest

__all__ = [
    "NAME_LENGTH",
    "RANDOM_BITS",
    "CertSerialParser",
    "CertType",
    "SerialGenerator",
    "encode_serial_number",
    "parse_serial_number",
]

RANDOM_BITS = 64
NAME_LENGTH = 10
_NAME_BITS = 8 * NAME_LENGTH
_PREFIX_SHIFT = _NAME_BITS + RANDOM_BITS


class CertType(Enum):
    """What a certificate is for; its serial number begins with two letters of it."""

    USER = "USR"
    SERVICE = "SVC"
    DEVICE = "DEV"
    INTERNAL = "INT"
    CA = "CA"

    @property
    def prefix(self) -> int:
        """The two ASCII letters as an integer, 0..2^15-1, so that the sign bit stays clear."""
        return _PREFIX_OF_TYPE[self]


_PREFIX_OF_TYPE = {
    CertType.CA: int.from_bytes(b"CA"),
    CertType.USER: int.from_bytes(b"US"),
    CertType.SERVICE: int.from_bytes(b"SV"),
    CertType.DEVICE: int.from_bytes(b"DE"),
    CertType.INTERNAL: int.from_bytes(b"IN"),
}
_TYPE_OF_PREFIX = {prefix: cert_type for cert_type, prefix in _PREFIX_OF_TYPE.items()}


def _printable(character: str) -> bool:
    return " " <= character <= "~"


def encode_serial_number(name: str, cert_type: CertType, random_bits: int) -> int:
    """Pack a serial number, 1..2^159-1.

    Of *name* the first ten printable ASCII characters are kept; others never reach the
    integer.  *random_bits* is 0..2^64-1, from a cryptographic generator: 64 bits make
    serial numbers unpredictable (CA/B Forum BR §7.1).  Raises `InvalidRequest` outside it.
    """
    if not 0 <= random_bits < 1 << RANDOM_BITS:
        raise InvalidRequest(f"random_bits is {RANDOM_BITS} bits wide, got {random_bits}.")
    kept = "".join(filter(_printable, name))[:NAME_LENGTH]
    field = int.from_bytes(kept.encode("ascii"), "little")
    return cert_type.prefix << _PREFIX_SHIFT | field << RANDOM_BITS | random_bits


def parse_serial_number(serial_number: int) -> tuple[CertType | None, str]:
    """Give back the type and the name's beginning; `(None, "")` for a foreign serial number.

    Takes any integer and never raises.
    """
    cert_type = _TYPE_OF_PREFIX.get(serial_number >> _PREFIX_SHIFT)
    if cert_type is None:
        return None, ""
    field = serial_number >> RANDOM_BITS & (1 << _NAME_BITS) - 1
    name = field.to_bytes(NAME_LENGTH, "little").partition(b"\0")[0].decode("latin-1")
    return cert_type, "".join(filter(_printable, name))


class _HasSerialNumber(Protocol):
    @property
    def serial_number(self) -> int: ...


class CertSerialParser:
    """Reads a certificate's serial number."""

    @staticmethod
    def raw(cert: _HasSerialNumber) -> int:
        """Give the serial number itself."""
        return cert.serial_number

    @staticmethod
    def typed(cert: _HasSerialNumber) -> tuple[CertType | None, str]:
        """Give the type and the beginning of the name, as `parse_serial_number` does."""
        return parse_serial_number(cert.serial_number)


class SerialGenerator:
    """Counts serial numbers up, and remembers whose they are: for tests and small closed sets.

    64 bits: two letters of the type and 48 bits that are the identifier itself (an `int`)
    or a counter (a `str`).  They are predictable: certificates get those of
    `encode_serial_number`.  Not safe to share between threads.
    """

    DATA_BITS = 48

    def __init__(self) -> None:
        self._identifiers: dict[int, int | str] = {}
        self._serial_of_name: dict[tuple[CertType, str], int] = {}
        self._counters: dict[CertType, int] = {}

    def generate(self, id_value: int | str, serial_type: CertType) -> int:
        """Give a serial number, 1..2^63-1, and remember *id_value* for it.

        The same integer gives the same serial number; a name gets a new one each time.
        Raises `InvalidRequest` for an integer outside 0..2^48-1, or one whose serial number
        a name already has.
        """
        if isinstance(id_value, int):
            serial = self._compose(serial_type, id_value)
            if self._identifiers.setdefault(serial, id_value) != id_value:
                raise InvalidRequest(f"{serial:#x} belongs to {self._identifiers[serial]!r}.")
            return serial
        counter = self._counters.get(serial_type, 1)
        while (serial := self._compose(serial_type, counter)) in self._identifiers:
            counter += 1
        self._counters[serial_type] = counter + 1
        self._identifiers[serial] = id_value
        self._serial_of_name[serial_type, id_value] = serial
        return serial

    def parse(self, serial: int) -> tuple[CertType | None, int | str | None]:
        """Give the type and the identifier; `None` for what this generator did not make."""
        cert_type = _TYPE_OF_PREFIX.get(serial >> self.DATA_BITS)
        if cert_type is CertType.USER and serial not in self._identifiers:
            return cert_type, serial & (1 << self.DATA_BITS) - 1
        return cert_type, self._identifiers.get(serial)

    def get_serial_by_name(self, name: str, serial_type: CertType) -> int | None:
        """Give the last serial number of *name*, or `None`."""
        return self._serial_of_name.get((serial_type, name))

    def _compose(self, serial_type: CertType, data: int) -> int:
        if not 0 <= data < 1 << self.DATA_BITS:
            raise InvalidRequest(f"An identifier is {self.DATA_BITS} bits wide, got {data}.")
        return serial_type.prefix << self.DATA_BITS | data
