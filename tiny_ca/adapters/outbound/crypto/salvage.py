"""The extensions of a certificate one by one, so that a malformed one does not hide the others."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

__all__ = ["UNREADABLE", "Extensions", "read_extensions", "read_name"]

UNREADABLE = (
    KeyError,
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    Warning,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for what it can't read: warnings too, where they are errors.

`KeyError` for a TLS feature (RFC 7633) that it does not know.
"""

_MOST_TO_SALVAGE = 64
_LONGEST_PART = 16 * 1024
"""Octets of a name or an extension: thousands of names take longer to read than any is worth."""
_TOO_LONG = f"it is longer than {_LONGEST_PART} octets."
_SEQUENCE, _VERSION, _EXTENSIONS = 0x30, 0xA0, 0xA3


class Extensions(NamedTuple):
    """What could be read, and why not, by OID; "" stands for all of them."""

    readable: list[x509.Extension[x509.ExtensionType]]
    unreadable: dict[str, str]


def read_name(certificate: x509.Certificate, *, of_issuer: bool) -> x509.Name:
    """Read the subject's or the issuer's name.  Raises `ValueError`, too, if it is too long."""
    fields = list(_elements(_content(certificate.tbs_certificate_bytes)))
    place = (2 if of_issuer else 4) + (fields[0][0] == _VERSION)
    if len(fields[place]) > _LONGEST_PART:
        raise ValueError(_TOO_LONG)
    return certificate.issuer if of_issuer else certificate.subject


def read_extensions(certificate: x509.Certificate) -> Extensions:
    """Read what can be read; of an extension that occurs twice, neither (RFC 5280 §4.2)."""
    tbs, reason = certificate.tbs_certificate_bytes, _TOO_LONG
    try:
        if not _has_long_extension(tbs):
            return Extensions(list(certificate.extensions), {})
    except UNREADABLE as error:
        reason = str(error)
    try:
        return _salvage(tbs)
    except (IndexError, *UNREADABLE):
        return Extensions([], {"": reason})


def _extensions_in(fields: list[bytes]) -> Iterator[bytes]:
    for field in fields:
        if field[0] == _EXTENSIONS:
            yield from _elements(_content(_content(field)))


def _has_long_extension(tbs: bytes) -> bool:
    if len(tbs) <= _LONGEST_PART:
        return False
    return any(len(one) > _LONGEST_PART for one in _extensions_in(list(_elements(_content(tbs)))))


def _salvage(tbs: bytes) -> Extensions:
    fields = list(_elements(_content(tbs)))
    extensions = list(_extensions_in(fields))
    version, number, algorithm, _, validity, _, key, *_ = fields
    # Without the names, which would be parsed with each extension again.
    others = b"".join((version, number, algorithm, _NOBODY, validity, _NOBODY, key))
    if len(extensions) > _MOST_TO_SALVAGE:
        raise ValueError("There are too many to read them one by one.")
    found = Extensions([], {})
    names = [_dotted(_content(next(_elements(_content(one))))) for one in extensions]
    occurrences = Counter(names)
    for name, extension in zip(names, extensions, strict=True):
        if occurrences[name] > 1:
            found.unreadable[name] = f"it occurs {occurrences[name]} times"
            continue
        if len(extension) > _LONGEST_PART:
            found.unreadable[name] = _TOO_LONG
            continue
        try:
            found.readable.extend(_alone(others, extension).extensions)
        except UNREADABLE as error:
            found.unreadable[name] = str(error)
    return found


_NOBODY = b"\x30\x00"


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
