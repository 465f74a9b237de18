"""`CRLIndex`: a CRL's file, opened once and asked often."""

import mmap
from base64 import b64decode
from binascii import Error as Base64Error
from pathlib import Path

from cryptography import x509

from tiny_ca.adapters.outbound.crypto.crl import verify_crl
from tiny_ca.domain.crl_index import EntryIndex
from tiny_ca.domain.errors import MalformedDER, StorageError, ValidationCertError
from tiny_ca.domain.records import CRLEntry, CRLStamp

__all__ = ["CRLIndex"]

_BEGIN, _END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"


class CRLIndex:
    """Answers for single serial numbers from a CRL of any size, that *ca* has signed.

    *crl* is the path of a file, which is mapped, or the octets themselves, as `PublishedCRL`
    has them; DER or PEM.  It takes eight octets of memory an entry.  The signature is verified
    when it is made; whether the CRL is current is for who asks to see in *stamp*.  A later CRL
    under the same path does not change it.  What a delta CRL lists may be revoked no more: its
    entry says removeFromCRL.  Raises `ValidationCertError` for what is no CRL of this CA,
    `StorageError` for a file that can't be read.
    """

    def __init__(self, crl: str | Path | bytes | memoryview, ca: x509.Certificate) -> None:
        data = crl if isinstance(crl, bytes | memoryview) else _mapped(Path(crl))
        reader = verify_crl(ca, _der(data))
        self.stamp: CRLStamp = reader.stamp
        """Its number, thisUpdate and nextUpdate."""
        self.base_number: int | None = reader.base_number
        """Of the complete CRL that it changes, if it is a delta CRL."""
        try:
            self._entries = EntryIndex(reader)
        except MalformedDER as error:
            raise ValidationCertError(f"The CRL's entries can't be read: {error}") from error

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, serial_number: int) -> bool:
        return self.get(serial_number) is not None

    def get(self, serial_number: int) -> CRLEntry | None:
        """Give the entry of a serial number, `None` if it is not listed."""
        return self._entries.find(serial_number)

    def __getitem__(self, serial_number: int) -> CRLEntry:
        entry = self.get(serial_number)
        if entry is None:
            raise KeyError(serial_number)
        return entry


def _mapped(path: Path) -> bytes | memoryview:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        # ValueError: an empty file can't be mapped.
        raise StorageError(f"The CRL {path} can't be read: {error}") from error


def _der(data: bytes | memoryview) -> bytes | memoryview:
    if bytes(data[:5]) != b"-----":
        return data
    text = bytes(data)
    begin, end = text.find(_BEGIN), text.find(_END)
    if begin < 0 or end < 0:
        raise ValidationCertError("The PEM holds no CRL.")
    try:
        return b64decode(text[begin + len(_BEGIN) : end])
    except Base64Error as error:
        raise ValidationCertError(f"The PEM of the CRL can't be read: {error}") from error
