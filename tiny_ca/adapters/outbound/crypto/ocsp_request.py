"""Reading OCSP requests (RFC 6960 §4.1.1) that anybody may have sent."""

from collections.abc import Iterator

from tiny_ca.adapters.outbound.crypto import der
from tiny_ca.adapters.outbound.crypto.der import (
    INTEGER,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    Reader,
    context,
)
from tiny_ca.domain.errors import MalformedDER
from tiny_ca.domain.ocsp import MAX_CERT_IDS, MAX_NONCE, MAX_REQUEST, CertID, OCSPRequest

__all__ = ["DIGESTS", "NONCE", "read_request"]

DIGESTS = {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256"}
_LENGTHS = {"sha1": 20, "sha256": 32}
NONCE = "1.3.6.1.5.5.7.48.1.2"
# Understood in that nothing about the answer would have to change (§4.4.3, §4.4.7).
_HARMLESS = {"1.3.6.1.5.5.7.48.1.4", "1.3.6.1.5.5.7.48.1.8"}
_REQUESTOR_NAME = context(1)
_SIGNATURE = context(0)

_SHORT = 128
"""Octets: lengths below are one octet each."""
_FRAME = 10
# Of a request of each length that has one certID and nothing else, up to what is in the certID.
_FRAMES = [
    bytes(octet for inside in (2, 4, 6, 8, _FRAME) for octet in (0x30, max(0, size - inside)))
    for size in range(_SHORT)
]
# The algorithm, and the tag and length of each hash.
_PLAIN = [
    (
        digest,
        der.sequence(der.object_identifier(oid), der.null()) + bytes((OCTET_STRING, length)),
        length,
    )
    for oid, digest in DIGESTS.items()
    for length in [_LENGTHS[digest]]
]


def read_request(request_der: bytes) -> OCSPRequest:
    """Read a request.  Raises `MalformedDER`."""
    return _read_plain(request_der) or _read_any(request_der)


def _read_plain(request_der: bytes) -> OCSPRequest | None:
    """Read what nearly everybody sends, a tenth of the work; `None`: it is something else."""
    size = len(request_der)
    if size >= _SHORT or not request_der.startswith(_FRAMES[size]):
        return None
    for digest, begin, length in _PLAIN:
        if request_der.startswith(begin, _FRAME):
            name = _FRAME + len(begin)
            key = name + length + 2
            serial = request_der[key + length + 2 :]
            if (
                request_der[key - 2 : key] == begin[-2:]
                and request_der[key + length : key + length + 2] == bytes((INTEGER, len(serial)))
                # One that is positive, without an octet of zeros before it.
                and b"\x00" < serial[:1] < b"\x80"
            ):
                hashes = request_der[name : name + length], request_der[key : key + length]
                cert_id = request_der[_FRAME - 2 :]
                number = int.from_bytes(serial, "big")
                return OCSPRequest((CertID(digest, hashes, number, cert_id, is_canonical=True),))
    return None


def _read_any(request_der: bytes) -> OCSPRequest:
    if len(request_der) > MAX_REQUEST:
        raise MalformedDER(f"The request is longer than {MAX_REQUEST} octets.")
    outer = Reader(request_der)
    request = outer.sequence()
    outer.finish()
    tbs = request.sequence()
    if (signature := request.explicit(0)) is not None:
        # Not checked (§4.1.2): what is answered here, anybody may know.
        signature.sequence()
        signature.finish()
    request.finish()
    return _read_tbs(tbs)


def _read_tbs(tbs: Reader) -> OCSPRequest:
    if (version := tbs.explicit(0)) is not None:
        # X.690 §11.5: the default, v1, is left out; version 1 is the only one there is.
        raise MalformedDER(f"The request has version {version.integer():#x}, and not 0 (v1).")
    if tbs.peek() == _REQUESTOR_NAME:
        tbs.element()
    requests = tbs.sequence()
    cert_ids = tuple(_cert_id(each) for each in _each_up_to(requests, MAX_CERT_IDS))
    if not cert_ids:
        raise MalformedDER("The request asks for nothing.")
    nonce = None
    if (extensions := tbs.explicit(2)) is not None:
        nonce = _nonce(extensions)
    tbs.finish()
    return OCSPRequest(cert_ids, nonce)


def _each_up_to(requests: Reader, most: int) -> Iterator[Reader]:
    for count, request in enumerate(requests.each(SEQUENCE)):
        if count == most:
            raise MalformedDER(f"The request has more than {most} certIDs.")
        yield request


def _cert_id(request: Reader) -> CertID:
    element = request.element(SEQUENCE)
    encoded = bytes(request.data[element.start : element.end])
    fields = Reader(request.data, element.content_start, element.end)
    algorithm = fields.sequence()
    digest = DIGESTS.get(oid := algorithm.object_identifier(), oid)
    has_null = algorithm.peek() == NULL
    if has_null:
        algorithm.null()
    elif digest in _LENGTHS or not algorithm:
        # RFC 3370 §2.1: parameters are NULL, or left out.
        algorithm.finish()
    else:
        algorithm.element()
    algorithm.finish()
    name_hash, key_hash = fields.octet_string(), fields.octet_string()
    if digest in _LENGTHS and {len(name_hash), len(key_hash)} != {_LENGTHS[digest]}:
        raise MalformedDER(f"A hash is not as long as those of {digest} are.")
    serial_number = fields.integer()
    fields.finish()
    if (extensions := request.explicit(0)) is not None:
        _check_all_known(extensions)
    request.finish()
    return CertID(
        digest, (name_hash, key_hash), serial_number, encoded, has_null and digest in _LENGTHS
    )


def _extensions(wrapper: Reader) -> Iterator[tuple[str, bool, bytes]]:
    extensions = wrapper.sequence()
    wrapper.finish()
    seen = set()
    for extension in extensions.each(SEQUENCE):
        oid = extension.object_identifier()
        is_critical = extension.peek() != OCTET_STRING and extension.boolean()
        value = extension.octet_string()
        extension.finish()
        if oid in seen:
            raise MalformedDER(f"The extension {oid} is there twice.")
        seen.add(oid)
        yield oid, is_critical, value


def _check_known(oid: str, is_critical: bool) -> None:
    if is_critical and oid not in _HARMLESS:
        raise MalformedDER(f"The critical extension {oid} is not known here.")


def _check_all_known(wrapper: Reader) -> None:
    for oid, is_critical, _ in _extensions(wrapper):
        _check_known(oid, is_critical)


def _nonce(wrapper: Reader) -> bytes | None:
    nonce = None
    for oid, is_critical, value in _extensions(wrapper):
        if oid != NONCE:
            _check_known(oid, is_critical)
            continue
        inner = Reader(value)
        nonce = inner.octet_string()
        inner.finish()
        # RFC 9654 §2.1: any other length is a malformed request.
        if not 1 <= len(nonce) <= MAX_NONCE:
            raise MalformedDER(f"A nonce of {len(nonce)} octets is not one of 1..{MAX_NONCE}.")
    return nonce
