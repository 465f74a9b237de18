"""`tiny-ca migrate`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import Opened, making, opened, settings_of
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.domain.errors import NotExistCertFile

__all__ = ["migrate"]


def migrate(
    file: Annotated[
        Path | None,
        Parameter(name="REGISTRY", help="SQLite file; otherwise the registry of the settings."),
    ] = None,
    /,
    *,
    common: Change = CHANGE,
) -> None:
    """Bring a registry of tiny_ca 0.1.1 to this version.

    Opening one does the same. Every row stays; it is one transaction, done whole or not at all.
    --dry-run says whether it would have to be migrated.

    For example:

        tiny-ca migrate ca_repository.db
    """
    out = Output(common)
    if file is None:
        with opened(common) as ca, working("Migrating"):
            told = _told(ca)
    else:
        if not file.is_file():
            raise NotExistCertFile(file)
        folder = common.folder or file.parent
        settings = settings_of(replace(common, folder=folder), default_folder=folder)
        settings = settings.model_copy(update={"db_url": f"sqlite:///{file}"})
        with making(settings, common) as ca, working("Migrating"):
            told = _told(ca)
    if not out.document(told):
        out.line(f"The registry is of this version: {told['certificates']} certificates.", "green")


def _told(ca: Opened) -> dict[str, object]:
    return {
        "registry": ca.settings.registry_url,
        "certificates": sum(1 for _ in ca.manager.iter_certificates()),
    }
