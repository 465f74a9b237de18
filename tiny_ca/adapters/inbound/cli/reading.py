"""Files and streams that people name on the command line."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_ca.domain.errors import ErrorLoadCert, InvalidRequest, NotExistCertFile

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["certificates_in", "check_writable", "content_of", "crls_in", "is_file"]

_AT_MOST = 1 << 26
"""Octets that are read of a file, 64 MiB: CRLs are long."""


def check_writable(path: Path) -> None:
    """Refuse, before anything is changed, a file that can't be written afterwards.

    Raises `InvalidRequest`.
    """
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidRequest(f"{path} can't be written: name a file in a folder that is there.")


def content_of(name: str) -> bytes:
    """Give what is in a file, or for `-` in the standard input.

    Raises `NotExistCertFile`, `ErrorLoadCert` for more than 64 MiB, `OSError`.
    """
    if name == "-":
        data = sys.stdin.buffer.read(_AT_MOST + 1)
    elif not Path(name).exists():
        raise NotExistCertFile(name)
    else:
        with Path(name).open("rb") as file:
            data = file.read(_AT_MOST + 1)
    if len(data) > _AT_MOST:
        raise ErrorLoadCert(name, "it is longer than 64 MiB.")
    return data


def certificates_in(name: str) -> "list[x509.Certificate]":
    """Give the certificates of a file, PEM or DER.  Raises `ErrorLoadCert` if it has none."""
    from cryptography import x509

    data = content_of(name)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except ValueError as error:
        raise ErrorLoadCert(name, f"it holds no certificate ({error}).") from error


def crls_in(name: str) -> "list[x509.CertificateRevocationList]":
    """Give the CRL of a file, PEM or DER, in a list.  Raises `ErrorLoadCert` if it is none."""
    from cryptography import x509

    data = content_of(name)
    try:
        load = x509.load_pem_x509_crl if b"-----BEGIN" in data else x509.load_der_x509_crl
        return [load(data)]
    except ValueError as error:
        raise ErrorLoadCert(name, f"it is no CRL ({error}).") from error


def is_file(name: str) -> bool:
    """Whether a file, or the standard input, is meant, and not a certificate on record."""
    return name == "-" or "/" in name or Path(name).is_file()
