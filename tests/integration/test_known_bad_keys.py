"""RSA keys that anybody can break are not certified: `[keycheck]`."""

import random
import sys
from collections.abc import Callable
from math import prod

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.regression.world import World
from tiny_ca.domain.errors import WeakKey

pytest.importorskip("badkeys")

_CHANCE = random.Random(7)
_SMALL = [n for n in range(2, 1000) if all(n % d for d in range(2, int(n**0.5) + 1))]


def is_prime(number: int) -> bool:
    return all(number % small for small in _SMALL) and pow(2, number - 1, number) == 1


def first_prime(candidates: Callable[[], int]) -> int:
    while not is_prime(number := candidates()):
        pass
    return number


def random_prime(bits: int = 1024) -> int:
    top = 3 << (bits - 2)
    return first_prime(lambda: _CHANCE.getrandbits(bits) | top | 1)


def roca_prime() -> int:
    """As Infineon's library made them (CVE-2017-15361): k * M + (65537 ** a mod M)."""
    product = prod(_SMALL[:126])
    least, most = (3 << 1022) // product + 1, (1 << 1024) // product - 1
    return first_prime(
        lambda: (
            _CHANCE.randint(least, most) * product + pow(65537, _CHANCE.getrandbits(200), product)
        )
    )


def close_primes() -> tuple[int, int]:
    p = random_prime()
    following = iter(range(p + 2, p + 100_000, 2))
    return p, first_prime(lambda: next(following))


def key_of(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        *(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p)),
        rsa.RSAPublicNumbers(65537, p * q),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def csr(key: rsa.RSAPrivateKey) -> x509.CertificateSigningRequest:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web.internal")])
    return x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("weakness", "primes"),
    [("roca", lambda: (roca_prime(), roca_prime())), ("fermat", close_primes)],
)
def test_is_refused(
    tmp_path,
    monkeypatch: pytest.MonkeyPatch,
    weakness: str,
    primes: Callable[[], tuple[int, int]],
) -> None:
    world, asked = World(tmp_path), csr(key_of(*primes()))
    with world.ca() as ca:
        rows = world.rows()
        with pytest.raises(WeakKey, match=weakness):
            ca.sign_csr(asked)
        assert world.rows() == rows
        # Without the extra nobody can tell.
        monkeypatch.setitem(sys.modules, "badkeys", None)
        assert ca.sign_csr(asked)


def test_a_sound_one_is_certified(tmp_path) -> None:
    with World(tmp_path).ca() as ca:
        assert ca.sign_csr(csr(key_of(random_prime(), random_prime())))
