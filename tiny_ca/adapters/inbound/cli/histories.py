"""`tiny-ca ca import-history`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import making, settings_for_new
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.adapters.inbound.cli.passphrases import password_of
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.errors import InvalidRequest, NotExistCertFile

if TYPE_CHECKING:
    from tiny_ca.application.import_history import HistoryImport
    from tiny_ca.lifecycle import CertLifecycleManager
    from tiny_ca.ports.history import HistorySource

__all__ = ["import_history"]

_Kind = Literal["openssl", "easy-rsa", "tiny-ca"]


def import_history(
    place: Annotated[
        Path,
        Parameter(
            name="PLACE", help="Folder of `openssl ca` or easy-rsa; SQLite file of an old tiny_ca."
        ),
    ],
    /,
    *,
    kind: Annotated[
        _Kind | None, Parameter(help="Whose it is; otherwise what it looks like.")
    ] = None,
    files: Annotated[
        Path | None, Parameter(help="Folder of the files that belong to an old registry.")
    ] = None,
    without_key: Annotated[bool, Parameter(help="The CA's key stays where it is.")] = False,
    password_file: Annotated[
        Path | None, Parameter(help="File with the passphrase that the old keys have.")
    ] = None,
    ask_password: Annotated[
        bool, Parameter(help="Ask for the passphrase that the old keys have.")
    ] = False,
    common: Change = CHANGE,
) -> None:
    """Take over a CA with all that it has issued and revoked.

    From `openssl ca`, easy-rsa, or a registry of tiny_ca 0.1 or 0.2. Everything is checked before
    anything is written, and PLACE is only read. Again, it adds what is new. A folder without a
    registry gets one.

    For example:

        tiny-ca ca import-history demoCA --dry-run
        tiny-ca ca import-history easy-rsa/pki --ask-password
        tiny-ca ca import-history ca_repository.db --files certs
    """
    password = password_of(password_file, is_asked=ask_password)
    source = _source(place, kind, files, password, with_key=not without_key)
    with _manager(common) as manager, working("Taking over") as progress:
        report = manager.import_history(source, dry_run=common.dry_run, progress=progress)
    _tell(report, Output(common))


@contextmanager
def _manager(common: Change) -> Iterator["CertLifecycleManager"]:
    """Open the CA; a dry run where there is no registry is held against an empty one."""
    from tiny_ca.adapters.outbound.memory import MemoryRegistry, MemoryStorage
    from tiny_ca.lifecycle import CertLifecycleManager

    settings = settings_for_new(common)
    is_there = settings.db_url is not None or (settings.base_folder / "registry.db").is_file()
    if common.dry_run and not is_there:
        yield CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        return
    with making(settings, common) as ca:
        yield ca.manager


def _source(
    place: Path,
    kind: _Kind | None,
    files: Path | None,
    password: bytes | None,
    *,
    with_key: bool,
) -> "HistorySource":
    from tiny_ca.adapters.outbound.history import EasyRSAFolder, OldRegistry, OpenSSLFolder

    if not place.exists():
        raise NotExistCertFile(place)
    chosen = kind or _looks_like(place)
    if files is not None and chosen != "tiny-ca":
        raise InvalidRequest("--files belongs to an old registry of tiny_ca; leave it out.")
    if chosen == "tiny-ca":
        return OldRegistry(f"sqlite:///{place}", files if with_key else None, passphrase=password)
    if chosen == "easy-rsa":
        return EasyRSAFolder(place, passphrase=password, with_ca_key=with_key)
    if with_key:
        return OpenSSLFolder(place, passphrase=password)
    return OpenSSLFolder(place, private_key=None)


def _looks_like(place: Path) -> _Kind:
    if place.is_file():
        return "tiny-ca"
    if (place / "ca.crt").is_file():
        return "easy-rsa"
    if (place / "index.txt").is_file():
        return "openssl"
    raise InvalidRequest(
        f"{place} has neither an index.txt nor a ca.crt: name the folder that has, or say --kind."
    )


def _tell(report: "HistoryImport", out: Output) -> None:
    told: dict[str, Any] = {
        "dry_run": report.is_dry_run,
        "authorities": [
            {"common_name": one.common_name, "has_key": one.has_key, "crl_number": one.crl_number}
            for one in report.authorities
        ],
        "recorded": [hex_of(number) for number in report.recorded],
        "statuses": {status.value: count for status, count in report.statuses.items()},
        "without_certificate": report.without_certificate,
        "known": report.known,
        "remarks": report.remarks,
    }
    if out.document(told):
        return
    verb, style = ("Would import", "") if report.is_dry_run else ("Imported", "green")
    names = ", ".join(one.common_name for one in report.authorities)
    out.line(f"{verb} {len(report.recorded)} certificates of {names}.", style)
    keyless = [one.common_name for one in report.authorities if not one.has_key]
    out.fields(
        [
            *told["statuses"].items(),
            ("only the row", report.without_certificate or None),
            ("known before", report.known or None),
            ("without key", ", ".join(keyless)),
        ]
    )
    for remark in report.remarks:
        out.line(f"  {remark}", "yellow")
