"""`MemoryStorage`: files in dictionaries."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tiny_ca.domain.errors import FileAlreadyExists, StorageError
from tiny_ca.domain.records import Location
from tiny_ca.ports.storage import Artefacts, KeyRequest, Leftover

__all__ = ["MemoryStorage"]

_Files = dict[str, bytes]


def _serialize(artefacts: Artefacts | KeyRequest) -> _Files:
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        extension: value.private_bytes(*plain)
        if extension == ".key"
        else value.public_bytes(Encoding.PEM)
        for extension, value in artefacts.values().items()
    }


_LOADERS: dict[str, Callable[[bytes], Any]] = {
    ".pem": x509.load_pem_x509_certificate,
    ".key": lambda data: load_pem_private_key(data, None),
    ".csr": x509.load_pem_x509_csr,
}


def _serial_number_in(files: _Files) -> int | None:
    pem = files.get(".pem")
    return None if pem is None else x509.load_pem_x509_certificate(pem).serial_number


def _path(location: Location) -> Path:
    return Path(location.folder or "") / location.uuid


class MemoryStorage:
    """Keeps what is stored in memory; thread-safe.  Implements `ports.storage.Storage`."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._staged: dict[str, tuple[datetime, Location, _Files]] = {}
        self._folders: dict[Path, dict[str, bytes]] = {}
        self.crls: dict[str, x509.CertificateRevocationList] = {}

    def check_vacant(self, location: Location) -> None:
        """Raise `FileAlreadyExists` if something lies at *location*."""
        with self._lock:
            if _path(location) in self._folders:
                raise FileAlreadyExists(_path(location))

    def stage(
        self, location: Location, artefacts: Artefacts | KeyRequest, *, replaces: bool = False
    ) -> None:
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
                Leftover(uuid, at, _serial_number_in(files))
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
        values = self._load(location)
        if ".pem" not in values:
            raise StorageError(f"There is no certificate at {_path(location)}.")
        paths = {kind: _path(location) / f"{location.file_name}{kind}" for kind in values}
        return Artefacts(values[".pem"], values.get(".key"), values.get(".csr"), paths)

    def load_request(self, location: Location) -> KeyRequest:
        """Give the key and request at *location*.  Raises `StorageError`."""
        values = self._load(location)
        if not {".key", ".csr"} <= values.keys():
            raise StorageError(f"There is no key with a request at {_path(location)}.")
        return KeyRequest(values[".key"], values[".csr"])

    def _load(self, location: Location) -> dict[str, Any]:
        with self._lock:
            folder = self._folders.get(_path(location), {}).copy()
        return {
            extension: load(folder[name])
            for extension, load in _LOADERS.items()
            if (name := f"{location.file_name}{extension}") in folder
        }

    def stage_crl(self, crl: x509.CertificateRevocationList, file_name: str) -> "_StagedCRL":
        """Keep a CRL apart, to be swapped in as *file_name*."""
        return _StagedCRL(self, crl, file_name)

    def read_crl(self, file_name: str) -> bytes | None:
        """Give the CRL that was swapped in, DER; `None` if there is none."""
        with self._lock:
            crl = self.crls.get(file_name)
        return None if crl is None else crl.public_bytes(Encoding.DER)

    def swap_crl(self, crl: x509.CertificateRevocationList, file_name: str) -> Path:
        """Put a CRL in place of the former one."""
        with self._lock:
            self.crls[file_name] = crl
        return Path(f"{file_name}.pem")


class _StagedCRL:
    def __init__(
        self, storage: MemoryStorage, crl: x509.CertificateRevocationList, file_name: str
    ) -> None:
        self._storage = storage
        self._crl = crl
        self._file_name = file_name

    def swap(self) -> Path:
        """Put the CRL in place of the former one."""
        return self._storage.swap_crl(self._crl, self._file_name)

    def discard(self) -> None:
        """Nothing is left behind."""
