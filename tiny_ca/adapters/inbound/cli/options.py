"""The options that every command takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

__all__ = ["CHANGE", "COMMON", "Change", "Common"]

_GROUP = Group("Every command", sort_key=100)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class Common:
    """What a command reads, and how it tells of it."""

    folder: Annotated[
        Path | None,
        Parameter(
            name=("--folder", "-C"),
            help="Folder of the CA. Otherwise TINY_CA_BASE_FOLDER, or the one that is here.",
        ),
    ] = None
    config: Annotated[
        Path | None,
        Parameter(help="TOML file of settings. Otherwise FOLDER/tiny-ca.toml, if there is one."),
    ] = None
    ca: Annotated[
        str | None,
        Parameter(
            help="Common name, or serial number, of the CA that is meant, if there are several."
        ),
    ] = None
    passphrase_file: Annotated[
        Path | None,
        Parameter(
            help="File with the passphrase of private keys. Otherwise TINY_CA_KEY_PASSPHRASE."
        ),
    ] = None
    ask_passphrase: Annotated[
        bool, Parameter(help="Ask for the passphrase of private keys on the terminal.")
    ] = False
    json: Annotated[bool, Parameter(help="Print JSON; serial numbers are hex strings.")] = False
    debug: Annotated[bool, Parameter(help="Log everything, and show where an error is.")] = False


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class Change(Common):
    """What a command that changes something takes besides."""

    dry_run: Annotated[
        bool, Parameter(help="Say what would be done, and what is in its way; do nothing.")
    ] = False


COMMON = Common()
CHANGE = Change()
