"""Reading other programs' files: what can't be read is damage, and never nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from tiny_ca.domain.errors import DamagedHistory
from tiny_ca.ports.crypto import PrivateKey

__all__ = [
    "crl_number_in",
    "is_encrypted",
    "load_certificates",
    "load_csr",
    "load_key",
    "load_private_key",
    "names_in",
    "read",
    "reading",
]

_BEGIN = b"-----BEGIN"


@contextmanager
def reading(where: Path | str) -> Iterator[None]:
    """Turn what a file or a parser raises into `DamagedHistory`."""
    try:
        yield
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        # TypeError: a passphrase that is missing, or given for a key without one.
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DamagedHistory(str(where), f"{why}") from error


def read(path: Path) -> bytes:
    """Give what is in a file."""
    with reading(path):
        return path.read_bytes()


def names_in(folder: Path, extension: str) -> list[Path]:
    """Give the files of a folder that have an extension, by name; none if there is no folder."""
    with reading(folder):
        return sorted(folder.glob(f"*{extension}")) if folder.is_dir() else []


def load_certificates(path: Path) -> list[x509.Certificate]:
    """Give the certificates, one or more, of a file in PEM or DER."""
    data = read(path)
    with reading(path):
        if _BEGIN in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]


def load_csr(path: Path) -> x509.CertificateSigningRequest:
    """Give the request of a file in PEM."""
    data = read(path)
    with reading(path):
        return x509.load_pem_x509_csr(data)


def is_encrypted(path: Path) -> bool:
    """Whether a private key, in PEM, needs a passphrase."""
    return b"ENCRYPTED" in read(path)


def load_private_key(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Give the private key of a file in PEM or DER."""
    data = read(path)
    with reading(path):
        load: Any = load_pem_private_key if _BEGIN in data else load_der_private_key
        key: PrivateKey = load(data, passphrase)
    return key


def load_key(path: Path, passphrase: bytes | None, certificate: x509.Certificate) -> PrivateKey:
    """Give the private key of a certificate from a file in PEM or DER."""
    key = load_private_key(path, passphrase)
    if key.public_key() != certificate.public_key():
        raise DamagedHistory(str(path), "it is not the key of the certificate")
    return key


def crl_number_in(path: Path, authorities: list[x509.Certificate]) -> dict[int, int]:
    """Give the number of a CRL by the place of the CA that signed it; empty: there is no CRL."""
    if not path.exists():
        return {}
    data = read(path)
    with reading(path):
        load = x509.load_pem_x509_crl if _BEGIN in data else x509.load_der_x509_crl
        crl = load(data)
        for place, authority in enumerate(authorities):
            if _is_signed_by(crl, authority):
                return {place: _number_of(crl)}
    raise DamagedHistory(str(path), "no CA of this history has signed it")


def _is_signed_by(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key: Any = authority.public_key()
    try:
        return crl.issuer == authority.subject and crl.is_signature_valid(key)
    except TypeError:
        # Of another kind than the signature.
        return False


def _number_of(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0
