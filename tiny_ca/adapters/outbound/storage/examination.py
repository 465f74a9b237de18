"""Going through everything that lies in a folder of folders."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.adapters.outbound.storage.base import CryptoObject
from tiny_ca.adapters.outbound.storage.files import OWNER_ONLY, storage_errors
from tiny_ca.domain.names import path_segment
from tiny_ca.domain.records import Location

__all__ = ["LocalExamination"]

_OTHERS = 0o077
_KEYS = (".key", "privkey.pem")


class LocalExamination(ABC):
    """What `LocalStorage` has of `ports.examination.ExaminableStorage`."""

    _base: Path

    @abstractmethod
    def _folder(self, location: Location) -> Path: ...

    @abstractmethod
    def save_certificate(
        self,
        cert: CryptoObject,
        file_name: str,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
    ) -> tuple[Path, str | None]:
        """Write one artefact."""

    def stored_certificates(self) -> Iterator[tuple[Path, x509.Certificate]]:
        """Give the first certificate of each published file that has one."""
        for path in self._files(".pem"):
            with storage_errors("Reading a certificate"):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    # It was replaced or deleted meanwhile.
                    continue
            certificate = _certificate_in(data)
            if certificate is not None:
                yield path, certificate

    def exposed_keys(self) -> Iterator[Path]:
        """Give the files of private keys that others than their owner may read or write."""
        for path in self._files(*_KEYS):
            with storage_errors("Looking at a key's mode"):
                try:
                    is_exposed = path.lstat().st_mode & _OTHERS
                except FileNotFoundError:
                    continue
            if is_exposed and not path.is_symlink():
                yield path

    def make_private(self, key: Path) -> None:
        """Give it the mode 0600."""
        with storage_errors("Changing a key's mode"):
            key.chmod(OWNER_ONLY)

    def certificate_path(self, location: Location) -> Path | None:
        """Give where the certificate's file of *location* is, readable or not; `None`: nowhere."""
        path = self._folder(location) / f"{location.file_name}.pem"
        with storage_errors("Looking for a certificate"):
            return path if os.path.lexists(path) else None

    def add_certificate(self, location: Location, certificate: x509.Certificate) -> Path:
        """Write a certificate to *location*.  Raises `FileAlreadyExists`."""
        path, _ = self.save_certificate(
            certificate, location.file_name, location.folder, location.uuid
        )
        return path

    def read_crl_copy(self, file_name: str) -> bytes | None:
        """Give `<file_name>.pem` as DER; `None` if there is none."""
        with storage_errors("Reading a CRL"):
            try:
                data = (self._base / f"{path_segment(file_name)}.pem").read_bytes()
            except FileNotFoundError:
                return None
        return _decoded(data)

    def _files(self, *endings: str) -> Iterator[Path]:
        """Give the published files with names that end so; links are not followed."""
        with storage_errors("Reading folders"):
            for folder, folders, files in os.walk(self._base, onerror=_raise_unless_gone):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    if name.endswith(endings):
                        yield Path(folder, name)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _certificate_in(data: bytes) -> x509.Certificate | None:
    is_pem = data.lstrip().startswith(b"-----")
    load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
    try:
        return load(data)
    except ValueError:
        # A CRL, or damaged: the row that tells of it finds that.
        return None


def _decoded(data: bytes) -> bytes:
    try:
        return x509.load_pem_x509_crl(data).public_bytes(Encoding.DER)
    except ValueError:
        return data
