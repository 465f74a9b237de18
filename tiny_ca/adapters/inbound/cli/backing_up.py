"""`tiny-ca backup` and `tiny-ca restore`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import is_made, making, opened, settings_of
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.adapters.inbound.cli.reading import crls_in
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.backup import BackupManifest, RestoreReport
from tiny_ca.domain.errors import BackupError, FileAlreadyExists, NotExistCertFile

if TYPE_CHECKING:
    from tiny_ca.lifecycle import CertLifecycleManager
    from tiny_ca.settings import Settings

__all__ = ["backup", "restore"]


def backup(
    file: Annotated[Path, Parameter(name="FILE", help="Where the copy goes.")],
    /,
    *,
    replace: Annotated[bool, Parameter(help="In place of a file that is there.")] = False,
    common: Change = CHANGE,
) -> None:
    """Copy registry, files and CRLs into one file.

    Others can go on issuing meanwhile. Private keys are in it as they are stored: keep it as
    you keep them.

    For example:

        tiny-ca backup pki-2027-01-31.tar
    """
    out = Output(common)
    with opened(common) as ca:
        if common.dry_run:
            if file.exists() and not replace:
                raise FileAlreadyExists(file)
            count = sum(1 for _ in ca.manager.iter_certificates())
            if not out.document({"dry_run": True, "file": file, "certificates": count}):
                out.line(f"Would write {file}: {count} certificates.")
            return
        with working("Copying") as progress:
            manifest = ca.manager.backup(file, is_overwrite=replace, progress=progress)
    told = _told(manifest, file)
    if not out.document(told):
        out.line(f"Wrote {file}: {manifest.certificates} certificates.", "green")
        out.fields([("without files", manifest.without_files or None)])


def restore(
    file: Annotated[Path, Parameter(name="FILE", help="The backup.")],
    target: Annotated[
        Path | None, Parameter(name="FOLDER", help="Where to; it is empty, or not there.")
    ] = None,
    /,
    *,
    crl: Annotated[
        tuple[str, ...],
        Parameter(help="File of a CRL that is newer than the backup; can be repeated."),
    ] = (),
    common: Change = CHANGE,
) -> None:
    """Restore a backup into an empty folder.

    What the CRLs given, or any that lie in the folder, have revoked stays revoked. --dry-run
    reads and checks the whole archive, and says what would be written.

    For example:

        tiny-ca restore pki-2027-01-31.tar my-pki --crl crl.pem
    """
    if not file.exists():
        raise NotExistCertFile(file)
    newer = [each for name in crl for each in crls_in(name)]
    settings = settings_of(common, default_folder=target or Path("my-pki"))
    if target is not None:
        settings = settings.model_copy(update={"base_folder": target})
    out = Output(common)
    with _place(settings, common) as manager, working("Restoring") as progress:
        report = manager.restore(file, crls=newer, dry_run=common.dry_run, progress=progress)
    _tell(report, file, settings.base_folder, out)


@contextmanager
def _place(settings: "Settings", common: Change) -> Iterator["CertLifecycleManager"]:
    """Open where to restore to; for a dry run, without making anything there."""
    if not common.dry_run:
        with _left_as_it_was(settings), making(settings, common) as ca:
            yield ca.manager
        return
    from tiny_ca.adapters.inbound.cli.rehearsal import empty_registry, rehearsed_storage
    from tiny_ca.lifecycle import CertLifecycleManager

    registry = empty_registry(settings)
    with CertLifecycleManager(rehearsed_storage(settings), db_handler=registry) as manager:
        yield manager


@contextmanager
def _left_as_it_was(settings: "Settings") -> Iterator[None]:
    """Take away the registry that was made for an archive that is then refused."""
    folder = settings.base_folder
    was_there, was_made = folder.exists(), is_made(settings)
    try:
        yield
    except BackupError:
        if not was_made:
            # SQLite's own files: what somebody put aside as registry.db.old stays.
            for suffix in ("", "-wal", "-shm", "-journal"):
                (folder / f"registry.db{suffix}").unlink(missing_ok=True)
        if not was_there:
            with suppress(OSError):
                folder.rmdir()
        raise


def _told(manifest: BackupManifest, file: Path) -> dict[str, Any]:
    return {
        "file": file,
        "certificates": manifest.certificates,
        "without_files": manifest.without_files,
        "created": manifest.created_at,
        "tiny_ca": manifest.tiny_ca,
    }


def _tell(report: RestoreReport, file: Path, folder: Path, out: Output) -> None:
    again = [
        {
            "serial": hex_of(each.serial_number),
            "was": each.was,
            "reason": each.reason,
            "since": each.entry.revocation_date,
        }
        for each in report.revoked_again
    ]
    parts = {part.name: part.items for part in report.manifest.parts}
    told = {**_told(report.manifest, file), "parts": parts, "revoked_again": again}
    if out.document({"dry_run": True, "folder": folder, **told} if report.is_dry_run else told):
        return
    count = report.manifest.certificates
    if report.is_dry_run:
        out.line(f"Would restore {count} certificates into {folder}: all of the archive is whole.")
        out.fields([(name.removeprefix("registry/"), items) for name, items in parts.items()])
    else:
        out.line(f"Restored {count} certificates.", "green")
    for each in report.revoked_again:
        since = day(each.entry.revocation_date)
        out.line(f"  {hex_of(each.serial_number)} stays revoked since {since}: {each.reason.value}")
