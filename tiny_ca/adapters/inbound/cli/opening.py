"""Find the folder, read the settings, open the CA."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tiny_ca.adapters.inbound.cli.options import Change, Common
from tiny_ca.adapters.inbound.cli.output import Output
from tiny_ca.adapters.inbound.cli.passphrases import passphrase_of
from tiny_ca.adapters.inbound.cli.rehearsed import Rehearsed, tell_rehearsed
from tiny_ca.adapters.inbound.cli.serials import serial_number_of
from tiny_ca.domain.errors import CertNotFound, InvalidRequest

# What opens a CA takes as long to import as all the rest, and is not needed for help.
if TYPE_CHECKING:
    from tiny_ca.container import Container
    from tiny_ca.domain.records import CertificateRecord
    from tiny_ca.lifecycle import CertLifecycleManager
    from tiny_ca.settings import Settings

__all__ = ["Opened", "is_made", "making", "opened", "settings_for_new", "settings_of"]

_REGISTRY, _SETTINGS = "registry.db", "tiny-ca.toml"


class Opened(NamedTuple):
    """A CA that is open, and what it was opened by."""

    manager: "CertLifecycleManager"
    settings: "Settings"
    is_dry_run: bool = False

    def files_of(self, record: "CertificateRecord") -> dict[str, Path]:
        """Give the paths of a certificate's files that are there, by extension."""
        place = record.location
        if place is None:
            return {}
        folder = self.settings.base_folder / (place.folder or "") / place.uuid
        paths = {end: folder / f"{place.file_name}.{end}" for end in ("pem", "key", "csr")}
        return {end: path for end, path in paths.items() if path.is_file()}


def settings_of(
    common: Common, *, default_folder: Path | None = None, is_new: bool = False
) -> "Settings":
    """Give the settings: options, `TINY_CA_*`, a TOML file.

    Without a folder in any of them it is *default_folder*, or the one here that holds a
    registry.  Raises `CertNotFound` when there is none, `InvalidRequest` for several.
    """
    from tiny_ca.settings import Settings

    said: dict[str, Any] = {"base_folder": common.folder, "config_file": common.config}
    given = {name: value for name, value in said.items() if value is not None}
    settings = Settings(**given)
    if "base_folder" not in settings.model_fields_set:
        given["base_folder"] = default_folder or _folder_here(settings)
    beside = Path(given.get("base_folder", settings.base_folder)) / _SETTINGS
    if settings.config_file is None and beside.is_file():
        given["config_file"] = beside
    # Last, since it may be asked for.
    passphrase = passphrase_of(common, is_new=is_new)
    if passphrase is not None:
        given["key_passphrase"] = passphrase
    return Settings(**given)


def settings_for_new(
    common: Common, folder: Path = Path("my-pki"), *, is_new: bool = False
) -> "Settings":
    """Give the settings as `settings_of` does, with *folder* where there is no CA yet."""
    try:
        return settings_of(common, is_new=is_new)
    except CertNotFound:
        return settings_of(common, default_folder=folder, is_new=is_new)


def is_made(settings: "Settings") -> bool:
    """Whether there is a registry; a database that is named may always be one."""
    return settings.db_url is not None or (settings.base_folder / _REGISTRY).is_file()


def _folder_here(settings: "Settings") -> Path:
    if settings.db_url is not None:
        return settings.base_folder
    here = Path()
    # Not somebody else's, as in /tmp.
    found = [
        each
        for each in (here, *sorted(here.iterdir()))
        if each.is_dir() and each.stat().st_uid == os.geteuid() and (each / _REGISTRY).is_file()
    ]
    if not found:
        raise CertNotFound(
            "There is no CA here: make one with `tiny-ca init`, or say where with -C."
        )
    if len(found) > 1:
        raise InvalidRequest(f"Say which CA with -C: here are {', '.join(map(str, found))}.")
    return found[0]


@contextmanager
def opened(common: Common, *, signs: bool = False) -> Iterator[Opened]:
    """Open the CA that is meant; one that *signs* has its key loaded.

    A dry run ends, told of, where the first write would be.  Raises `CertNotFound` when there
    is none: none is made.
    """
    settings = settings_of(common)
    folder = settings.base_folder
    if not is_made(settings):
        raise CertNotFound(
            f"There is no CA in {folder}: make one with `tiny-ca init {folder}`, or say where "
            "with -C."
        )
    with making(settings, common) as ca:
        yield _standing(ca, common.ca or settings.common_name) if signs else ca


@contextmanager
def making(settings: "Settings", common: Common) -> Iterator[Opened]:
    """Open the registry and the storage, which are made if they are not there.

    A dry run ends, told of, where the first write would be.
    """
    from tiny_ca.container import Container

    container = Container(settings=settings)
    try:
        if isinstance(common, Change) and common.dry_run:
            _rehearse(container, settings)
        manager: CertLifecycleManager = container.manager()
        with manager:
            yield Opened(
                manager, settings, is_dry_run=isinstance(common, Change) and common.dry_run
            )
    except Rehearsed as end:
        tell_rehearsed(end, Output(common))
        raise SystemExit(0) from None


def _rehearse(container: "Container", settings: "Settings") -> None:
    if not is_made(settings):
        raise Rehearsed(f"make a registry in {settings.base_folder}")
    from tiny_ca.adapters.inbound.cli.rehearsal import (
        RehearsedRegistry,
        rehearsed_storage,
    )

    container.registry.override(RehearsedRegistry(settings.registry_url))
    container.storage.override(rehearsed_storage(settings))


def _standing(ca: Opened, which: str | None) -> Opened:
    """Let the CA of this common name or serial number sign, or the only one there is."""
    try:
        ca.manager.open_ca(which)
    except CertNotFound as error:
        if which is None:
            raise CertNotFound(str(error).replace("by its common name", "with --ca")) from error
        serial_number = serial_number_of(which)
        if serial_number is None:
            raise
        return ca._replace(manager=ca.manager.under(serial_number))
    return ca
