"""Copy everything that a certificate authority is into one archive."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from tiny_ca.application.archive_format import (
    CERTIFICATES,
    CRLS,
    FOLDERS,
    MANIFEST,
    REGISTRY,
    REVOKED,
    Tally,
    dump_manifest,
    dump_revoked,
    dump_rows,
    load_rows,
)
from tiny_ca.application.progress import counted
from tiny_ca.application.services import Services
from tiny_ca.domain.backup import FORMAT, BackupManifest, Row
from tiny_ca.domain.errors import BackupError, UnsafePath
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.names import path_segment
from tiny_ca.domain.records import CertificateStatus, CRLEntry, Location
from tiny_ca.ports.archive import Archives, ArchiveWriter
from tiny_ca.ports.backup import BackupRegistry, BackupStorage
from tiny_ca.ports.progress import Progress

__all__ = ["backup", "backup_ports"]


def backup_ports(services: Services) -> tuple[BackupRegistry, BackupStorage]:
    """Give registry and storage, if they can be copied.  Raises `BackupError`."""
    registry, storage = services.registry, services.storage
    if not isinstance(registry, BackupRegistry):
        raise BackupError(
            f"A {type(registry).__name__} is no BackupRegistry: copy it by its own means."
        )
    if not isinstance(storage, BackupStorage):
        raise BackupError(
            f"A {type(storage).__name__} is no BackupStorage: copy it by its own means."
        )
    return registry, storage


def backup(
    services: Services,
    archives: Archives,
    path: Path,
    *,
    version: str,
    is_overwrite: bool = False,
    progress: Progress | None = None,
) -> BackupManifest:
    """Write registry, folders and CRLs to *path*, while others go on issuing.

    The registry is that of one moment.  Every certificate that was valid then has its files
    in the archive; one that was overwritten since, files and all, is in it as revoked.
    """
    registry, storage = backup_ports(services)
    created_at = utc_seconds(services.clock.now())
    with archives.create(path, is_overwrite=is_overwrite) as archive:
        writing = _Writing(archive)
        registry.export_rows(writing.add_rows)
        without_files = _add_folders(services, storage, writing, progress)
        for name, data in storage.export_crls():
            writing.add(f"{CRLS}/{name}", data)
        manifest = BackupManifest(
            format=FORMAT,
            tiny_ca=version,
            revision=registry.revision,
            created_at=created_at,
            without_files=without_files,
            parts=writing.tally.parts(),
        )
        archive.add(MANIFEST, dump_manifest(manifest))
    return manifest


class _Writing:
    def __init__(self, archive: ArchiveWriter) -> None:
        self._archive = archive
        self._pages = 0
        self.tally = Tally()

    def add(self, name: str, data: bytes, items: int = 1) -> None:
        self._archive.add(name, data)
        self.tally.add(name, data, items)

    def add_rows(self, table: str, rows: Sequence[Row]) -> None:
        self._pages += 1
        name = f"{REGISTRY}/{table}/{self._pages:08}.jsonl"
        self.add(name, dump_rows(rows), len(rows))

    def certificates(self) -> Iterator[Row]:
        for data in self._archive.members(CERTIFICATES):
            yield from load_rows(data)


def _add_folders(
    services: Services, storage: BackupStorage, writing: _Writing, progress: Progress | None
) -> int:
    """Add the files of every certificate; give how many valid ones have none."""
    without_files = 0
    revoked: list[Row] = []
    for row in counted(writing.certificates(), progress, writing.tally.items(CERTIFICATES)):
        if row["uuid"] is None or row["certificate_pem"] is None:
            continue
        serial_number = int(cast("str", row["serial_number"]))
        location = _location(services, row)
        files = None if location is None else storage.export_folder(location, serial_number)
        if location is not None and files is not None:
            _add_files(writing, location, files)
        elif row["status"] == CertificateStatus.VALID.value:
            since = _revoked_since(services, str(row["issuer_id"]), serial_number)
            if since is None:
                without_files += 1
            else:
                revoked.append(dump_revoked(str(row["issuer_id"]), since))
    if revoked:
        writing.add(REVOKED, dump_rows(revoked), len(revoked))
    return without_files


def _location(services: Services, row: Row) -> Location | None:
    """Give where the files are; tiny_ca 0.1 recorded neither folder nor file name."""
    uuid, folder = str(row["uuid"]), row["cert_path"]
    try:
        if row["file_name"] is None:
            folder = services.storage.find_folder(uuid)
        return Location(uuid, str(row["file_name"] or uuid), cast("str | None", folder))
    except UnsafePath:
        # It took any path for a uuid; what lies there is not ours to copy.
        return None


def _add_files(writing: _Writing, location: Location, files: Mapping[str, bytes]) -> None:
    folder = "/".join(filter(None, (FOLDERS, location.folder, location.uuid)))
    for name in sorted(files):
        # What no restore could write was put there by somebody else.
        with suppress(UnsafePath):
            writing.add(f"{folder}/{path_segment(name)}", files[name])


def _revoked_since(services: Services, issuer_id: str, serial_number: int) -> CRLEntry | None:
    """Give the revocation of a certificate whose files are gone, if that is why."""
    record = services.registry.get_by_serial(serial_number, issuer_id)
    if record is None or record.revocation is None:
        return None
    revocation = record.revocation
    return CRLEntry(serial_number, revocation.revocation_date, revocation.reason)
