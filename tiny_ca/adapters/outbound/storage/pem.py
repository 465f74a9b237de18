"""PEM that writes itself."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tiny_ca.adapters.outbound.storage.files import (
    OWNER_ONLY,
    PUBLIC,
    move_into_place,
    remove,
    storage_errors,
    write_new,
)
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["PEM"]


class PEM:
    """Certificates, or a private key, as PEM (RFC 7468).  Its `repr` shows no key."""

    def __init__(self, data: bytes, *, is_secret: bool = False) -> None:
        self._data = data
        self.is_secret = is_secret
        """Whether only the owner may read it."""

    @classmethod
    def of_certificates(cls, certificates: Sequence[x509.Certificate]) -> "PEM":
        """Make it of certificates, in the order given."""
        return cls(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))

    @classmethod
    def of_private_key(cls, key: PrivateKey) -> "PEM":
        """Make it of a private key: PKCS #8 (RFC 5958), in the clear."""
        data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(data, is_secret=True)

    def write_to_path(self, path: str | Path) -> Path:
        """Write it to *path*, in place of a file or a link that is there; give the path.

        Atomic and durable: readers see the former file or this one, whole.  A key is for the
        owner only (0600), certificates for everybody (0644).  Raises `StorageError`, also when
        there is no such folder.
        """
        path = Path(path)
        staged = path.with_name(f".{uuid4()}")
        with storage_errors(f"Writing {path}"):
            try:
                write_new(staged, self._data, OWNER_ONLY if self.is_secret else PUBLIC)
                move_into_place(staged, path)
            except BaseException:
                remove(staged)
                raise
        return path

    @contextmanager
    def tempfile(self, folder: str | Path | None = None) -> Iterator[Path]:
        """Have it in a file, for the owner only, while the block runs; give the file's path.

        In *folder*, by default the system's for such files.  Raises `StorageError`.
        """
        with storage_errors("Making a temporary file"):
            descriptor, name = tempfile.mkstemp(".pem", "tiny-ca-", folder)
        try:
            with storage_errors("Writing a temporary file"), os.fdopen(descriptor, "wb") as file:
                file.write(self._data)
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PEM) and other._data == self._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __bytes__(self) -> bytes:
        return self._data

    def __repr__(self) -> str:
        return "<PEM of a private key>" if self.is_secret else f"<PEM, {len(self._data)} bytes>"

    def bytes(self) -> "bytes":
        """Give the octets."""
        return self._data
