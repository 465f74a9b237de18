"""The face's methods that copy a whole certificate authority."""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

import tiny_ca
from tiny_ca.adapters.outbound.archive import TarArchives
from tiny_ca.application import backup, restore
from tiny_ca.domain.backup import BackupManifest, RestoreReport
from tiny_ca.domain.errors import DBNotInitedError
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields
from tiny_ca.ports.progress import Progress

__all__ = ["BackingUp"]


class BackingUp(Face):
    """Backup and restore, one call each."""

    def backup(
        self, path: str | Path, *, is_overwrite: bool = False, progress: Progress | None = None
    ) -> BackupManifest:
        """Copy registry, folders and CRLs into one file, while others go on issuing.

        The registry is that of one moment; what is issued later is not in it.  Private keys go
        into it as they are stored: keep the file as you keep them.  *path* is written whole or
        not at all, for the owner only.  *progress* is told how many certificates' files are in
        it.  Raises `FileAlreadyExists` unless *is_overwrite*,
        `DBNotInitedError`, `BackupError` for a registry or storage that can't be copied.
        """
        manifest = backup.backup(
            self._with_registry(),
            TarArchives(),
            Path(path),
            version=tiny_ca.__version__,
            is_overwrite=is_overwrite,
            progress=progress,
        )
        self._logger.info(
            "Backed up %d certificates to %s",
            manifest.certificates,
            path,
            extra=fields("backed_up", count=manifest.certificates, path=str(path)),
        )
        if manifest.without_files:
            self._logger.warning(
                "%d valid certificates have no files in the storage, nor in the backup",
                manifest.without_files,
                extra=fields("backup_without_files", count=manifest.without_files),
            )
        return manifest

    def restore(
        self,
        path: str | Path,
        *,
        crls: Sequence[x509.CertificateRevocationList] = (),
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> RestoreReport:
        """Restore a backup into this manager's registry and storage, both empty.

        What a newer CRL has revoked stays revoked: of *crls*, and of the CRLs that lie in the
        storage already.  The report names what the backup alone would have made valid again,
        or forgotten.  CRL numbers go on above every one that was drawn since the backup.
        Call `open_ca` then.  With *dry_run* all of the archive is read and checked, and nothing
        is written.  *progress* is told of parts of the archive, first as they are checked, then
        as they are restored.

        If the process dies, call it again with the same arguments: it is done whole or not
        begun.  Raises `NotEmpty`, `BackupError` for an archive that is damaged or of another
        version, and for a CRL that no CA of the backup has signed; nothing is restored then.
        """
        if not self._has_registry:
            raise DBNotInitedError
        factory = self._factory
        report = restore.restore(
            self._services,
            TarArchives(),
            Path(path),
            crls=crls,
            authorities=() if factory is None else (factory.certificate,),
            dry_run=dry_run,
            progress=progress,
        )
        if dry_run:
            return report
        for one in report.revoked_again:
            self._logger.warning(
                "%d was %s in the backup, which is older; it stays revoked (%s) since %s",
                one.serial_number,
                one.was.value,
                one.reason.value,
                one.entry.revocation_date.isoformat(),
                extra=fields(
                    "revoked_again", serial_number=one.serial_number, reason=one.reason.value
                ),
            )
        restored = report.manifest.certificates
        self._logger.info(
            "Restored %d certificates", restored, extra=fields("restored", count=restored)
        )
        return report
