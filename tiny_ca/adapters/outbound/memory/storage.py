"""`MemoryStorage`: files in dictionaries."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from threading import RLock
from typing import BinaryIO, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tiny_ca.domain.errors import FileAlreadyExists, StorageError
from tiny_ca.domain.records import Location
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.storage import Artefacts, Leftover

__all__ = ["MemoryStorage"]

_Files = dict[str, bytes]


def _serialize(artefacts: Artefacts) -> _Files:
    files = {".pem": artefacts.certificate.public_bytes(Encoding.PEM)}
    if artefacts.private_key is not None:
        files[".key"] = artefacts.private_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    if artefacts.csr is not None:
        files[".csr"] = artefacts.csr.public_bytes(Encoding.PEM)
    return files


def _path(location: Location) -> Path:
    return Path(location.folder or "") / location.uuid


class MemoryStorage:
    """Keeps what is stored in memory; thread-safe.  Implements `ports.storage.Storage`."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._staged: dict[str, tuple[datetime, Location, _Files]] = {}
        self._folders: dict[Path, dict[str, bytes]] = {}
        self.crls: dict[str, bytes] = {}
        """DER, by file name."""

    def check_vacant(self, location: Location) -> None:
        """Raise `FileAlreadyExists` if something lies at *location*."""
        with self._lock:
            if _path(location) in self._folders:
                raise FileAlreadyExists(_path(location))

    def stage(self, location: Location, artefacts: Artefacts, *, replaces: bool = False) -> None:
        """Keep *artefacts* apart until they are published.  Raises `FileAlreadyExists`."""
        files = _serialize(artefacts)
        with self._lock:
            if location.uuid in self._staged or (not replaces and _path(location) in self._folders):
                raise FileAlreadyExists(_path(location))
            self._staged[location.uuid] = datetime.now(UTC), location, files

    def publish(self, location: Location) -> dict[str, Path]:
        """Make the staged files visible at *location*; give their paths by extension."""
        folder = _path(location)
        with self._lock:
            if location.uuid in self._staged:
                _, _, files = self._staged.pop(location.uuid)
                self._folders[folder] = {
                    f"{location.file_name}{extension}": data for extension, data in files.items()
                }
            if folder not in self._folders:
                raise StorageError(f"Publishing files: {folder} was never staged.")
            return {Path(name).suffix: folder / name for name in self._folders[folder]}

    def discard(self, uuid: str) -> None:
        """Forget staged files; none is no error."""
        with self._lock:
            self._staged.pop(uuid, None)

    def leftovers(self) -> Iterator[Leftover]:
        """Give everything that is staged."""
        with self._lock:
            staged = [
                Leftover(uuid, at, x509.load_pem_x509_certificate(files[".pem"]).serial_number)
                for uuid, (at, _, files) in self._staged.items()
            ]
        yield from staged

    def delete(self, location: Location) -> None:
        """Forget published files; none is no error."""
        with self._lock:
            self._folders.pop(_path(location), None)

    def find_folder(self, uuid: str) -> str | None:
        """Give the folder that holds *uuid*; `None`: the base, or none."""
        with self._lock:
            for folder in self._folders:
                if folder.name == uuid and folder.parent != Path():
                    return folder.parent.as_posix()
        return None

    def load(self, location: Location) -> Artefacts:
        """Give what is published at *location*.  Raises `StorageError` if nothing is."""
        with self._lock:
            folder = self._folders.get(_path(location), {})
            pem, key, csr = (
                folder.get(f"{location.file_name}{extension}")
                for extension in (".pem", ".key", ".csr")
            )
        if pem is None:
            raise StorageError(f"There is no certificate at {_path(location)}.")
        return Artefacts(
            x509.load_pem_x509_certificate(pem),
            None if key is None else cast("PrivateKey", load_pem_private_key(key, None)),
            None if csr is None else x509.load_pem_x509_csr(csr),
            {Path(name).suffix: _path(location) / name for name in folder},
        )

    def stage_crl(self, write: Callable[[BinaryIO], object], file_name: str) -> "_StagedCRL":
        """Keep what is written apart, to be swapped in as *file_name*."""
        file = BytesIO()
        write(file)
        return _StagedCRL(self, file.getvalue(), file_name)

    def read_crl(self, file_name: str) -> bytes | None:
        """Give the CRL that was swapped in, DER; `None` if there is none."""
        with self._lock:
            return self.crls.get(file_name)

    def swap_crl(self, crl: bytes, file_name: str) -> Path:
        """Put a CRL in place of the former one."""
        with self._lock:
            self.crls[file_name] = crl
        return Path(f"{file_name}.pem")


class _StagedCRL:
    def __init__(self, storage: MemoryStorage, crl: bytes, file_name: str) -> None:
        self._storage = storage
        self._crl = crl
        self._file_name = file_name

    def read(self) -> bytes:
        """Give what was written."""
        return self._crl

    def swap(self) -> Path:
        """Put the CRL in place of the former one."""
        return self._storage.swap_crl(self._crl, self._file_name)

    def discard(self) -> None:
        """Nothing is left behind."""
