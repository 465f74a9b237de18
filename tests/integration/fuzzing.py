"""Mutants of DER and PEM, reproducible: a seed makes the same ones each time."""

import base64
import random
import re
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tiny_ca.domain import der

__all__ = ["Mutator"]

_PEM = re.compile(rb"-----BEGIN ([^-]+)-----\n(.*?)-----END \1-----", re.DOTALL)


def frames(data: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int, int]]:
    """Find elements, those in others included: where each begins, its content, and its end."""
    found = []
    end = len(data) if end is None else end
    while start + 2 <= end:
        length, content = data[start + 1], start + 2
        if length & 0x80:
            content += length & 0x7F
            length = int.from_bytes(data[start + 2 : content])
        stop = content + length
        if stop > end:
            break
        found.append((start, content, stop))
        if data[start] & 0x20:
            found += frames(data, content, stop)
        elif data[start] == der.OCTET_STRING:
            # The values of extensions.
            found += frames(data, content, stop)
        start = stop
    return found


def rebuilt(data: bytes, replaced: dict[tuple[int, int], bytes]) -> bytes:
    """Replace elements, and write the lengths of all that holds them anew."""

    def write(start: int, end: int) -> bytes:
        out = b""
        for begin, content, stop in frames_of(data, start, end):
            span = begin, stop
            if span in replaced:
                out += replaced[span]
            elif any(begin <= a and b <= stop for a, b in replaced):
                out += der.tlv(data[begin], write(content, stop))
            else:
                out += data[begin:stop]
        return out

    return write(0, len(data))


def frames_of(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """Find the elements that follow one another, without those in them."""
    all_of_them = frames(data, start, end)
    top, at = [], start
    for frame in all_of_them:
        if frame[0] >= at:
            top.append(frame)
            at = frame[2]
    return top


class Mutator:
    """Makes mutants of what it is given, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def of(self, data: bytes) -> bytes:
        """Mutate DER or PEM: text, or what is in it."""
        block = _PEM.search(data)
        if block is None:
            return self._of_der(data)
        if self.chance.random() < 0.3:
            return self._octets(data)
        inside = self._of_der(base64.b64decode(block[2]))
        text = base64.encodebytes(inside)
        return data[: block.start(2)] + text + data[block.end(2) :]

    def signed(self, data: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Mutate what is signed of DER, and sign it again."""
        (_, content, _), *_ = frames(data)
        to_be_signed, algorithm, _ = frames_of(data, content, len(data))
        mutant = data[to_be_signed[0] : to_be_signed[2]]
        for _ in range(self.chance.choice([1, 1, 1, 2])):
            mutant = self._element(mutant)
        signature = key.sign(mutant, ec.ECDSA(SHA256()))
        return der.sequence(mutant, data[algorithm[0] : algorithm[2]], der.bit_string(signature))

    def _of_der(self, data: bytes) -> bytes:
        if self.chance.random() < 0.3:
            return self._octets(data)
        for _ in range(self.chance.randint(1, 3)):
            data = self._element(data)
        return data

    def _octets(self, data: bytes) -> bytes:
        """Change octets, whatever they mean."""
        chance, out = self.chance, bytearray(data)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(out) or 1)
            match chance.randrange(5):
                case 0:
                    out[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    out[at : at + 1] = bytes([(out[at] if out else 0) ^ 1 << chance.randrange(8)])
                case 2:
                    del out[at : at + chance.randint(1, 8)]
                case 3:
                    del out[at:]
                case 4:
                    out[at : at + 1] = b"\x84" + chance.randbytes(4)
        return bytes(out)

    def _element(self, data: bytes) -> bytes:
        """Change elements, and let what holds them agree."""
        found = frames(data)
        if not found:
            return data
        begin, content, stop = self.chance.choice(found)
        tag, inside = data[begin], data[content:stop]
        change: Callable[[], bytes] = self.chance.choice(
            [
                lambda: b"",
                lambda: der.tlv(tag, inside) * self.chance.choice([2, 3, 40]),
                lambda: der.tlv(tag, b""),
                lambda: der.tlv(self.chance.randrange(256), inside),
                lambda: der.tlv(tag, self.chance.randbytes(self.chance.choice([1, 8, 300]))),
                lambda: der.tlv(tag, self._octets(inside)),
                lambda: der.tlv(tag, inside + inside),
                lambda: der.header(tag, len(inside) + self.chance.randint(-3, 300) % 400) + inside,
                lambda: der.tlv(tag, inside * self.chance.choice([20, 200])),
                lambda: der.tlv(self.chance.choice([0x0C, 0x13, 0x14, 0x1C, 0x1E]), inside),
            ]
        )
        other = self.chance.choice(found)
        if self.chance.random() < 0.2 and not (other[0] < stop and begin < other[2]):
            swapped = {
                (begin, stop): data[other[0] : other[2]],
                (other[0], other[2]): data[begin:stop],
            }
            return rebuilt(data, swapped)
        return rebuilt(data, {(begin, stop): change()})
