"""`LocalStorage`: a folder of folders."""

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from glob import escape
from logging import Logger, getLogger
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tiny_ca.adapters.outbound.storage.backup import LocalFolders
from tiny_ca.adapters.outbound.storage.base import BaseStorage, CryptoObject, Serializer
from tiny_ca.adapters.outbound.storage.crls import StagedLocalCRL, read_crl, stage_crl
from tiny_ca.adapters.outbound.storage.examination import LocalExamination
from tiny_ca.adapters.outbound.storage.files import (
    locked,
    make_folders,
    move_into_place,
    remove,
    storage_errors,
    sync_folder,
    write_new,
)
from tiny_ca.domain.errors import FileAlreadyExists, StorageError, UnsafePath
from tiny_ca.domain.names import folder_path, path_segment
from tiny_ca.domain.records import Location
from tiny_ca.ports.storage import Artefacts, KeyRequest, Leftover

__all__ = ["LocalStorage"]

_STAGING = ".staging"
_REPLACED = ":replaced"
"""A colon is in no uuid, so that nobody else stages under this name."""
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""What `rename` says of a folder, or of a file or a link, that is there already."""


class LocalStorage(LocalFolders, LocalExamination, BaseStorage):
    """Keeps files under *base_folder*: `[cert_path/]<uuid>/<name>.pem|.key|.csr`, `crl.pem`.

    Folders are 0700 and files 0600.  Private keys are encrypted (PKCS #8) when
    *base_encryption_algorithm* says so.  What is being written lies in `.staging` until one
    rename publishes it.  Implements `ports.storage.Storage`.
    """

    def __init__(
        self,
        base_folder: str | Path = "./certs",
        base_encoding: Encoding = Encoding.PEM,
        base_private_format: PrivateFormat = PrivateFormat.TraditionalOpenSSL,
        base_public_format: PublicFormat = PublicFormat.SubjectPublicKeyInfo,
        base_encryption_algorithm: KeySerializationEncryption = NoEncryption(),  # noqa: B008
        logger: Logger | None = None,
    ) -> None:
        self._base = Path(base_folder)
        self._serializer = Serializer(
            base_encoding, base_private_format, base_public_format, base_encryption_algorithm
        )
        self._logger = logger or getLogger("tiny_ca")

    @property
    def base_folder(self) -> Path:
        """The folder that everything lies in."""
        return self._base

    def check_vacant(self, location: Location) -> None:
        """Raise `FileAlreadyExists` if something lies at *location*.

        Raises `StorageError` for a path that is too long, or that leads through a file.
        """
        if self._is_taken(location):
            raise FileAlreadyExists(self._folder(location))

    def _is_taken(self, location: Location) -> bool:
        folder = self._folder(location)
        with storage_errors("Looking for a free folder"), suppress(FileNotFoundError):
            os.lstat(folder)
            return True
        with storage_errors("Looking for a free folder"), suppress(FileNotFoundError):
            # The folder's path may just be short enough, and its files' are not.
            os.lstat(folder / f"{location.file_name}.pem")
        return False

    def stage(
        self, location: Location, artefacts: Artefacts | KeyRequest, *, replaces: bool = False
    ) -> None:
        """Write *artefacts* durably into `.staging`.  Raises `FileAlreadyExists`."""
        staged = self._staged(location.uuid)
        with storage_errors("Staging files"):
            self._folder(location)
            make_folders(staged.parent)
            try:
                staged.mkdir(mode=0o700)
            except FileExistsError:
                raise FileAlreadyExists(staged) from None
            try:
                # Once more: another process may have published since the first look, but can't
                # any more, now that the staged folder is ours.
                look = self._is_taken if replaces else self.check_vacant
                look(location)
                for value in artefacts.values().values():
                    data, extension = self._serializer.serialize(value)
                    write_new(staged / f"{location.file_name}{extension}", data)
                sync_folder(staged)
                sync_folder(staged.parent)
            except BaseException:
                remove(staged)
                raise

    def publish(self, location: Location) -> dict[str, Path]:
        """Rename the staged folder to *location*; give the files' paths by extension."""
        folder, staged = self._folder(location), self._staged(location.uuid)
        with storage_errors("Publishing files"):
            if staged.exists():
                make_folders(folder.parent)
                try:
                    self._put_in_place(staged, folder)
                except FileNotFoundError:
                    # Another process recovered it between the two calls.
                    if not folder.exists():
                        raise
            remove(self._staged(location.uuid + _REPLACED))
            if not folder.exists():
                raise StorageError(f"Publishing files: neither {staged} nor {folder} is there.")
            return {path.suffix: path for path in sorted(folder.iterdir())}

    def discard(self, uuid: str) -> None:
        """Remove a staged folder; none is no error."""
        with storage_errors("Removing staged files"):
            path_segment(uuid.removesuffix(_REPLACED))
            remove(self._staged(uuid))

    def leftovers(self) -> Iterator[Leftover]:
        """Give every staged folder."""
        with storage_errors("Reading staged files"):
            try:
                names = sorted(os.listdir(self._base / _STAGING))
            except FileNotFoundError:
                return
        for name in names:
            with storage_errors("Reading staged files"):
                try:
                    changed = (self._base / _STAGING / name).stat().st_mtime
                except FileNotFoundError:
                    continue
                serial_number = self._serial_number_in(self._base / _STAGING / name)
            yield Leftover(name, datetime.fromtimestamp(changed, UTC), serial_number)

    def _serial_number_in(self, staged: Path) -> int | None:
        for path in staged.glob("*.pem"):
            # Half a file is that of a process which died, or is still at it.
            with suppress(FileNotFoundError, ValueError):
                certificate: x509.Certificate = self._serializer.parse(path.read_bytes(), ".pem")
                return certificate.serial_number
        return None

    def delete(self, location: Location) -> None:
        """Remove a published folder; none is no error."""
        with storage_errors("Deleting files"):
            self._withdraw(self._folder(location))

    def find_folder(self, uuid: str) -> str | None:
        """Give the folder, relative to the base, that holds *uuid*; `None`: the base, or none."""
        path_segment(uuid)
        with storage_errors("Looking for a folder"):
            if (self._base / uuid).is_dir():
                return None
            # Neither what is staged nor what only matches as a pattern.
            found = (path for path in self._base.glob(f"[!.]*/**/{escape(uuid)}") if path.is_dir())
            path = next(found, None)
        return None if path is None else path.parent.relative_to(self._base).as_posix()

    def load(self, location: Location) -> Artefacts:
        """Give what is published at *location*; what is not there is `None`.

        Raises `StorageError` if there is no certificate, or a file can't be read or parsed.
        """
        folder, values = self._load(location)
        if ".pem" not in values:
            raise StorageError(f"There is no certificate at {folder}.")
        paths = {extension: folder / f"{location.file_name}{extension}" for extension in values}
        return Artefacts(values[".pem"], values.get(".key"), values.get(".csr"), paths)

    def load_request(self, location: Location) -> KeyRequest:
        """Give the key and request at *location*.  Raises `StorageError`."""
        folder, values = self._load(location)
        if not {".key", ".csr"} <= values.keys():
            raise StorageError(f"There is no key with a request at {folder}.")
        return KeyRequest(values[".key"], values[".csr"])

    def _load(self, location: Location) -> tuple[Path, dict[str, Any]]:
        values, folder = {}, self._check_inside(self._folder(location))
        for extension in (".pem", ".key", ".csr"):
            path = folder / f"{location.file_name}{extension}"
            with storage_errors("Reading files"), suppress(FileNotFoundError):
                data = path.read_bytes()
                try:
                    values[extension] = self._serializer.parse(data, extension)
                except (TypeError, ValueError, UnsupportedAlgorithm) as error:
                    raise StorageError(f"{path} can't be read: {error}") from error
        return folder, values

    def stage_crl(self, write: Callable[[BinaryIO], object], file_name: str) -> StagedLocalCRL:
        """Have a CRL written durably, to be swapped in as `<file_name>.der` and `.pem`."""
        folder = self._staged(f"{path_segment(file_name)}-{uuid4()}")
        is_pem = self._serializer.encoding is Encoding.PEM
        return stage_crl(folder, self._base, file_name, write, is_pem=is_pem)

    def read_crl(self, file_name: str) -> memoryview | None:
        """Map `<file_name>.der`; `None` if there is none.  Raises `StorageError`."""
        return read_crl(self._base / f"{path_segment(file_name)}.der")

    def save_certificate(
        self,
        cert: CryptoObject,
        file_name: str,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        encoding: Encoding | None = None,
        private_format: PrivateFormat | None = None,
        public_format: PublicFormat | None = None,
        encryption_algorithm: KeySerializationEncryption | None = None,
        is_add_uuid: bool = True,
        is_overwrite: bool = False,
    ) -> tuple[Path, str | None]:
        """Write one artefact to `[cert_path/][uuid/]<file_name><extension>`, atomically.

        Gives the path, and the uuid (`None` without *is_add_uuid*).  The arguments from
        *encoding* on override the constructor's.  Raises `FileAlreadyExists` unless
        *is_overwrite*, `UnsafePath` for a path that leaves the base folder, `TypeError` for
        what can't be stored, `StorageError`.
        """
        defaults = self._serializer
        data, extension = Serializer(
            encoding or defaults.encoding,
            private_format or defaults.private_format,
            public_format or defaults.public_format,
            encryption_algorithm or defaults.encryption,
        ).serialize(cert)
        uuid = path_segment(uuid_str or str(uuid4())) if is_add_uuid else None
        folder = self._check_inside(self._within(cert_path, uuid))
        path = folder / f"{path_segment(file_name)}{extension}"
        with storage_errors("Saving a file"):
            if not is_overwrite and os.path.lexists(path):
                raise FileAlreadyExists(path)
            make_folders(folder)
            staged = self._staged(str(uuid4()))
            make_folders(staged.parent)
            write_new(staged, data)
            move_into_place(staged, path)
        self._logger.debug("Saved %s", path, extra={"event": "file_saved", "path": str(path)})
        return path, uuid

    def delete_certificate_folder(self, uuid_str: str, cert_path: str | Path | None = None) -> bool:
        """Remove the folder *uuid_str*.  True: it is gone, with a `UserWarning` if it never was.

        Raises `UnsafePath` for a path that leaves the base folder, `StorageError`.
        """
        target = self._within(cert_path, path_segment(uuid_str))
        if not target.is_dir():
            warnings.warn(f"There is no folder {target} to delete.", UserWarning, stacklevel=2)
            return True
        with storage_errors("Deleting files"):
            self._withdraw(target)
        extra = {"event": "folder_deleted", "path": str(target)}
        self._logger.info("Deleted %s", target, extra=extra)
        return True

    def _within(self, cert_path: str | Path | None, uuid: str | None) -> Path:
        """Join, and follow symbolic links to make sure that the result is in the base folder."""
        folder = self._base
        if cert_path is not None and str(cert_path) not in ("", "."):
            folder = self._check_inside(folder / folder_path(Path(cert_path).as_posix()))
        return folder if uuid is None else folder / uuid

    def _check_inside(self, folder: Path) -> Path:
        # Not `Path.resolve`, to which links in a circle are a RuntimeError.
        if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(self._base)):
            raise UnsafePath(f"{folder} is a link that leaves {self._base}.")
        return folder

    def _folder(self, location: Location) -> Path:
        return self._within(location.folder, location.uuid)

    def _staged(self, name: str) -> Path:
        return self._base / _STAGING / name

    def _put_in_place(self, staged: Path, folder: Path) -> None:
        """Rename; what is in the way is set aside first, and if we die then, `recover` goes on."""
        try:
            move_into_place(staged, folder)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            # One at a time: the next one would set aside what this one has published.
            with locked(staged.parent):
                if staged.exists():
                    replaced = self._staged(staged.name + _REPLACED)
                    remove(replaced)
                    os.rename(folder, replaced)
                    move_into_place(staged, folder)

    def _withdraw(self, folder: Path) -> None:
        """Take a folder out of sight by one rename, then remove it; none is no error."""
        withdrawn = self._staged(f"{uuid4()}{_REPLACED}")
        make_folders(withdrawn.parent)
        with suppress(FileNotFoundError):
            move_into_place(folder, withdrawn)
            remove(withdrawn)
