"""Profiles as people write them into a settings file."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import GeneralNameKind
from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.profiles import Profile, UnplannedRequests
from tiny_ca.domain.serial import CertType

__all__ = ["NameRulesConfig", "ProfileConfig", "URLsConfig", "profiles_of"]

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:[0-9]{1,9}[wdhms])+\Z")


def _duration(value: object) -> object:
    """Read `90d`, `12h` or `1h30m`; ISO 8601, `P90D`, is for pydantic.

    A bare number is refused: it might be meant in days or in seconds.
    """
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value
    if not isinstance(value, str) or not _DURATION.match(value):
        raise ValueError(f"write a duration as '90d', '12h', '30m' or 'P90D', not {value!r}")
    parts = re.findall(r"([0-9]+)([wdhms])", value)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta(0))
    except OverflowError as error:
        raise ValueError(f"{value!r} is longer than there are years") from error


def _by_name(kind: type[Enum]) -> BeforeValidator:
    """Take the members of an enumeration by their names, in small letters, too."""
    members = {name.lower(): member for name, member in kind.__members__.items()}
    return BeforeValidator(
        lambda value: members.get(value, value) if isinstance(value, str) else value
    )


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Network = IPv4Network | IPv6Network
_STRICT = ConfigDict(frozen=True, extra="forbid")


class NameRulesConfig(BaseModel):
    """The fields of `NameRules`."""

    model_config = _STRICT

    allowed_suffixes: tuple[str, ...] = ()
    denied_suffixes: tuple[str, ...] = ()
    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    allow_wildcards: bool = True
    allow_reserved: bool = True

    def model_post_init(self, _context: object) -> None:
        """Check the rules."""
        _ = self.rules

    @property
    def rules(self) -> NameRules:
        """What the domain goes by."""
        return NameRules(**dict(self))


class URLsConfig(BaseModel):
    """The fields of `PublicationURLs`; `{issuer_id}` in them stands for the issuer's id."""

    model_config = _STRICT

    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    delta: tuple[str, ...] = ()
    crl_shards: int = 1

    def model_post_init(self, _context: object) -> None:
        """Check the URLs."""
        _ = self.urls

    @property
    def urls(self) -> PublicationURLs:
        """What the domain goes by."""
        return PublicationURLs(**dict(self))


class ProfileConfig(BaseModel):
    """The fields of a `Profile`; one that is left out is as in *base*, or else as in `Profile`.

    Durations are `90d`, `12h`, `1h30m`, or ISO 8601.  Key purposes are object identifiers, or
    `server_auth` and the other names of `ExtendedKeyUsage`.  A *default_validity* that is left
    out is no longer than *max_validity*.  Raises `pydantic.ValidationError`.
    """

    model_config = _STRICT

    base: str | None = None
    """The name of another profile, one's own or built in; one's own name: the built-in one."""
    cert_type: Annotated[CertType, _by_name(CertType)] = CertType.SERVICE
    key_algorithms: tuple[KeyAlgorithm, ...] = ()
    min_rsa_bits: int = 0
    default_validity: Duration = timedelta(0)
    max_validity: Duration = timedelta(0)
    backdate: Duration = timedelta(0)
    key_usage: frozenset[Annotated[KeyUsage, _by_name(KeyUsage)]] = frozenset()
    extended_key_usage: tuple[Annotated[str, _by_name(ExtendedKeyUsage)], ...] = ()
    is_extended_key_usage_critical: bool = False
    policies: tuple[str, ...] = ()
    required_subject: frozenset[str] = frozenset()
    fixed_subject: dict[str, str] = {}
    subject_from_csr: frozenset[str] = frozenset()
    unplanned_requests: UnplannedRequests = UnplannedRequests.IGNORE
    san_kinds: frozenset[GeneralNameKind] = frozenset()
    is_san_required: bool = False
    names: NameRulesConfig = NameRulesConfig()
    urls: URLsConfig = URLsConfig()
    claims_name: bool = True
    is_ca: bool = False
    path_length: int = 0
    no_rev_avail: bool = False
    ocsp_no_check: bool = False

    def to_profile(self, name: str, base: Profile) -> Profile:
        """Give the profile *name*: *base* with what was said here.  Raises `InvalidRequest`."""
        said: dict[str, Any] = {field: getattr(self, field) for field in self.model_fields_set}
        said.pop("base", None)
        if "names" in said:
            said["names"] = self.names.rules
        if "urls" in said:
            said["urls"] = self.urls.urls
        if "max_validity" in said and "default_validity" not in said:
            said["default_validity"] = min(base.default_validity, self.max_validity)
        return replace(base, name=name, **said)


def profiles_of(configs: Mapping[str, ProfileConfig]) -> tuple[Profile, ...]:
    """Give the profiles of a settings file, by name.

    Raises `InvalidRequest` that names the profile: for one that contradicts itself, that has
    an unknown base, or that is, over others, its own base.
    """
    made: dict[str, Profile] = {}

    def make(name: str, above: tuple[str, ...]) -> Profile:
        if name in above:
            raise InvalidRequest(f"The profile {name!r} is its own base, over {', '.join(above)}.")
        if name not in made:
            made[name] = configs[name].to_profile(name, base_of(name, (*above, name)))
        return made[name]

    def base_of(name: str, above: tuple[str, ...]) -> Profile:
        base = configs[name].base
        if base is None:
            return Profile(name=name)
        if base in configs and base != name:
            return make(base, above)
        if base not in BUILT_IN_PROFILES:
            known = ", ".join(sorted(BUILT_IN_PROFILES.keys() | configs.keys() - {name}))
            raise InvalidRequest(
                f"The profile {name!r} has an unknown base {base!r}; there are: {known}."
            )
        return BUILT_IN_PROFILES[base]

    return tuple(make(name, ()) for name in configs)
