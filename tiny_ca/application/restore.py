"""Make a certificate authority again from a backup, and from every CRL that is newer."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from tiny_ca.application.archive_format import (
    CRLS,
    FOLDERS,
    MANIFEST,
    REGISTRY,
    REVOKED,
    Tally,
    check_name,
    load_manifest,
    load_revoked,
    load_rows,
)
from tiny_ca.application.backup import backup_ports
from tiny_ca.application.corrections import CERTIFICATES, PUBLISHED, Corrections
from tiny_ca.application.newer_crls import Authority, NewerCRL, newer_crls
from tiny_ca.application.progress import Steps, counted
from tiny_ca.application.services import Services
from tiny_ca.domain.backup import BackupManifest, RestoreReport, crl_numbers_to_skip
from tiny_ca.domain.errors import BackupError, NotEmpty
from tiny_ca.domain.records import CRLEntry
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.archive import ArchiveReader, Archives
from tiny_ca.ports.backup import BackupRegistry, BackupStorage, Restoration
from tiny_ca.ports.issuer import own_issuer_id
from tiny_ca.ports.progress import Progress

__all__ = ["restore"]


@dataclass(slots=True)
class _Content:
    """What of a checked archive fits into memory."""

    manifest: BackupManifest | None = None
    digest: str = ""
    published: dict[str, int] = field(default_factory=dict)
    authorities: list[x509.Certificate] = field(default_factory=list)
    crls: dict[str, bytes] = field(default_factory=dict)
    revoked: dict[tuple[str, int], CRLEntry] = field(default_factory=dict)
    a_certificate: tuple[str, int] | None = None
    """Issuer and serial number of one, which tells the registry of this backup from others."""


def restore(
    services: Services,
    archives: Archives,
    path: Path,
    *,
    crls: Sequence[x509.CertificateRevocationList] = (),
    authorities: Sequence[x509.Certificate] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RestoreReport:
    """Restore the archive at *path* into an empty registry and storage.

    The rows come in one transaction, after every file is there to be published by renaming.
    When the process dies after it, another call with the same arguments goes on.  *crls*, the
    CRLs that lie in the storage, and the archive's own are obeyed as far as they are newer
    than its rows; *authorities* are CAs of theirs that the registry does not have.  With
    *dry_run* everything is read and checked, and nothing is written.
    """
    registry, storage = backup_ports(services)
    with archives.open(path) as archive:
        content, manifest = _checked(archive, progress)
        _check_revision(registry, manifest)
        there = dict(storage.export_crls())
        outside = [*crls, *map(_parse_crl, there.values())]
        known = _authorities(content, authorities)
        newer = newer_crls([*outside, *map(_parse_crl, content.crls.values())], known)
        skip = crl_numbers_to_skip(manifest.created_at, services.clock.now())
        plan = _Plan(archive, content, newer, skip)
        plan.steps = Steps(progress, sum(part.members for part in manifest.parts))
        with_crls = {
            name: data for name, data in content.crls.items() if _is_later(data, there.get(name))
        }
        if dry_run:
            _rehearse(registry, storage, plan)
        else:
            _carry_out(services, registry, storage, plan, with_crls)
    return RestoreReport(manifest, tuple(plan.corrections.revoked_again), dry_run)


def _check_revision(registry: BackupRegistry, manifest: BackupManifest) -> None:
    if None not in (registry.revision, manifest.revision) and (
        registry.revision != manifest.revision
    ):
        raise BackupError(
            f"The backup has schema {manifest.revision}, the registry {registry.revision}: "
            f"restore it with tiny-ca {manifest.tiny_ca}, then open it with this version."
        )


class _Plan:
    """An archive, and what becomes of its rows."""

    def __init__(
        self,
        archive: ArchiveReader,
        content: _Content,
        newer: dict[str, list[NewerCRL]],
        skip: int,
    ) -> None:
        self.archive = archive
        self.content = content
        self.steps = Steps(None)
        self.corrections = Corrections(newer, content.revoked, skip)
        ours = [_parse_crl(data) for data in content.crls.values()]
        of_others = [
            hashlib.sha256(one.crl.tbs_certlist_bytes).hexdigest()
            for crls in newer.values()
            for one in crls
            if one.crl not in ours
        ]
        named = "".join([content.digest, *sorted(of_others)])
        self.name = hashlib.sha256(named.encode()).hexdigest()[:32]
        """The same for the same archive and CRLs."""

    def pages(self) -> Iterator[tuple[str, Any]]:
        """Give the rows to restore; once."""
        return self.corrections.apply(self._rows())

    def _rows(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for name, data in self.archive.members():
            if name.startswith(f"{REGISTRY}/"):
                yield name.split("/")[1], load_rows(data)
                self.steps.add()


def _rehearse(registry: BackupRegistry, storage: BackupStorage, plan: _Plan) -> None:
    registry.check_empty()
    storage.check_empty()
    for _ in plan.pages():
        # What would be corrected is remembered.
        pass


def _carry_out(
    services: Services,
    registry: BackupRegistry,
    storage: BackupStorage,
    plan: _Plan,
    crls: dict[str, bytes],
) -> None:
    if not _is_imported(services, plan.content):
        registry.check_empty()
    with storage.restoration(plan.name) as files:
        # Asked again: whoever had the storage before us may have died in the middle.
        is_imported = _is_imported(services, plan.content)
        if is_imported and not files.is_ready:
            raise NotEmpty("The registry holds this backup already: nothing was restored.")
        if is_imported:
            for _ in plan.pages():
                # Only what would have been corrected is asked for.
                pass
        else:
            storage.check_empty()
            _stage(plan, files, crls)
            try:
                registry.import_rows(plan.pages())
            except (BackupError, NotEmpty):
                # After another error the rows may be there, and want their files.
                files.discard()
                raise
        files.publish()


def _stage(plan: _Plan, files: Restoration, crls: dict[str, bytes]) -> None:
    try:
        for name, data in plan.archive.members():
            part, _, rest = name.partition("/")
            if part == FOLDERS or (part == CRLS and rest in crls):
                files.add(rest, data)
            if part != REGISTRY and name != MANIFEST:
                plan.steps.add()
        files.make_ready()
    except BaseException:
        files.discard()
        raise


def _is_imported(services: Services, content: _Content) -> bool:
    if content.a_certificate is None:
        return False
    issuer_id, serial_number = content.a_certificate
    return services.registry.get_by_serial(serial_number, issuer_id) is not None


def _checked(archive: ArchiveReader, progress: Progress | None) -> tuple[_Content, BackupManifest]:
    """Read an archive from end to end.  Raises `BackupError` unless all is as it was written."""
    tally, content = Tally(), _Content()
    for name, data in counted(archive.members(), progress):
        if content.manifest is not None:
            raise BackupError(f"The archive goes on after its manifest, with {name!r}.")
        check_name(name)
        if name == MANIFEST:
            content.manifest = load_manifest(data)
            content.digest = hashlib.sha256(data).hexdigest()
        else:
            rows = name.startswith(REGISTRY) or name == REVOKED
            tally.add(name, data, data.count(b"\n") if rows else 1)
            _note(content, name, data)
    if content.manifest is None:
        raise BackupError("The archive has no manifest: it is cut off, or no backup.")
    found, expected = set(tally.parts()), set(content.manifest.parts)
    if found != expected:
        names = ", ".join(sorted({part.name for part in found ^ expected}))
        raise BackupError(f"The archive was changed since it was written, in {names}.")
    return content, content.manifest


def _note(content: _Content, name: str, data: bytes) -> None:
    if name == REVOKED:
        for issuer_id, entry in load_revoked(data):
            content.revoked[issuer_id, entry.serial_number] = entry
    elif name.startswith(f"{CRLS}/"):
        content.crls[name.removeprefix(f"{CRLS}/")] = data
    elif name.startswith(REGISTRY):
        try:
            _note_rows(content, name.split("/")[1], load_rows(data))
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"The archive's {name} can't be read: {error!r}") from error


def _note_rows(content: _Content, table: str, rows: list[dict[str, Any]]) -> None:
    if table == PUBLISHED:
        for row in rows:
            known = content.published.get(row["issuer_id"], 0)
            content.published[row["issuer_id"]] = max(known, row["number"])
    if table == CERTIFICATES:
        if content.a_certificate is None and rows:
            content.a_certificate = rows[0]["issuer_id"], int(rows[0]["serial_number"])
        content.authorities += [
            x509.load_pem_x509_certificate(row["certificate_pem"].encode())
            for row in rows
            if row["cert_type"] == CertType.CA.value and row["certificate_pem"]
        ]


def _authorities(content: _Content, others: Sequence[x509.Certificate]) -> dict[str, Authority]:
    found: Iterable[tuple[str, x509.Certificate]] = (
        (own_issuer_id(one), one) for one in (*others, *content.authorities)
    )
    return {
        issuer_id: Authority(one, content.published.get(issuer_id, 0)) for issuer_id, one in found
    }


def _parse_crl(data: bytes) -> x509.CertificateRevocationList:
    try:
        if data.startswith(b"-----"):
            return x509.load_pem_x509_crl(data)
        return x509.load_der_x509_crl(data)
    except ValueError as error:
        raise BackupError(f"A CRL can't be read: {error}") from error


def _is_later(data: bytes, there: bytes | None) -> bool:
    """Whether a CRL takes the place of the one that is *there*."""
    return there is None or _age(_parse_crl(data)) > _age(_parse_crl(there))


def _age(crl: x509.CertificateRevocationList) -> tuple[Any, int]:
    try:
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = 0
    return crl.last_update_utc, number
