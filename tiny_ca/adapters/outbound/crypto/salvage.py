"""The extensions of a certificate one by one, so that a malformed one does not hide the others."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

__all__ = ["UNREADABLE", "Extensions", "read_extensions"]

UNREADABLE = (
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    Warning,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for what it can't read: warnings too, where they are errors."""

_MOST_TO_SALVAGE = 64
_SEQUENCE, _EXTENSIONS = 0x30, 0xA3


class Extensions(NamedTuple):
    """What could be read, and why not, by OID; "" stands for all of them."""

    readable: list[x509.Extension[x509.ExtensionType]]
    unreadable: dict[str, str]


def read_extensions(certificate: x509.Certificate) -> Extensions:
    """Read what can be read; of an extension that occurs twice, neither (RFC 5280 §4.2)."""
    try:
        return Extensions(list(certificate.extensions), {})
    except UNREADABLE as error:
        reason = str(error)
    try:
        return _salvage(certificate.tbs_certificate_bytes)
    except (IndexError, *UNREADABLE):
        return Extensions([], {"": reason})


def _salvage(tbs: bytes) -> Extensions:
    fields = list(_elements(_content(tbs)))
    [wrapped] = [field for field in fields if field[0] == _EXTENSIONS]
    others = b"".join(field for field in fields if field[0] != _EXTENSIONS)
    extensions = list(_elements(_content(_content(wrapped))))
    if len(extensions) > _MOST_TO_SALVAGE:
        raise ValueError("There are too many to read them one by one.")
    found = Extensions([], {})
    names = [_dotted(_content(next(_elements(_content(one))))) for one in extensions]
    occurrences = Counter(names)
    for name, extension in zip(names, extensions, strict=True):
        if occurrences[name] > 1:
            found.unreadable[name] = f"it occurs {occurrences[name]} times"
            continue
        try:
            found.readable.extend(_alone(others, extension).extensions)
        except UNREADABLE as error:
            found.unreadable[name] = str(error)
    return found


def _alone(other_fields: bytes, extension: bytes) -> x509.Certificate:
    """Give a certificate, signed by nobody, that has this extension only."""
    wrapped = _element(_EXTENSIONS, _element(_SEQUENCE, extension))
    algorithm = _element(_SEQUENCE, b"\x06\x03\x2b\x65\x70")
    tbs = _element(_SEQUENCE, other_fields + wrapped)
    return x509.load_der_x509_certificate(
        _element(_SEQUENCE, tbs + algorithm + _element(0x03, b"\0"))
    )


# cryptography has parsed the certificate as DER (X.690 §10), down to the extensions' frames:
# tags here have one octet, and lengths are definite.


def _frame(data: bytes, start: int) -> tuple[int, int]:
    """Give where the content of the element at *start* begins and ends."""
    length, begin = data[start + 1], start + 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[start + 2 : begin])
    return begin, begin + length


def _content(element: bytes) -> bytes:
    begin, end = _frame(element, 0)
    return element[begin:end]


def _elements(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        _, end = _frame(data, start)
        yield data[start:end]
        start = end


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _dotted(content: bytes) -> str:
    """Read an OBJECT IDENTIFIER (X.690 §8.19)."""
    arcs, arc = [], 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(one) for one in (first, arcs[0] - 40 * first, *arcs[1:]))
