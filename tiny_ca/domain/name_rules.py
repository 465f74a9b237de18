"""Which names a profile lets a certificate have."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from tiny_ca.domain.errors import InvalidName, InvalidRequest
from tiny_ca.domain.names import GeneralName, GeneralNameKind, dns_name

__all__ = ["NameRules"]

# RFC 2606, 6761, 6762, 7686, 8375, 9476, and ICANN's choice of "internal": never delegated.
_RESERVED = (
    "alt", "example", "home.arpa", "internal", "invalid", "local", "localhost", "onion", "test"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NameRules:
    """Allow and deny lists for subject alternative names; what is denied stays denied.

    A suffix, a DNS name, covers itself and what lies below it; it counts for hosts and for
    the domains of mailboxes and URIs.  No *allowed_suffixes*: all; no *allowed_networks*: all.
    An IPv4 address that is mapped into IPv6 is denied as the former, too.  Raises
    `InvalidRequest` for a suffix that is no DNS name, or a wildcard, and for what is no network.
    """

    allowed_suffixes: tuple[str, ...] = ()
    denied_suffixes: tuple[str, ...] = ()
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    denied_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_wildcards: bool = True
    allow_reserved: bool = True
    """Names that the public DNS will never have: `.internal`, `.test`, `localhost`..."""

    def __post_init__(self) -> None:
        for which in ("allowed_suffixes", "denied_suffixes"):
            try:
                suffixes = tuple(_suffix(text) for text in _listed(getattr(self, which)))
            except InvalidName as error:
                raise InvalidRequest(f"{which}: {error}") from error
            object.__setattr__(self, which, suffixes)
        for which in ("allowed_networks", "denied_networks"):
            for network in _listed(getattr(self, which)):
                if not isinstance(network, (IPv4Network, IPv6Network)):
                    raise InvalidRequest(f"{which}: {network!r} is no ipaddress.ip_network.")

    def problems(self, name: GeneralName) -> Iterator[str]:
        """Say what is wrong with a name, by its host's or address's."""
        host = name.host
        if host.kind is GeneralNameKind.IP:
            yield from self._problems_of_address(name.value, host.value)
        else:
            yield from self._problems_of_host(name.value, host.value)

    def _problems_of_address(self, text: str, host: str) -> Iterator[str]:
        address, allowed = ip_address(host), self.allowed_networks
        if allowed and not any(address in network for network in allowed):
            yield f"{text} is in none of the allowed networks"
        known_as = {address, getattr(address, "ipv4_mapped", None) or address}
        if any(each in network for network in self.denied_networks for each in known_as):
            yield f"{text} is in a denied network"

    def _problems_of_host(self, text: str, host: str) -> Iterator[str]:
        if host.startswith("*.") and not self.allow_wildcards:
            yield f"{text!r} is a wildcard"
        if self.allowed_suffixes and not _is_below(host, self.allowed_suffixes):
            yield f"{text!r} is below none of the allowed suffixes"
        if _is_below(host, self.denied_suffixes) or _covers(host, self.denied_suffixes):
            yield f"{text!r} is, or stands for, a name below a denied suffix"
        if not self.allow_reserved and _is_below(host, _RESERVED):
            yield f"{text!r} is below a reserved top-level domain"


def _listed(values: object) -> Iterable[Any]:
    # A string is a list of strings, each of them a DNS name.
    if not isinstance(values, (tuple, list)):
        raise InvalidRequest(f"The rules for names are tuples, not {values!r}.")
    return values


def _suffix(text: str) -> str:
    suffix = dns_name(text.removeprefix("."))
    if suffix.startswith("*."):
        raise InvalidName(f"{text!r} is a wildcard: a suffix covers what lies below it anyway.")
    return suffix


def _is_below(host: str, suffixes: tuple[str, ...]) -> bool:
    host = host.removeprefix("*.")
    return any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes)


def _covers(host: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a wildcard stands for one of *suffixes*, too."""
    parent = host.removeprefix("*.")
    return parent != host and any(suffix.partition(".")[2] == parent for suffix in suffixes)
