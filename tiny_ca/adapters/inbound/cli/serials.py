"""Serial numbers as people write them, and certificates as people mean them."""

import re
from typing import TYPE_CHECKING

from tiny_ca.domain.errors import CertNotFound, InvalidRequest

if TYPE_CHECKING:
    from tiny_ca.domain.records import CertificateRecord
    from tiny_ca.lifecycle import CertLifecycleManager

__all__ = ["hex_of", "meant", "serial_number_of"]

_HEX = re.compile(r"(?:0x)?[0-9a-f]{1,40}\Z|[0-9a-f]{2}(?::[0-9a-f]{2}){1,19}\Z", re.IGNORECASE)


def hex_of(serial_number: int) -> str:
    """Write a serial number, as everywhere on the command line."""
    return f"{serial_number:x}"


def serial_number_of(text: str) -> int | None:
    """Read a serial number: hex, also `0x...` or with colons; `None`: it is none."""
    return int(text.replace(":", ""), 16) if _HEX.match(text) else None


def meant(manager: "CertLifecycleManager", text: str) -> "CertificateRecord":
    """Give the record of a serial number, or of the active certificate of a common name.

    Raises `CertNotFound`, and `InvalidRequest` for what is the one of some certificate and the
    other of another.
    """
    serial_number = serial_number_of(text)
    by_serial = None if serial_number is None else manager.find_certificate(serial_number)
    by_name = manager.find_certificate(text)
    if by_serial and by_name and by_serial != by_name:
        raise InvalidRequest(f"{text!r} is a serial number and a name: write the serial number.")
    found = by_serial or by_name
    if found is None:
        raise CertNotFound(
            f"No certificate on record has the serial number {text}, nor is one of that name "
            "active: see `tiny-ca list`."
        )
    return found
