"""`tiny-ca profile`."""

from dataclasses import asdict, is_dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from tiny_ca.adapters.inbound.cli.opening import settings_for_new
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output, period
from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES, all_profiles
from tiny_ca.domain.errors import CertNotFound, NotExistCertFile
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.domain.profiles import Profile

__all__ = ["app"]

app = App(name="profile", help="Kinds of certificates: list, show, check.")
_PURPOSES = {each.value: each.name.lower() for each in ExtendedKeyUsage}


@app.command(name="list")
def list_profiles(*, common: Common = COMMON) -> None:
    """List the kinds of certificates that there are.

    For example:

        tiny-ca profile list
    """
    out = Output(common)
    profiles = _profiles(common)
    told = [_told(each) for each in profiles.values()]
    if not out.document(told):
        out.table(
            ("NAME", "USUALLY", "AT MOST", "PURPOSES", "FROM"),
            [
                (
                    each.name,
                    period(each.default_validity),
                    period(each.max_validity),
                    ", ".join(_PURPOSES.get(oid, oid) for oid in each.extended_key_usage),
                    "built in" if BUILT_IN_PROFILES.get(each.name) == each else "settings",
                )
                for each in profiles.values()
            ],
        )


@app.command
def show(name: Annotated[str, Parameter(name="NAME")], /, *, common: Common = COMMON) -> None:
    """Show what a profile says.

    For example:

        tiny-ca profile show server
    """
    profile = _profiles(common).get(name)
    if profile is None:
        known = ", ".join(sorted(_profiles(common)))
        raise CertNotFound(f"There is no profile {name!r}; there are {known}.")
    out, told = Output(common), _told(profile)
    if not out.document(told):
        out.line(name, "bold")
        out.fields((field.replace("_", " "), _text(value)) for field, value in told.items())


@app.command
def check(
    file: Annotated[Path, Parameter(name="FILE", help="TOML file of settings.")],
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Check the profiles, and the other settings, of a TOML file.

    For example:

        tiny-ca profile check tiny-ca.toml
    """
    from tiny_ca.settings import Settings

    if not file.is_file():
        raise NotExistCertFile(file)
    names = [each.name for each in Settings(config_file=file).own_profiles]
    out = Output(common)
    if not out.document({"file": file, "profiles": names}):
        out.line(f"{file} is right; its profiles: {', '.join(names) or 'none'}.", "green")


def _profiles(common: Common) -> dict[str, Profile]:
    """Give the profiles by name; without a CA, those of the settings all the same."""
    settings = settings_for_new(common, Path())
    return dict(sorted(all_profiles(settings.own_profiles).items()))


def _told(profile: Profile) -> dict[str, Any]:
    told = {name: getattr(profile, name) for name in profile.__dataclass_fields__}
    told["fixed_subject"] = dict(profile.fixed_subject)
    told["san_kinds"] = {each.value for each in profile.san_kinds}
    told["extended_key_usage"] = [_PURPOSES.get(each, each) for each in profile.extended_key_usage]
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in told.items()
    }


def _text(value: Any) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_text(each)}" for name, each in value.items() if each)
    if isinstance(value, (set, frozenset, list, tuple)):
        return ", ".join(sorted(str(_text(each)) for each in value))
    if isinstance(value, timedelta):
        return period(value)
    return value.value if isinstance(value, Enum) else value
