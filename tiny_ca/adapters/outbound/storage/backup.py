"""Whole folders, out of a storage and into an empty one."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509

from tiny_ca.adapters.outbound.storage.base import Serializer
from tiny_ca.adapters.outbound.storage.files import (
    OWNER_ONLY,
    PUBLIC,
    locked,
    make_folders,
    move_into_place,
    remove,
    storage_errors,
    sync_tree,
    write_new,
)
from tiny_ca.domain.errors import NotEmpty
from tiny_ca.domain.names import folder_path
from tiny_ca.domain.records import Location

__all__ = ["LocalFolders"]

_STAGING, _RESTORING = ".staging", ".restoring"
_READY = "ready-"


class LocalFolders(ABC):
    """What `LocalStorage` has of `ports.backup.BackupStorage`."""

    _base: Path
    _serializer: Serializer

    @abstractmethod
    def _folder(self, location: Location) -> Path: ...

    @abstractmethod
    def _staged(self, name: str) -> Path: ...

    def export_folder(self, location: Location, serial_number: int) -> dict[str, bytes] | None:
        """Give the files of a certificate by name; `None` if they are gone."""
        published, staged = self._folder(location), self._staged(location.uuid)
        with storage_errors("Copying files"):
            # Published once more: it may have been moved there between the first two looks.
            for folder in (published, staged, published):
                files = _files_in(folder)
                if self._serial_number_of(files) == serial_number:
                    return files
        return None

    def _serial_number_of(self, files: dict[str, bytes]) -> int | None:
        for name, data in files.items():
            if name.endswith(".pem"):
                with suppress(ValueError):
                    certificate: x509.Certificate = self._serializer.parse(data, ".pem")
                    return certificate.serial_number
        return None

    def export_crls(self) -> Iterator[tuple[str, bytes]]:
        """Give every CRL in the base folder."""
        with storage_errors("Copying CRLs"):
            for path in sorted(self._base.glob("[!.]*")):
                if path.suffix in (".pem", ".der") and path.is_file():
                    data = path.read_bytes()
                    if _is_crl(data):
                        yield path.name, data

    def check_empty(self) -> None:
        """Raise `NotEmpty` if there is a folder other than our own, empty ones."""
        with storage_errors("Looking for folders"):
            for path in self._base.glob("*"):
                if path.name == _RESTORING or not (path.is_dir() or path.is_symlink()):
                    # The registry's database may lie here, and CRLs.
                    continue
                if path.name != _STAGING or any(path.iterdir()):
                    raise NotEmpty(f"There is {path}: restore into a folder without any others.")

    @contextmanager
    def restoration(self, name: str) -> Iterator["LocalRestoration"]:
        """Begin or go on with a restoration; the base folder is locked until the end."""
        with storage_errors("Restoring files"):
            make_folders(self._base)
            with locked(self._base):
                yield LocalRestoration(self._base, name)


def _files_in(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder: of that one, though another takes its name meanwhile."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    try:
        entries = [
            entry.name for entry in os.scandir(descriptor) if entry.is_file(follow_symlinks=False)
        ]
        return {name: _read_at(descriptor, name) for name in sorted(entries)}
    except FileNotFoundError:
        # It is being removed.
        return {}
    finally:
        os.close(descriptor)


def _read_at(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _is_crl(data: bytes) -> bool:
    load = x509.load_pem_x509_crl if data.startswith(b"-----") else x509.load_der_x509_crl
    try:
        load(data)
    except ValueError:
        return False
    return True


class LocalRestoration:
    """A tree in `.restoring`, that is renamed when it is whole, and then moved into place."""

    def __init__(self, base: Path, name: str) -> None:
        self._base = base
        self._growing = base / _RESTORING / name
        self._whole = base / _RESTORING / f"{_READY}{name}"
        self._is_begun = False

    @property
    def is_ready(self) -> bool:
        """Whether the tree is whole, and waits to be moved, or all of it was."""
        restoring = self._base / _RESTORING
        return self._whole.is_dir() or (restoring.is_dir() and not any(restoring.iterdir()))

    def _begin(self) -> None:
        # Of a process that died, before it or after it was whole, but never published.
        remove(self._base / _RESTORING)
        make_folders(self._growing)
        self._is_begun = True

    def add(self, path: str, data: bytes) -> None:
        """Write a file into the tree."""
        with storage_errors("Restoring files"):
            if not self._is_begun:
                self._begin()
            destination = self._growing / folder_path(path)
            if not destination.parent.exists():
                destination.parent.mkdir(mode=0o700, parents=True)
            is_crl = destination.parent == self._growing
            write_new(destination, data, PUBLIC if is_crl else OWNER_ONLY, sync=False)

    def make_ready(self) -> None:
        """Sync the tree, and rename it."""
        with storage_errors("Restoring files"):
            if not self._is_begun:
                self._begin()
            sync_tree(self._growing)
            move_into_place(self._growing, self._whole)

    def discard(self) -> None:
        """Remove the tree."""
        with storage_errors("Removing files"):
            remove(self._base / _RESTORING)

    def publish(self) -> None:
        """Move everything into place, CRLs last, and remove what is left."""
        with storage_errors("Restoring files"):
            if self._whole.is_dir():
                for path in sorted(self._whole.iterdir(), key=lambda path: path.is_file()):
                    _move(path, self._base / path.name)
            remove(self._base / _RESTORING)


def _move(source: Path, destination: Path) -> None:
    if source.is_dir() and destination.is_dir():
        # Somebody has issued since the process died that began this.
        for path in sorted(source.iterdir()):
            _move(path, destination / path.name)
    else:
        move_into_place(source, destination)
