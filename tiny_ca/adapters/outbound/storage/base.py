"""The documented interface of storages, and what they write."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, get_args

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificatePublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

__all__ = ["BaseStorage", "CryptoObject", "Serializer"]

CryptoObject = (
    x509.Certificate
    | x509.CertificateRevocationList
    | x509.CertificateSigningRequest
    | CertificateIssuerPrivateKeyTypes
    | CertificatePublicKeyTypes
)

_PRIVATE_KEYS: tuple[type[Any], ...] = get_args(CertificateIssuerPrivateKeyTypes)
_PUBLIC_KEYS: tuple[type[Any], ...] = get_args(CertificatePublicKeyTypes)


class Serializer:
    """Turns certificates, CRLs, requests and keys into bytes and a file extension.

    A private key that is encrypted, or whose algorithm has no traditional format, is PKCS #8
    (RFC 5958) whatever *private_format* says.
    """

    def __init__(
        self,
        encoding: Encoding,
        private_format: PrivateFormat,
        public_format: PublicFormat,
        encryption: KeySerializationEncryption,
    ) -> None:
        self.encoding = encoding
        self.private_format = private_format
        self.public_format = public_format
        self.encryption = encryption

    def serialize(self, value: Any) -> tuple[bytes, str]:
        """Give bytes and extension.  Raises `TypeError` for anything but a `CryptoObject`."""
        if isinstance(value, (x509.Certificate, x509.CertificateRevocationList)):
            return value.public_bytes(self.encoding), ".pem"
        if isinstance(value, x509.CertificateSigningRequest):
            return value.public_bytes(self.encoding), ".csr"
        if isinstance(value, _PRIVATE_KEYS):
            is_plain = isinstance(self.encryption, NoEncryption)
            has_traditional = isinstance(value, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
            format_ = self.private_format if is_plain and has_traditional else PrivateFormat.PKCS8
            return value.private_bytes(self.encoding, format_, self.encryption), ".key"
        if isinstance(value, _PUBLIC_KEYS):
            return value.public_bytes(self.encoding, self.public_format), ".pub"
        raise TypeError(
            f"A {type(value).__name__} can't be stored: pass a certificate, CRL, CSR or key."
        )

    def parse(self, data: bytes, extension: str) -> Any:
        """Give the object of a file that `serialize` made.

        Raises `ValueError` or `TypeError` for other bytes, or another passphrase than its own.
        """
        is_pem = self.encoding is Encoding.PEM
        if extension == ".pem":
            load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
            return load(data)
        if extension == ".csr":
            return (x509.load_pem_x509_csr if is_pem else x509.load_der_x509_csr)(data)
        passphrase = getattr(self.encryption, "password", None)
        return (load_pem_private_key if is_pem else load_der_private_key)(data, passphrase)


class BaseStorage(ABC):
    """What every storage of tiny_ca 0.1 offers: one artefact at a time, without staging."""

    @abstractmethod
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
    ) -> Any:
        """Write *cert* to `[cert_path/][uuid/]<file_name><extension>`; give path and uuid."""

    @abstractmethod
    def delete_certificate_folder(self, uuid_str: str, cert_path: str | Path | None = None) -> Any:
        """Remove the folder *uuid_str*; true if it is gone."""
