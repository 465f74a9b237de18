"""`TarArchives`: plain tar files, which every tool reads."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from tiny_ca.domain.errors import BackupError, FileAlreadyExists, StorageError

__all__ = ["TarArchives"]

_LARGEST = 64 << 20
"""Bytes of a member: a page of rows takes a tenth of it."""


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"The archive {path}: {error.strerror or error}") from error


class TarArchives:
    """Implements `ports.archive.Archives`."""

    @contextmanager
    def create(self, path: Path, *, is_overwrite: bool = False) -> Iterator["_TarWriter"]:
        """Write beside *path*, sync, and rename; a failure leaves nothing."""
        with _storage_errors(path):
            if not is_overwrite and (path.is_symlink() or path.exists()):
                raise FileAlreadyExists(path)
            partial = path.with_name(f".{path.name}.{uuid4()}.partial")
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(partial, flags, 0o600)
            try:
                with os.fdopen(descriptor, "w+b") as file:
                    with tarfile.open(fileobj=file, mode="w") as tar:
                        yield _TarWriter(path, file, tar)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(partial, path)
                _sync_folder(path.parent)
            except BaseException:
                with suppress(FileNotFoundError):
                    partial.unlink()
                raise

    @contextmanager
    def open(self, path: Path) -> Iterator["_TarReader"]:
        """Open the file once."""
        with _storage_errors(path):
            file = path.open("rb")
        with file:
            yield _TarReader(path, file)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _TarWriter:
    def __init__(self, path: Path, file: BinaryIO, tar: tarfile.TarFile) -> None:
        self._path = path
        self._file = file
        self._tar = tar
        self._places: dict[str, list[tuple[int, int]]] = {}

    def add(self, name: str, data: bytes) -> None:
        """Append a member."""
        if len(data) > _LARGEST:
            raise StorageError(f"{name} is too large for a backup: {len(data)} bytes.")
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o600
        with _storage_errors(self._path):
            self._tar.addfile(member, BytesIO(data))
            # It remembers every member, and a registry may have millions.
            self._tar.members = []  # type: ignore[attr-defined]  # of typeshed's stub
            folder, _, _ = name.rpartition("/")
            if folder.startswith("registry/"):
                start = self._tar.offset - (len(data) + -len(data) % tarfile.BLOCKSIZE)
                self._places.setdefault(folder, []).append((start, len(data)))

    def members(self, prefix: str) -> Iterator[bytes]:
        """Give back members of a folder of the registry."""
        for start, length in self._places.get(prefix, ()):
            with _storage_errors(self._path):
                self._file.flush()
                yield os.pread(self._file.fileno(), length, start)


class _TarReader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Read from the first member on."""
        with _storage_errors(self._path):
            self._file.seek(0)
            try:
                with tarfile.open(fileobj=self._file, mode="r:") as tar:
                    while (member := tar.next()) is not None:
                        tar.members = []  # type: ignore[attr-defined]  # as above
                        yield member.name, self._content(tar, member)
            except (EOFError, ValueError, tarfile.TarError) as error:
                raise BackupError(f"{self._path} is not a whole tar file: {error}") from error

    def _content(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        if not member.isreg() or member.size > _LARGEST:
            raise BackupError(f"{self._path} is no backup: {member.name!r} can't be in one.")
        file = tar.extractfile(member)
        data = b"" if file is None else file.read()
        if len(data) != member.size:
            raise BackupError(f"{self._path} is cut off in {member.name!r}.")
        return data
