"""What is asked of a certification path (RFC 5280 §6), and whom a certificate names."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from tiny_ca.domain.errors import InvalidName, InvalidRequest
from tiny_ca.domain.names import GeneralName, GeneralNameKind, dns_name

__all__ = ["Conformance", "ConformanceName", "PathLimits", "PathRequest", "host_matches"]

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+\Z")


class Conformance(StrEnum):
    """How much of what certificates should look like is required of them."""

    PATH = "path"
    """What makes a path valid: RFC 5280 §6, sound keys and signatures."""
    RFC5280 = "rfc5280"
    """And what §4 asks of CAs: identifiers of keys, critical extensions, serial numbers."""
    WEBPKI = "webpki"
    """And the CA/Browser Forum's Baseline Requirements, as for public web servers."""


ConformanceName = Literal["path", "rfc5280", "webpki"]
"""The values of `Conformance`, for people who would rather write the string."""


@dataclass(frozen=True, slots=True)
class PathLimits:
    """How much work a search may be, so that hostile certificates can't keep it busy."""

    signatures: int = 128
    """Signatures that are verified, each once."""
    steps: int = 2048
    """Certificates that are looked at as issuers."""
    paths: int = 32
    """Whole paths that are looked at."""
    comparisons: int = 1 << 16
    """Subtrees that are read, and names that are held against them."""


@dataclass(frozen=True, slots=True)
class PathRequest:
    """What a certificate is to be good for.

    *at* is an aware datetime.  *purpose* is the object identifier of a key purpose (§4.2.1.12)
    that the certificate, and every CA that lists any, must have; `None`: any.  The
    certificate must have all of *names*.  *max_intermediates*, 0..255, doesn't count
    self-issued ones.  Raises `InvalidRequest`.
    """

    at: datetime
    purpose: str | None = None
    names: tuple[GeneralName, ...] = ()
    max_intermediates: int = 8
    conformance: Conformance = Conformance.RFC5280
    limits: PathLimits = PathLimits()

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise InvalidRequest(f"{self.at.isoformat()} has no time zone: pass an aware datetime.")
        if self.purpose is not None and not _OID.match(self.purpose):
            raise InvalidRequest(
                f"A purpose is an object identifier in dotted form, got {self.purpose!r}."
            )
        if not 0 <= self.max_intermediates <= 255:
            raise InvalidRequest(f"max_intermediates is 0..255, got {self.max_intermediates}.")
        hosts = (name.value for name in self.names if name.kind is GeneralNameKind.DNS)
        if any(host.startswith("*") for host in hosts):
            raise InvalidRequest("A certificate is verified for a host, not for a wildcard.")


def host_matches(presented: str, host: str) -> bool:
    """Whether a certificate's DNS name is the one of *host*, in A-labels (RFC 9525 §6.3).

    A wildcard is a whole leftmost label, above two others, and stands for one label.  What is
    malformed matches nothing.
    """
    try:
        pattern, wanted = dns_name(presented), dns_name(host)
    except InvalidName:
        return False
    if pattern.startswith("*."):
        return pattern[2:] == wanted.partition(".")[2]
    return pattern == wanted
