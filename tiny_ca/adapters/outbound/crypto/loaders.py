"""Loading a CA's certificate and private key."""

from dataclasses import dataclass
from logging import Logger, getLogger
from pathlib import Path
from typing import Protocol, runtime_checkable

import anyio.to_thread
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from tiny_ca.adapters.outbound.crypto.keys import can_sign
from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain.errors import ErrorLoadCert, IsNotFile, NotExistCertFile, WrongType
from tiny_ca.domain.names import CertificateInfo

__all__ = [
    "ALLOWED_CERT_EXTENSIONS",
    "AsyncCAFileLoader",
    "CAFileLoader",
    "CAMaterial",
    "ICALoader",
    "load_ca",
]

ALLOWED_CERT_EXTENSIONS = (".key", ".pem", ".csr")


@runtime_checkable
class ICALoader(Protocol):
    """Whatever provides a CA's certificate, key, and what subjects inherit from it."""

    @property
    def ca_cert(self) -> x509.Certificate:
        """The CA's certificate."""
        ...

    @property
    def ca_key(self) -> CertificateIssuerPrivateKeyTypes:
        """The CA's private key."""
        ...

    @property
    def base_info(self) -> CertificateInfo:
        """What subjects inherit from the CA's own subject."""
        ...


def _info_of(subject: x509.Name) -> CertificateInfo:
    def first(oid: x509.ObjectIdentifier) -> str | None:
        values = [attribute.value for attribute in subject.get_attributes_for_oid(oid)]
        return values[0] if values and isinstance(values[0], str) else None

    return CertificateInfo(
        organization=first(NameOID.ORGANIZATION_NAME),
        organizational_unit=first(NameOID.ORGANIZATIONAL_UNIT_NAME),
        country=first(NameOID.COUNTRY_NAME),
        state=first(NameOID.STATE_OR_PROVINCE_NAME),
        locality=first(NameOID.LOCALITY_NAME),
    )


@dataclass(frozen=True, slots=True)
class CAMaterial:
    """A CA's certificate and key in memory: an `ICALoader`."""

    ca_cert: x509.Certificate
    ca_key: CertificateIssuerPrivateKeyTypes

    @property
    def base_info(self) -> CertificateInfo:
        """What subjects inherit from the CA's own subject."""
        return _info_of(self.ca_cert.subject)


def check_ca(certificate: x509.Certificate, key: object, source: Path | str = "the CA") -> None:
    """Check that *certificate* may sign others and that *key* is its private key.

    Raises `ErrorLoadCert`: RFC 5280 §4.2.1.9 (cA) and §4.2.1.3 (keyCertSign).
    """
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        is_ca = constraints.ca
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        is_ca = is_ca and usage.key_cert_sign
    except x509.ExtensionNotFound as error:
        # Without a key usage extension every usage is allowed.
        is_ca = error.oid == x509.KeyUsage.oid and is_ca
    except UNREADABLE as error:
        raise ErrorLoadCert(source, f"its extensions can't be read: {error}") from error
    if not is_ca:
        raise ErrorLoadCert(source, "it is not a CA's certificate; pass the issuing CA's.")
    if not can_sign(key):
        raise ErrorLoadCert(source, f"a {type(key).__name__} can't sign certificates.")
    if key.public_key() != certificate.public_key():
        raise ErrorLoadCert(source, "the private key does not belong to the certificate.")


def load_ca(
    certificate_pem: bytes,
    key_pem: bytes,
    passphrase: bytes | None,
    *,
    certificate_source: Path | str = "the CA's certificate",
    key_source: Path | str = "the CA's private key",
) -> CAMaterial:
    """Read a CA from PEM.  Raises `ErrorLoadCert` if it is unreadable, no CA, or mismatched."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ErrorLoadCert(certificate_source, str(error)) from error
    try:
        key = load_pem_private_key(key_pem, passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        # TypeError: a passphrase that is missing, or given for a key without one.
        raise ErrorLoadCert(key_source, str(error)) from error
    check_ca(certificate, key, certificate_source)
    return CAMaterial(certificate, key)  # type: ignore[arg-type]  # check_ca narrowed it


def _check_path(path: Path) -> Path:
    if not path.exists():
        raise NotExistCertFile(path)
    if not path.is_file():
        raise IsNotFile(path)
    if path.suffix not in ALLOWED_CERT_EXTENSIONS:
        raise WrongType(path.suffix, ALLOWED_CERT_EXTENSIONS)
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ErrorLoadCert(path, str(error)) from error


class CAFileLoader:
    """A CA's certificate and private key from PEM files: an `ICALoader`.

    *ca_key_password* opens an encrypted key.  Raises `NotExistCertFile`, `IsNotFile` or
    `WrongType` for the paths, and `ErrorLoadCert` if a file can't be read, the certificate is
    not a CA's, or the key is not its key.
    """

    def __init__(
        self,
        ca_cert_path: str | Path,
        ca_key_path: str | Path,
        ca_key_password: str | bytes | None = None,
        logger: Logger | None = None,
    ) -> None:
        certificate_path = _check_path(Path(ca_cert_path))
        key_path = _check_path(Path(ca_key_path))
        password = ca_key_password
        self._material = load_ca(
            _read(certificate_path),
            _read(key_path),
            password.encode() if isinstance(password, str) else password,
            certificate_source=certificate_path,
            key_source=key_path,
        )
        (logger or getLogger("tiny_ca")).info(
            "CA loaded from %s",
            certificate_path,
            extra={"event": "ca_loaded", "path": str(certificate_path)},
        )

    @property
    def ca_cert(self) -> x509.Certificate:
        """The CA's certificate."""
        return self._material.ca_cert

    @property
    def ca_key(self) -> CertificateIssuerPrivateKeyTypes:
        """The CA's private key."""
        return self._material.ca_key

    @property
    def base_info(self) -> CertificateInfo:
        """What subjects inherit from the CA's own subject."""
        return self._material.base_info


class AsyncCAFileLoader(CAFileLoader):
    """`CAFileLoader` for async code: made by `await AsyncCAFileLoader.create(...)`."""

    @classmethod
    async def create(
        cls,
        ca_cert_path: str | Path,
        ca_key_path: str | Path,
        ca_key_password: str | bytes | None = None,
        logger: Logger | None = None,
    ) -> "AsyncCAFileLoader":
        """Load the files in a worker thread.  Raises as `CAFileLoader` does."""
        return await anyio.to_thread.run_sync(
            cls, ca_cert_path, ca_key_path, ca_key_password, logger
        )
