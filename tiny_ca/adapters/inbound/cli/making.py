"""`tiny-ca init`."""

from dataclasses import replace
from errno import ENOTDIR
from os import strerror
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.issuers import issuer_of
from tiny_ca.adapters.inbound.cli.issuing import issue_for, tell_issued
from tiny_ca.adapters.inbound.cli.live import check_live, told_of
from tiny_ca.adapters.inbound.cli.names import config_of
from tiny_ca.adapters.inbound.cli.opening import Opened, is_made, making, settings_for_new
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.errors import InvalidRequest, NotUniqueCertOwner
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName
from tiny_ca.domain.records import CertificateRecord

if TYPE_CHECKING:
    from tiny_ca.application.requests import CAConfig, ClientConfig
    from tiny_ca.settings import Settings

__all__ = ["init"]

_FOLDER = "ca"


def init(
    target: Annotated[
        Path | None, Parameter(name="FOLDER", help="Where the CA is made: my-pki.")
    ] = None,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Common name of the CA.")] = None,
    organization: str | None = None,
    country: Annotated[str | None, Parameter(help="Two capital letters of ISO 3166-1.")] = None,
    key: Annotated[KeyAlgorithmName | None, Parameter(help="Of the CA; p-256 by default.")] = None,
    days: Annotated[int | None, Parameter(help="Validity of the CA; 3650 by default.")] = None,
    issue: Annotated[
        tuple[str, ...],
        Parameter(consume_multiple=True, help="Issue a server's certificate for these, too."),
    ] = (),
    common: Change = CHANGE,
) -> None:
    """Make a CA in a folder.

    A CA that is there already is left as it is, and so is its active certificate of the first
    name of --issue: repeating this changes nothing.

    For example:

        tiny-ca init my-pki --issue localhost 127.0.0.1
    """
    if target is not None and common.folder not in {None, target}:
        raise InvalidRequest("FOLDER and -C name two folders: give one of them.")
    common = replace(common, folder=target or common.folder)
    settings = settings_for_new(common, is_new=True)
    config = _config(settings, common, name, organization, country, key, days)
    wanted = config_of(settings, issue) if issue else None
    out = Output(common)
    if common.dry_run and not is_made(settings):
        _tell_planned(settings, config, wanted, out)
        return
    with making(settings, common) as ca:
        told = _made(ca, config, is_named=name is not None)
        if wanted is not None:
            there = ca.manager.find_certificate(wanted.common_name)
            issued = _told_again(ca, there) if there else issue_for(ca, wanted)
            told["issued"] = {**issued, "made": there is None}
    if not out.document(told):
        _tell(told, settings, out)


def _tell_planned(
    settings: "Settings", config: "CAConfig", wanted: "ClientConfig | None", out: Output
) -> None:
    """Tell of what would be made where nothing is yet.  Raises `NotADirectoryError`."""
    folder = settings.base_folder
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(ENOTDIR, strerror(ENOTDIR), str(folder))
    issue = None if wanted is None else wanted.common_name
    told = {
        "dry_run": True,
        "folder": folder,
        "common_name": config.common_name,
        "issue": issue,
    }
    if not out.document(told):
        out.line(f"Would make the CA {config.common_name!r} in {folder}.")
        if issue is not None:
            out.line(f"Would issue {issue}.")


def _told_again(ca: Opened, record: CertificateRecord) -> dict[str, Any]:
    from cryptography import x509

    if record.certificate_pem is None:
        raise NotUniqueCertOwner(record.common_name)
    check_live(ca, record.common_name)
    return told_of(ca, x509.load_pem_x509_certificate(record.certificate_pem.encode()))


def _config(
    settings: "Settings",
    common: Change,
    name: str | None,
    organization: str | None,
    country: str | None,
    key: KeyAlgorithmName | None,
    days: int | None,
) -> "CAConfig":
    from tiny_ca.application.requests import CAConfig

    usual_name = f"{settings.base_folder.resolve().name} CA"
    # What the settings say; their own default, RSA, is for those who open a CA in code.
    chosen = settings.key_algorithm if "key_algorithm" in settings.model_fields_set else None
    return CAConfig(
        common_name=name or common.ca or settings.common_name or usual_name,
        organization=organization or settings.organization,
        country=country or settings.country,
        key_algorithm=key or chosen or KeyAlgorithm.P256,
        key_size=settings.key_size,
        days_valid=settings.days_valid if days is None else days,
    )


def _made(ca: Opened, config: "CAConfig", *, is_named: bool) -> dict[str, Any]:
    """Make the CA, or open the one that is there."""
    valid = ca.manager.list_certificates(status="valid", key_type="ca")
    names = {record.common_name for record in valid}
    if is_named and names and config.common_name not in names:
        raise InvalidRequest(
            f"{ca.settings.base_folder} has the CA {', '.join(sorted(names))}: "
            "`tiny-ca ca intermediate` makes one below it, another folder takes another root."
        )
    if valid:
        ca.manager.open_ca(config.common_name if config.common_name in names else None)
    else:
        uuid = None if (ca.settings.base_folder / _FOLDER).exists() else _FOLDER
        with working("Making the CA's key"):
            ca.manager.create_self_signed_ca(config, uuid_str=uuid)
    return _told(ca, is_new=not valid)


def _told(ca: Opened, *, is_new: bool) -> dict[str, Any]:
    issuer = issuer_of(ca.manager)
    record = ca.manager.find_certificate(issuer.certificate.serial_number)
    return {
        "folder": ca.settings.base_folder,
        "made": is_new,
        "common_name": None if record is None else record.common_name,
        "serial": hex_of(issuer.certificate.serial_number),
        "not_after": issuer.certificate.not_valid_after_utc,
        "files": {} if record is None else ca.files_of(record),
    }


def _tell(told: dict[str, Any], settings: "Settings", out: Output) -> None:
    what = "Made the CA" if told["made"] else "There is the CA"
    out.line(f"{what} {told['common_name']}, until {day(told['not_after'])}", "green")
    out.fields(
        [
            ("serial", told["serial"]),
            ("certificate", told["files"].get("pem")),
            ("key", told["files"].get("key")),
        ]
    )
    if "issued" in told:
        tell_issued(told["issued"], out, "Issued" if told["issued"]["made"] else "There is")
    else:
        out.line("")
        out.line(f"next     tiny-ca issue localhost 127.0.0.1 -C {settings.base_folder}")
