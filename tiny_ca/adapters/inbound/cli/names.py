"""What is asked for on the command line, as requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from tiny_ca.domain.errors import InvalidName, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName
from tiny_ca.domain.names import GeneralNameKind

if TYPE_CHECKING:
    from tiny_ca.application.requests import ClientConfig
    from tiny_ca.domain.profiles import Profile
    from tiny_ca.settings import Settings

__all__ = ["NOTHING_MORE", "Wanted", "config_of"]

_GROUP = Group("Certificate", sort_key=10)
_USUAL_KEY = KeyAlgorithm.P256


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a certificate is to be, besides its names."""

    profile: Annotated[
        str,
        Parameter(name=("--profile", "-p"), help="Its kind: see `tiny-ca profile list`."),
    ] = "server"
    days: Annotated[int | None, Parameter(help="Its validity. Otherwise the profile's.")] = None
    key: Annotated[
        KeyAlgorithmName | None,
        Parameter(help="p-256, unless the profile wants another one."),
    ] = None
    key_size: Annotated[int | None, Parameter(help="Bits of an RSA key.")] = None
    organization: str | None = None
    organizational_unit: str | None = None
    country: str | None = None
    state: str | None = None
    locality: str | None = None


NOTHING_MORE = Wanted()


def config_of(
    settings: "Settings", names: Sequence[str], wanted: Wanted = NOTHING_MORE
) -> "ClientConfig":
    """Give the request for *names*, the first of which is the common name.

    DNS names, addresses, mailboxes and URIs are told apart.  Raises `InvalidRequest`.
    """
    from tiny_ca.application.requests import ClientConfig
    from tiny_ca.domain.built_in_profiles import all_profiles

    if not names:
        raise InvalidRequest("Name what the certificate is for, such as localhost 127.0.0.1.")
    profile = all_profiles(settings.own_profiles).get(wanted.profile)
    said: dict[str, Any] = {
        "days_valid": wanted.days,
        "key_algorithm": wanted.key or _usual_key(profile),
        "key_size": wanted.key_size,
        "organization": wanted.organization,
        "organizational_unit": wanted.organizational_unit,
        "country": wanted.country,
        "state": wanted.state,
        "locality": wanted.locality,
    }
    for kind, value in _alternatives(names, profile):
        said.setdefault(f"san_{kind.value}", []).append(value)
    given = {field: value for field, value in said.items() if value is not None}
    return ClientConfig(common_name=names[0], profile=wanted.profile, **given)


def _usual_key(profile: "Profile | None") -> KeyAlgorithm | None:
    is_allowed = profile is not None and _USUAL_KEY in profile.key_algorithms
    return _USUAL_KEY if is_allowed else None


def _alternatives(
    names: Sequence[str], profile: "Profile | None"
) -> Iterator[tuple[GeneralNameKind, str]]:
    """Give the alternative names: all, but for a common name that may be any text.

    A host that is the common name is one where the profile says that there has to be one.
    """
    from tiny_ca.application.guess import guessed

    needs_host = (
        profile is not None and profile.is_san_required and GeneralNameKind.DNS in profile.san_kinds
    )
    for place, name in enumerate(names):
        try:
            kind = guessed(name)
        except InvalidName:
            if place > 0 or needs_host:
                raise
            continue
        if place > 0 or needs_host or kind.kind is not GeneralNameKind.DNS:
            yield kind.kind, kind.value
