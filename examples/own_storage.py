"""A storage of one's own, over anything that maps keys to bytes: a dict, dbm, a Redis client."""

import json
from collections.abc import Callable, Iterator, MutableMapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tiny_ca.domain.errors import FileAlreadyExists, StorageError
from tiny_ca.domain.records import Location
from tiny_ca.ports.storage import Artefacts, KeyRequest, Leftover, StagedCRL

PEM = serialization.Encoding.PEM
PLAIN = PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
LOAD: dict[str, Any] = {
    ".pem": x509.load_pem_x509_certificate,
    ".key": lambda data: serialization.load_pem_private_key(data, None),
    ".csr": x509.load_pem_x509_csr,
}


class KeyValueStorage:
    """Implements `tiny_ca.ports.storage.Storage`: a folder is one value, so that it is atomic."""

    def __init__(self, store: MutableMapping[str, bytes]) -> None:
        self._store, self._lock = store, RLock()

    def check_vacant(self, location: Location) -> None:
        if _place(location) in self._store:
            raise FileAlreadyExists(_place(location))

    def stage(
        self, location: Location, artefacts: Artefacts | KeyRequest, *, replaces: bool = False
    ) -> None:
        files = {kind: _text(value) for kind, value in artefacts.values().items()}
        folder = {"at": datetime.now(UTC).isoformat(), "name": location.file_name, "files": files}
        with self._lock:
            if f"staged/{location.uuid}" in self._store:
                raise FileAlreadyExists(location.uuid)
            if not replaces:
                self.check_vacant(location)
            self._store[f"staged/{location.uuid}"] = json.dumps(folder).encode()

    def publish(self, location: Location) -> dict[str, Path]:
        with self._lock:
            staged = self._store.get(f"staged/{location.uuid}")
            if staged is not None:
                self._store[_place(location)] = staged
                del self._store[f"staged/{location.uuid}"]
            place = Path(_place(location))
            return {kind: place / f"{location.file_name}{kind}" for kind in self._load(location)}

    def discard(self, uuid: str) -> None:
        self._store.pop(f"staged/{uuid}", None)

    def leftovers(self) -> Iterator[Leftover]:
        for key in [key for key in self._store if key.startswith("staged/")]:
            folder = json.loads(self._store[key])
            pem = folder["files"].get(".pem")
            serial = pem and x509.load_pem_x509_certificate(pem.encode()).serial_number
            at = datetime.fromisoformat(folder["at"])
            yield Leftover(key.removeprefix("staged/"), at, serial)

    def delete(self, location: Location) -> None:
        self._store.pop(_place(location), None)

    def find_folder(self, uuid: str) -> str | None:
        places = [Path(key) for key in self._store if key.startswith("published/")]
        folders = [place.parent for place in places if place.name == uuid]
        found = folders[0].relative_to("published").as_posix() if folders else "."
        return None if found == "." else found

    def load(self, location: Location) -> Artefacts:
        values, place = self._load(location), Path(_place(location))
        if ".pem" not in values:
            raise StorageError(f"There is no certificate at {place}.")
        paths = {kind: place / f"{location.file_name}{kind}" for kind in values}
        return Artefacts(values[".pem"], values.get(".key"), values.get(".csr"), paths)

    def load_request(self, location: Location) -> KeyRequest:
        values = self._load(location)
        if not {".key", ".csr"} <= values.keys():
            raise StorageError(f"There is no request at {_place(location)}.")
        return KeyRequest(values[".key"], values[".csr"])

    def _load(self, location: Location) -> dict[str, Any]:
        folder = json.loads(self._store.get(_place(location), b"null"))
        if folder is None or folder["name"] != location.file_name:
            raise StorageError(f"There is nothing at {_place(location)}.")
        return {kind: LOAD[kind](text.encode()) for kind, text in folder["files"].items()}

    def stage_crl(self, write: Callable[[BinaryIO], object], file_name: str) -> StagedCRL:
        file = BytesIO()
        write(file)
        return _StagedCRL(self._store, file_name, file.getvalue())

    def read_crl(self, file_name: str) -> bytes | None:
        return self._store.get(f"{file_name}.der")


class _StagedCRL:
    def __init__(self, store: MutableMapping[str, bytes], name: str, data: bytes) -> None:
        self._store, self._name, self._data = store, name, data

    def read(self) -> bytes:
        return self._data

    def swap(self) -> Path:
        self._store[f"{self._name}.der"] = self._data
        return Path(f"{self._name}.pem")

    def discard(self) -> None:
        """Nothing was written."""


def _text(value: Any) -> str:
    is_key = hasattr(value, "private_bytes")
    data: bytes = value.private_bytes(*PLAIN) if is_key else value.public_bytes(PEM)
    return data.decode()


def _place(location: Location) -> str:
    return (Path("published") / (location.folder or "") / location.uuid).as_posix()
