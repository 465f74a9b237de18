"""What a TLS context says of itself, and whom it trusts."""

import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext, SSLError

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from tiny_ca.domain.errors import ErrorLoadCert
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["load_identity", "load_roots"]

_OWN_FILES = Path("/proc/self/fd")


def load_identity(context: SSLContext, chain: Sequence[x509.Certificate], key: PrivateKey) -> None:
    """Have *context* show *chain*, its own certificate first, and prove it by *key*.

    The key touches no disk: it is handed over in memory (Linux), or else in a temporary file
    that is encrypted under a password of this one call.  Raises `ErrorLoadCert` when this
    Python's OpenSSL can't use them.
    """
    certificates = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    if hasattr(os, "memfd_create") and _OWN_FILES.is_dir():
        with _in_memory(certificates + _pkcs8(key, NoEncryption())) as path:
            _load(context, path, None)
    else:
        password = secrets.token_hex(32)
        encrypted = _pkcs8(key, BestAvailableEncryption(password.encode()))
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(certificates + encrypted)
            file.flush()
            _load(context, file.name, password)


def load_roots(context: SSLContext, roots: Sequence[x509.Certificate]) -> None:
    """Have *context* trust *roots*, beside what it trusts already."""
    context.load_verify_locations(cadata=b"".join(one.public_bytes(Encoding.DER) for one in roots))


def _pkcs8(key: PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("tiny-ca", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        yield f"{_OWN_FILES}/{descriptor}"


def _load(context: SSLContext, path: str, password: str | None) -> None:
    try:
        context.load_cert_chain(path, password=password)
    except SSLError as error:
        raise ErrorLoadCert(
            "the certificate into the TLS context",
            f"this Python's OpenSSL does not take it, or its kind of key ({error}).",
        ) from error
