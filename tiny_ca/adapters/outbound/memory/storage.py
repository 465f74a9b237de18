"""`MemoryStorage`: files in dictionaries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from threading import RLock
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tiny_ca.adapters.outbound.memory.backup import MemoryRestoration
from tiny_ca.domain.errors import FileAlreadyExists, NotEmpty, StorageError
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
        self.crls: dict[str, x509.CertificateRevocationList] = {}

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

    def stage_crl(self, crl: x509.CertificateRevocationList, file_name: str) -> "_StagedCRL":
        """Keep a CRL apart, to be swapped in as *file_name*."""
        return _StagedCRL(self, crl, file_name)

    def swap_crl(self, crl: x509.CertificateRevocationList, file_name: str) -> Path:
        """Put a CRL in place of the former one."""
        with self._lock:
            self.crls[file_name] = crl
        return Path(f"{file_name}.pem")

    def export_folder(self, location: Location, serial_number: int) -> dict[str, bytes] | None:
        """Give the files of a certificate by name; `None` if they are gone."""
        with self._lock:
            found = [self._folders.get(_path(location), {})]
            if location.uuid in self._staged:
                _, place, files = self._staged[location.uuid]
                found.append({f"{place.file_name}{suffix}": data for suffix, data in files.items()})
        for named in found:
            for name, data in named.items():
                if name.endswith(".pem"):
                    certificate = x509.load_pem_x509_certificate(data)
                    if certificate.serial_number == serial_number:
                        return dict(named)
        return None

    def export_crls(self) -> Iterator[tuple[str, bytes]]:
        """Give the published CRLs, PEM."""
        with self._lock:
            crls = dict(self.crls)
        for name, crl in crls.items():
            yield f"{name}.pem", crl.public_bytes(Encoding.PEM)

    def check_empty(self) -> None:
        """Raise `NotEmpty` if there is a folder."""
        with self._lock:
            if self._folders or self._staged:
                raise NotEmpty("The storage has folders: restore into a new one.")

    @contextmanager
    def restoration(self, name: str) -> Iterator[MemoryRestoration]:
        """Begin a restoration; none survives its process."""
        with self._lock:
            yield MemoryRestoration(self._restore)

    def _restore(self, files: Mapping[PurePosixPath, bytes]) -> None:
        for path, data in files.items():
            if len(path.parts) == 1:
                self.crls[path.stem] = x509.load_pem_x509_crl(data)
            else:
                self._folders.setdefault(Path(path.parent), {})[path.name] = data


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
