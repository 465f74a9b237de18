"""CRLs of any size, as files: written durably, mapped to be read, swapped in by renames."""

import mmap
import os
from binascii import b2a_base64
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from tiny_ca.adapters.outbound.storage.files import (
    PUBLIC,
    make_folders,
    move_into_place,
    new_file,
    remove,
    storage_errors,
    sync_folder,
)
from tiny_ca.domain.errors import StorageError

__all__ = ["StagedLocalCRL", "read_crl", "stage_crl"]

_LINE = 48
"""Octets that are a line of 64 characters (RFC 7468 §2)."""
_LINES = 1024
_APART, _WITH_ENDS = Struct("64s" * _LINES), Struct("64sx" * _LINES)
"""All lines at once: one by one they take twice the time."""
_NEIGHBOURS = 1 << 20


def stage_crl(
    folder: Path, base: Path, file_name: str, write: Callable[[BinaryIO], object], *, is_pem: bool
) -> "StagedLocalCRL":
    """Write `<file_name>.der` and `.pem`, the latter PEM or as well DER, into a new *folder*."""
    der, pem = folder / f"{file_name}.der", folder / f"{file_name}.pem"
    with storage_errors("Staging a CRL"):
        make_folders(folder)
        try:
            with new_file(der, PUBLIC) as file:
                write(file)
                with new_file(pem, PUBLIC) as armoured:
                    file.seek(0)
                    _copy(file, armoured, is_pem=is_pem)
            sync_folder(folder)
            sync_folder(folder.parent)
        except BaseException:
            remove(folder)
            raise
    return StagedLocalCRL(folder, (der, pem), base)


def _copy(source: BinaryIO, target: BinaryIO, *, is_pem: bool) -> None:
    target.write(b"-----BEGIN X509 CRL-----\n" if is_pem else b"")
    while block := source.read(_LINE * _LINES):
        target.write(_lines(block) if is_pem else block)
    target.write(b"-----END X509 CRL-----\n" if is_pem else b"")


def _lines(block: bytes) -> bytes:
    text = b2a_base64(block, newline=False)
    if len(text) == _APART.size:
        return _WITH_ENDS.pack(*_APART.unpack(text)).replace(b"\0", b"\n")
    return b"".join(text[at : at + 64] + b"\n" for at in range(0, len(text), 64))


def read_crl(path: Path) -> memoryview | None:
    """Map a file; `None` if there is none.  The mapping lives as long as what is given."""
    with storage_errors("Reading a CRL"):
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    return memoryview(b"")
                return memoryview(_Mapping(file.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            return None


class _Mapping(mmap.mmap):
    """A file that is read where it lies."""

    def forget(self, start: int, stop: int) -> None:
        """Take what was read out of this process's memory; it is read again when it is needed.

        Else whoever walks through a CRL seems to hold all of it.
        """
        # The system maps neighbours as well, of what was forgotten already.
        start = max(0, start - _NEIGHBOURS)
        first = start - start % mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED") and first < stop:
            self.madvise(mmap.MADV_DONTNEED, first, stop - first)


class StagedLocalCRL:
    """Files in a folder of `.staging` that will replace others, one rename each."""

    def __init__(self, folder: Path, files: tuple[Path, Path], base: Path) -> None:
        self._folder = folder
        self._files = files
        self._base = base

    def read(self) -> memoryview:
        """Give what was written, DER.  Raises `StorageError`."""
        data = read_crl(self._files[0])
        if data is None:
            raise StorageError(f"Reading a CRL: {self._files[0]} is gone.")
        return data

    def swap(self) -> Path:
        """Give the files their names.  Raises `StorageError`; each is then old or new, whole."""
        with storage_errors("Replacing a CRL"):
            for path in self._files:
                move_into_place(path, self._base / path.name)
            remove(self._folder)
        return self._base / self._files[1].name

    def discard(self) -> None:
        """Remove them, unless they were swapped in."""
        with storage_errors("Removing a staged CRL"):
            remove(self._folder)
