"""`EasyRSAFolder`: what easy-rsa has kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography import x509

from tiny_ca.adapters.outbound.history.files import (
    crl_number_in,
    is_encrypted,
    load_certificates,
    load_csr,
    load_key,
    names_in,
    reading,
)
from tiny_ca.adapters.outbound.history.index import entry_of, last_crl_number, read_index
from tiny_ca.domain.openssl_index import index_serial_number
from tiny_ca.ports.history import HistoryEntry, PastAuthority
from tiny_ca.ports.storage import Artefacts

__all__ = ["EasyRSAFolder"]

# Certificates, their keys and their requests.  The later of two files of a certificate counts.
_BY_SERIAL = (
    ("certs_by_serial", ".pem", None, None),
    ("renewed/certs_by_serial", ".crt", "renewed/private_by_serial", "renewed/reqs_by_serial"),
    ("revoked/certs_by_serial", ".crt", "revoked/private_by_serial", "revoked/reqs_by_serial"),
)
_BY_NAME = (
    # Its key may be that of the certificate which took its place.
    ("expired", None, None),
    ("renewed/issued", "renewed/private", "renewed/reqs"),
    ("issued", "private", "reqs"),
)


@dataclass(frozen=True, slots=True)
class _Files:
    certificate: Path
    key: Path | None
    csr: Path | None


class EasyRSAFolder:
    """The `pki` folder of easy-rsa 3.

    *passphrase* opens the CA's key, and *key_passphrases* those of other keys by their names
    without `.key`: one that is encrypted and has none stays where it is, and `remarks` names
    it.  Without *with_ca_key* the CA's key stays where it is, too.  Certificates of `issued`,
    `renewed`, `revoked` and `expired` are found, with their keys and requests.  Implements
    `ports.history.HistorySource`.
    """

    def __init__(
        self,
        pki: str | Path,
        *,
        passphrase: bytes | str | None = None,
        key_passphrases: Mapping[str, bytes | str] | None = None,
        with_ca_key: bool = True,
    ) -> None:
        self._base = Path(pki)
        self._passphrase = _octets(passphrase)
        self._passphrases = {name: _octets(one) for name, one in (key_passphrases or {}).items()}
        self._with_ca_key = with_ca_key

    def authorities(self) -> Sequence[PastAuthority]:
        """Give the CA.  Raises `DamagedHistory`."""
        path = self._base / "ca.crt"
        certificate, *chain = load_certificates(path)
        key = None
        if self._with_ca_key:
            key = load_key(self._base / "private" / "ca.key", self._passphrase, certificate)
        numbers = crl_number_in(self._base / "crl.pem", [certificate])
        number = max(last_crl_number(self._base / "crlnumber"), *numbers.values(), 0)
        return [PastAuthority(str(path), certificate, key, tuple(chain), number)]

    def entries(self) -> Iterator[HistoryEntry]:
        """Give every row of the index, with its files.  Raises `DamagedHistory`."""
        known = self._files()
        for where, row in read_index(self._base / "index.txt"):
            files = known.get(row.serial_number)
            load = None
            if files is not None and files.key is not None and self._can_open(files.key):
                load = partial(self._load, files)
            yield entry_of(where, row, None if files is None else files.certificate, load)

    def remarks(self) -> Iterator[str]:
        """Name certificates that no row tells of, and keys that stay.  Raises `DamagedHistory`."""
        index = self._base / "index.txt"
        listed = {row.serial_number for _, row in read_index(index)}
        for serial_number, files in self._files().items():
            if serial_number not in listed:
                yield f"{files.certificate} is not taken over: no row of {index} tells of it."
            elif files.key is not None and not self._can_open(files.key):
                yield f"{files.key} stays: it is encrypted, and key_passphrases has none for it."

    def _can_open(self, key: Path) -> bool:
        return key.stem in self._passphrases or not is_encrypted(key)

    def _load(self, files: _Files, certificate: x509.Certificate) -> Artefacts:
        key = None
        if files.key is not None:
            passphrase = self._passphrases.get(files.key.stem) if is_encrypted(files.key) else None
            key = load_key(files.key, passphrase, certificate)
        csr = None if files.csr is None else load_csr(files.csr)
        return Artefacts(certificate, key, csr)

    def _files(self) -> dict[int, _Files]:
        """Give the files by serial number."""
        found: dict[int, _Files] = {}
        for certificates, extension, keys, csrs in _BY_SERIAL:
            for path in names_in(self._base / certificates, extension):
                with reading(path):
                    serial_number = index_serial_number(path.stem)
                found[serial_number] = self._with(path, keys, csrs)
        for certificates, keys, csrs in _BY_NAME:
            for path in names_in(self._base / certificates, ".crt"):
                serial_number = load_certificates(path)[0].serial_number
                found[serial_number] = self._with(path, keys, csrs)
        return found

    def _with(self, certificate: Path, keys: str | None, csrs: str | None) -> _Files:
        return _Files(
            certificate,
            self._beside(keys, f"{certificate.stem}.key"),
            self._beside(csrs, f"{certificate.stem}.req"),
        )

    def _beside(self, folder: str | None, name: str) -> Path | None:
        path = None if folder is None else self._base / folder / name
        return path if path is not None and path.exists() else None


def _octets(passphrase: bytes | str | None) -> bytes | None:
    return passphrase.encode() if isinstance(passphrase, str) else passphrase
