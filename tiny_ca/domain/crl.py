"""What a CRL is of and says, and how its entries are encoded (RFC 5280 §5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tiny_ca.domain.der import (
    enumerated,
    generalized_time,
    integer,
    object_identifier,
    octet_string,
    sequence,
    time,
)
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason

__all__ = [
    "COMPLETE",
    "INVALIDITY_DATE",
    "REASONS",
    "REASON_CODE",
    "SHARD_KEYS",
    "CRLPart",
    "CRLPlan",
    "CRLScope",
    "Shard",
    "encode_crl_entry",
    "shard_key_of",
]

REASON_CODE = "2.5.29.21"
INVALIDITY_DATE = "2.5.29.24"
REASONS: Mapping[CRLReason, int] = {
    CRLReason.UNSPECIFIED: 0,
    CRLReason.KEY_COMPROMISE: 1,
    CRLReason.CA_COMPROMISE: 2,
    CRLReason.AFFILIATION_CHANGED: 3,
    CRLReason.SUPERSEDED: 4,
    CRLReason.CESSATION_OF_OPERATION: 5,
    CRLReason.CERTIFICATE_HOLD: 6,
    CRLReason.REMOVE_FROM_CRL: 8,
    CRLReason.PRIVILEGE_WITHDRAWN: 9,
    CRLReason.AA_COMPROMISE: 10,
}
"""The codes of RFC 5280 §5.3.1."""

SHARD_KEYS = 1 << 16
_SCOPE_NAME = re.compile(r"crl(?:-(0|[1-9]\d{0,3})-of-([1-9]\d{0,3}))?(-delta)?\Z", re.ASCII)


def shard_key_of(serial_number: int) -> int:
    """Give what decides about a certificate's shard: the last 16, random, bits."""
    return serial_number % SHARD_KEYS


@dataclass(frozen=True, slots=True)
class Shard:
    """One of *count* parts, 2..1024, of an issuer's certificates: number *index* from 0.

    Raises `InvalidRequest` for a part that there is not.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 2 <= self.count <= 1024 or not 0 <= self.index < self.count:
            raise InvalidRequest(
                f"There is no shard {self.index} of {self.count}: there are 2..1024, from 0."
            )

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"

    @classmethod
    def of(cls, serial_number: int, count: int) -> "Shard":
        """Give the shard that a certificate is in."""
        return cls(shard_key_of(serial_number) * count // SHARD_KEYS, count)

    @property
    def keys(self) -> range:
        """The `shard_key_of` of the certificates in it."""
        # Rounded up: what `of` rounds down to this index.
        first, end = (-(-at * SHARD_KEYS // self.count) for at in (self.index, self.index + 1))
        return range(first, end)


@dataclass(frozen=True, slots=True)
class CRLScope:
    """Which of an issuer's CRLs: of all certificates or of a *shard*, complete or delta."""

    shard: Shard | None = None
    is_delta: bool = False

    @property
    def name(self) -> str:
        """Its name in the registry and, without extension, its file's: `crl`, `crl-3-of-8`."""
        shard = "" if self.shard is None else f"-{self.shard}"
        return f"crl{shard}{'-delta' if self.is_delta else ''}"

    @classmethod
    def named(cls, name: str) -> "CRLScope":
        """Give the scope of a name.  Raises `InvalidRequest` for any other text."""
        parts = _SCOPE_NAME.match(name)
        if parts is None:
            raise InvalidRequest(f"{name!r} is no scope of CRLs.")
        index, count, delta = parts.groups()
        return cls(None if index is None else Shard(int(index), int(count)), delta is not None)

    @property
    def base(self) -> "CRLScope":
        """The complete CRL that a delta CRL is about."""
        return CRLScope(self.shard)


COMPLETE = CRLScope()


@dataclass(frozen=True, slots=True)
class CRLPart:
    """Entries in their encoding, one after the other, and how many they are."""

    count: int
    entries: bytes


@dataclass(frozen=True, slots=True)
class CRLPlan:
    """Everything that will be signed, but for the issuer's name and the entries."""

    stamp: CRLStamp
    base_number: int | None = None
    """Of the complete CRL that this delta CRL changes (§5.2.4)."""
    distribution_point: tuple[str, ...] = ()
    """Where certificates say that this CRL is, if it is of some of them alone (§5.2.5)."""
    freshest: tuple[str, ...] = ()
    """Where its delta CRLs are (§5.2.6)."""


def encode_crl_entry(entry: CRLEntry) -> bytes:
    """Encode one of revokedCertificates (§5.1.2.6); the reason unspecified is left out."""
    extensions = b""
    if entry.revocation_reason is not CRLReason.UNSPECIFIED:
        extensions += _reason_code(entry.revocation_reason)
    if entry.invalidity_date is not None:
        date = octet_string(generalized_time(entry.invalidity_date))
        extensions += sequence(object_identifier(INVALIDITY_DATE), date)
    return sequence(
        integer(entry.serial_number),
        time(entry.revocation_date),
        sequence(extensions) if extensions else b"",
    )


@cache
def _reason_code(reason: CRLReason) -> bytes:
    code = octet_string(enumerated(REASONS[reason]))
    return sequence(object_identifier(REASON_CODE), code)
