"""Just enough DER (X.690) to look at the octets themselves, apart from any library's view."""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

INTEGER = 0x02
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18


@dataclass(frozen=True)
class Element:
    tag: int
    content: bytes

    def children(self) -> list["Element"]:
        return list(elements(self.content))


def elements(data: bytes) -> Iterator[Element]:
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start])
        yield Element(tag, data[start : start + length])
        data = data[start + length :]


def _to_be_signed(certificate: x509.Certificate) -> list[Element]:
    (tbs,) = elements(certificate.tbs_certificate_bytes)
    return tbs.children()


def serial_number(certificate: x509.Certificate) -> Element:
    """Give the serialNumber, which follows [0] version (RFC 5280 §4.1)."""
    return _to_be_signed(certificate)[1]


def validity(certificate: x509.Certificate) -> list[Element]:
    """Give notBefore and notAfter: the fifth field of a TBSCertificate (RFC 5280 §4.1)."""
    return _to_be_signed(certificate)[4].children()
