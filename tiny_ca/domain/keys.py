"""The keys that certificates are made for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tiny_ca.domain.errors import InvalidRequest

__all__ = ["KeyAlgorithm", "KeyAlgorithmName", "KeySpec"]


class KeyAlgorithm(StrEnum):
    """Public key algorithms (RFC 8017, 5480, 8410, 9881)."""

    RSA = "rsa"
    P256 = "p-256"
    P384 = "p-384"
    P521 = "p-521"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


KeyAlgorithmName = Literal[
    "rsa",
    "p-256",
    "p-384",
    "p-521",
    "ed25519",
    "ed448",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
]
"""The values of `KeyAlgorithm`, for people who would rather write the string."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """An algorithm, and for RSA the length of the modulus in bits, 2048..8192.

    Raises `InvalidRequest` for a modulus that is shorter, longer, or not whole octets.
    """

    algorithm: KeyAlgorithm = KeyAlgorithm.RSA
    rsa_bits: int = 2048

    @property
    def is_heavy(self) -> bool:
        """Whether making a key takes so long that another core is worth waking."""
        return self.algorithm is KeyAlgorithm.RSA

    def __post_init__(self) -> None:
        # NIST SP 800-131A: 2048 bits at least.  Past 8192 many verifiers refuse.
        if not 2048 <= self.rsa_bits <= 8192 or self.rsa_bits % 8:
            raise InvalidRequest(
                f"An RSA key has 2048..8192 bits in whole octets, got {self.rsa_bits}."
            )
