"""A certificate's files under one name for ever: each version whole, one link to the newest."""

import os
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509

from tiny_ca.adapters.outbound.storage.files import (
    OWNER_ONLY,
    PUBLIC,
    locked,
    make_folders,
    move_into_place,
    remove,
    storage_errors,
    sync_folder,
    write_new,
)
from tiny_ca.adapters.outbound.storage.pem import PEM
from tiny_ca.domain.errors import InvalidRequest, StorageError
from tiny_ca.domain.names import path_segment

__all__ = ["shown_in_live", "write_live"]

_LIVE, _ARCHIVE = "live", "archive"
_BEING_WRITTEN = ".new"
_CERTIFICATES = ("cert.pem", "tls.crt")


def shown_in_live(folder: str | Path, name: str) -> x509.Certificate | None:
    """Give the certificate in `<folder>/live/<name>/`, of either layout; `None`: none is there."""
    for each in _CERTIFICATES:
        try:
            data = (Path(folder) / _LIVE / name / each).read_bytes()
            return x509.load_pem_x509_certificate(data)
        except (OSError, ValueError):
            # Nor is one that can't be read worth keeping.
            continue
    return None


def write_live(
    folder: str | Path, name: str, files: Mapping[str, PEM], *, keep: int | None = None
) -> Path:
    """Write *files* to `archive/<name>/<number>/` and have the link `live/<name>` lead there.

    Durable; one rename of the link switches all of them, and a process that dies leaves it as
    it was.  What it leads to already is not written again.  With *keep*, 1 or more, so many
    versions are left in the archive.  Gives the link.  Raises `UnsafePath` for a *name* that is
    a path, `StorageError`, also when something that is no link has the link's place.
    """
    if keep is not None and keep < 1:
        raise InvalidRequest(f"keep is 1 or more, got {keep}.")
    live, archive = Path(folder) / _LIVE / path_segment(name), Path(folder) / _ARCHIVE / name
    with storage_errors(f"Writing {live}"):
        make_folders(live.parent)
        make_folders(archive)
        with locked(archive):
            if live.exists() and not live.is_symlink():
                raise StorageError(
                    f"{live} is no link of ours: move it away, or choose another name."
                )
            if not _is_written(live, files):
                _switch(live, _new_version(archive, files))
            _prune(archive, live, keep)
    return live


def _is_written(live: Path, files: Mapping[str, PEM]) -> bool:
    found = {path.name: path.read_bytes() for path in live.iterdir()} if live.exists() else {}
    return found == {name: pem.bytes() for name, pem in files.items()}


def _new_version(archive: Path, files: Mapping[str, PEM]) -> Path:
    growing = archive / _BEING_WRITTEN
    # Of a process that died.
    remove(growing)
    growing.mkdir(mode=0o755)
    for name, pem in files.items():
        write_new(growing / name, pem.bytes(), OWNER_ONLY if pem.is_secret else PUBLIC)
    sync_folder(growing)
    version = archive / f"{max(_versions(archive), default=0) + 1:04}"
    move_into_place(growing, version)
    return version


def _switch(live: Path, version: Path) -> None:
    link = live.with_name(f".{live.name}")
    remove(link)
    # Relative, so that the folder can be mounted elsewhere.
    link.symlink_to(Path(os.path.relpath(version, live.parent)))
    move_into_place(link, live)


def _versions(archive: Path) -> dict[int, Path]:
    return {int(path.name): path for path in archive.iterdir() if path.name.isdecimal()}


def _prune(archive: Path, live: Path, keep: int | None) -> None:
    if keep is None:
        return
    versions = _versions(archive)
    for number in sorted(versions)[:-keep]:
        if versions[number].name != live.readlink().name:
            remove(versions[number])
