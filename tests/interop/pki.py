"""A CA in a folder, as other programs see it: by its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption, NoEncryption

from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    PublicationURLs,
    SyncDBHandler,
)

NO_ENCRYPTION = NoEncryption()


@dataclass(frozen=True)
class Identity:
    """An issued certificate and the paths of its files."""

    certificate: x509.Certificate
    pem: Path
    key: Path
    csr: Path

    @property
    def serial_number(self) -> int:
        return self.certificate.serial_number


@dataclass
class PKI:
    ca: CertLifecycleManager
    folder: Path
    root_pem: Path
    root_key: Path
    key_algorithm: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    @contextmanager
    def opened(
        cls,
        folder: Path,
        *,
        key_algorithm: str = "p-256",
        encryption: KeySerializationEncryption = NO_ENCRYPTION,
        urls: PublicationURLs | None = None,
        days_valid: int = 3650,
    ) -> Iterator[Self]:
        """Make a root in *folder*; every key that is made under it is of *key_algorithm*."""
        with CertLifecycleManager(
            LocalStorage(folder / "pki", base_encryption_algorithm=encryption),
            db_handler=SyncDBHandler(f"sqlite:///{folder / 'registry.db'}"),
            urls=urls,
        ) as ca:
            root_pem, root_key = ca.create_self_signed_ca(
                CAConfig(
                    common_name="Interop Root",
                    organization="ACME",
                    country="UA",
                    days_valid=days_valid,
                    key_algorithm=key_algorithm,
                )
            )
            yield cls(ca, folder, root_pem, root_key, key_algorithm)

    @property
    def root(self) -> x509.Certificate:
        assert self.ca.factory is not None
        return self.ca.factory.certificate

    @property
    def crl_pem(self) -> Path:
        return self.folder / "pki/crl.pem"

    def issue(self, common_name: str, **fields: Any) -> Identity:
        config = self._config(common_name, fields)
        certificate, _, _ = self.ca.issue_certificate(config)
        return self._identity(certificate, config)

    def rotate(self, old: Identity, common_name: str, **fields: Any) -> Identity:
        config = self._config(common_name, fields)
        certificate, _, _ = self.ca.rotate_certificate(old.serial_number, config)
        return self._identity(certificate, config)

    def _config(self, common_name: str, fields: dict[str, Any]) -> ClientConfig:
        defaults = {"key_algorithm": self.key_algorithm, "name": f"leaf-{next(self._numbers)}"}
        return ClientConfig(common_name=common_name, **{**defaults, **fields})

    def _identity(self, certificate: x509.Certificate, config: ClientConfig) -> Identity:
        paths = (self.folder / "pki").glob(f"**/{config.name}.*")
        by_extension = {path.suffix: path for path in paths}
        return Identity(certificate, *(by_extension[end] for end in (".pem", ".key", ".csr")))

    def revoke(
        self, identity: Identity, reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise
    ) -> None:
        assert self.ca.revoke_certificate(identity.serial_number, reason)
