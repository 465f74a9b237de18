"""`AsyncLocalStorage`: `LocalStorage` for async code."""

from pathlib import Path
from typing import Any

import anyio.to_thread
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    PublicFormat,
)

from tiny_ca.adapters.outbound.storage.base import BaseStorage, CryptoObject
from tiny_ca.adapters.outbound.storage.local import LocalStorage

__all__ = ["AsyncLocalStorage"]


class AsyncLocalStorage(BaseStorage):
    """`LocalStorage` with awaitable methods: same arguments, same files.

    *blocking* is the storage itself, for code that runs in a worker thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.blocking = LocalStorage(*args, **kwargs)

    @property
    def base_folder(self) -> Path:
        """The folder that everything lies in."""
        return self.blocking.base_folder

    async def save_certificate(
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
        """Write one artefact in a worker thread, as `LocalStorage.save_certificate` does."""
        with anyio.CancelScope(shield=True):
            result = await anyio.to_thread.run_sync(
                self.blocking.save_certificate,
                cert,
                file_name,
                cert_path,
                uuid_str,
                encoding,
                private_format,
                public_format,
                encryption_algorithm,
                is_add_uuid,
                is_overwrite,
            )
        return result

    async def delete_certificate_folder(
        self, uuid_str: str, cert_path: str | Path | None = None
    ) -> bool:
        """Remove a folder, as `LocalStorage.delete_certificate_folder` does."""
        with anyio.CancelScope(shield=True):
            result = await anyio.to_thread.run_sync(
                self.blocking.delete_certificate_folder, uuid_str, cert_path
            )
        return result
