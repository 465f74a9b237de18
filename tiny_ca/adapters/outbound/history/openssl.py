"""`OpenSSLFolder`: what `openssl ca` has kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tiny_ca.adapters.outbound.history.files import (
    crl_number_in,
    load_certificates,
    load_key,
    names_in,
    reading,
)
from tiny_ca.adapters.outbound.history.index import (
    entry_of,
    last_crl_number,
    name_of_serial,
    read_index,
)
from tiny_ca.domain.errors import DamagedHistory
from tiny_ca.domain.openssl_index import index_serial_number
from tiny_ca.ports.history import HistoryEntry, PastAuthority

__all__ = ["OpenSSLFolder"]


class OpenSSLFolder:
    """The folder of an `openssl ca`, with the names that its configuration gives to the files.

    *certificate*, *private_key*, *database*, *new_certs* (`new_certs_dir`), *crl_number* and
    *crl* are paths in *folder*, or absolute ones.  *passphrase* opens the private key; `None`
    for *private_key*: it stays elsewhere, and for *new_certs*: only the rows are left.  Files
    beyond the first certificate in *certificate* are CAs above it.  The names of *crl_number*
    and *crl* need not exist.  Implements `ports.history.HistorySource`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        passphrase: bytes | str | None = None,
        certificate: str | Path = "cacert.pem",
        private_key: str | Path | None = "private/cakey.pem",
        database: str | Path = "index.txt",
        new_certs: str | Path | None = "newcerts",
        crl_number: str | Path = "crlnumber",
        crl: str | Path = "crl.pem",
    ) -> None:
        base = Path(folder)
        self._passphrase = passphrase.encode() if isinstance(passphrase, str) else passphrase
        self._certificate = base / certificate
        self._key = None if private_key is None else base / private_key
        self._database = base / database
        self._new_certs = None if new_certs is None else base / new_certs
        self._crl_number = base / crl_number
        self._crl = base / crl

    def authorities(self) -> Sequence[PastAuthority]:
        """Give the CA.  Raises `DamagedHistory`."""
        certificate, *chain = load_certificates(self._certificate)
        key = None
        if self._key is not None:
            key = load_key(self._key, self._passphrase, certificate)
        numbers = crl_number_in(self._crl, [certificate])
        number = max(last_crl_number(self._crl_number), *numbers.values(), 0)
        return [PastAuthority(str(self._certificate), certificate, key, tuple(chain), number)]

    def entries(self) -> Iterator[HistoryEntry]:
        """Give every row of the index, with its certificate.  Raises `DamagedHistory`."""
        if self._new_certs is not None and not self._new_certs.is_dir():
            raise DamagedHistory(str(self._new_certs), "there is no such folder")
        for where, row in read_index(self._database):
            path = None
            if self._new_certs is not None:
                path = self._new_certs / f"{name_of_serial(row.serial_number)}.pem"
                path = path if path.exists() else None
            yield entry_of(where, row, path)

    def remarks(self) -> Iterator[str]:
        """Name the certificates that no row tells of.  Raises `DamagedHistory`."""
        if self._new_certs is None:
            return
        known = {row.serial_number for _, row in read_index(self._database)}
        for path in names_in(self._new_certs, ".pem"):
            with reading(path):
                serial_number = index_serial_number(path.stem)
            if serial_number not in known:
                yield f"{path} is not taken over: no row of {self._database} tells of it."
