"""`OldRegistry`: what tiny_ca 0.1 and 0.2 have kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    create_engine,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from tiny_ca.adapters.outbound.history.files import (
    crl_number_in,
    load_certificates,
    load_csr,
    load_key,
    load_private_key,
    names_in,
    reading,
)
from tiny_ca.domain.errors import DamagedHistory
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.history import HistoryEntry, PastAuthority
from tiny_ca.ports.issuer import is_ca, is_self_issued
from tiny_ca.ports.storage import Artefacts

__all__ = ["OldRegistry"]

_SUBORDINATE = "intermediate_ca.pem"
"""What 0.2 called the file of a subordinate CA, which it did not put on record."""
_CA_KEYS = ("ca.key", "intermediate_ca.key")
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
    "postgresql+asyncpg": "postgresql+psycopg",
    "sqlite+aiosqlite": "sqlite",
}
_old = Table(
    "certificates",
    MetaData(),
    Column("id", Integer, primary_key=True),
    *(
        Column(name, String)
        for name in (
            "serial_number",
            "common_name",
            "status",
            "key_type",
            "certificate_pem",
            "revocation_reason",
            "uuid",
        )
    ),
    Column("not_valid_after", DateTime),
    Column("revocation_date", DateTime),
)


class OldRegistry:
    """The registry of tiny_ca 0.1 or 0.2, and the folder of its files, in another place.

    *db_url* is the URL that the registry had; it is only read.  Without a *folder* there are no
    keys.  *passphrase* opens the keys, if they are encrypted.  A registry that is opened where
    it is needs none of this: it is migrated.  Implements `ports.history.HistorySource`.
    """

    def __init__(
        self,
        db_url: str,
        folder: str | Path | None = None,
        *,
        passphrase: bytes | str | None = None,
    ) -> None:
        self._url = db_url
        self._base = None if folder is None else Path(folder)
        self._passphrase = passphrase.encode() if isinstance(passphrase, str) else passphrase

    def authorities(self) -> Sequence[PastAuthority]:
        """Give every CA on record, and every subordinate one in the folder."""
        folders = self._folders()
        found: dict[x509.Certificate, str] = {}
        for row in self._rows(_old.c.key_type == CertType.CA.value):
            certificate = _certificate_of(row)
            if is_ca(certificate):
                found[certificate] = _where(row)
        for path in sorted(folder / _SUBORDINATE for folder in folders.values()):
            if path.exists():
                found.setdefault(load_certificates(path)[0], str(path))
        certificates = sorted(found, key=lambda one: not is_self_issued(one))
        keys = self._ca_keys()
        numbers = {}
        if self._base is not None:
            numbers = crl_number_in(self._base / "crl.pem", certificates)
        return [
            PastAuthority(
                found[certificate],
                certificate,
                next((one for one in keys if one.public_key() == certificate.public_key()), None),
                crl_number=numbers.get(place, 0),
            )
            for place, certificate in enumerate(certificates)
        ]

    def entries(self) -> Iterator[HistoryEntry]:
        """Give every row, in the order in which they were written."""
        folders = self._folders()
        for row in self._rows():
            yield self._entry(row, folders)

    def remarks(self) -> Iterator[str]:
        """Give nothing: what is there is taken over."""
        return iter(())

    def _entry(self, row: Row[Any], folders: dict[str, Path]) -> HistoryEntry:
        certificate = _certificate_of(row)
        files = _files_in(folders.get(row.uuid or ""), certificate)
        return HistoryEntry(
            where=_where(row),
            serial_number=certificate.serial_number,
            common_name=row.common_name,
            not_after=certificate.not_valid_after_utc,
            revocation=_revocation_of(row),
            certificate=certificate,
            cert_type=_type_of(row),
            file_name=None if files is None else files.stem,
            load_files=None if files is None else self._loading(files, certificate),
        )

    def _loading(self, files: Path, certificate: x509.Certificate) -> Any:
        def load() -> Artefacts:
            csr = files.with_suffix(".csr")
            return Artefacts(
                certificate,
                load_key(files.with_suffix(".key"), self._passphrase, certificate),
                load_csr(csr) if csr.exists() else None,
            )

        return load

    def _rows(self, *conditions: Any) -> Iterator[Row[Any]]:
        with self._connected() as connection:
            query = select(_old).where(*conditions).order_by(_old.c.id)
            options = {"stream_results": True, "yield_per": 1000}
            yield from connection.execute(query, execution_options=options)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            engine = create_engine(_read_only(self._url))
            try:
                with engine.connect() as connection:
                    self._check(connection)
                    yield connection
            finally:
                engine.dispose()
        except (SQLAlchemyError, ImportError) as error:
            cause = getattr(error, "orig", None) or error
            raise DamagedHistory("The old registry", f"its database failed: {cause}") from error

    def _check(self, connection: Connection) -> None:
        inspector, columns = inspect(connection), set[str]()
        if inspector.has_table(_old.name):
            columns = {column["name"] for column in inspector.get_columns(_old.name)}
        if not {column.name for column in _old.c} <= columns:
            raise DamagedHistory(
                "The old registry",
                "it has no table of tiny_ca 0.1 or 0.2. Back one of this version up, and restore "
                "it, instead.",
            )

    def _folders(self) -> dict[str, Path]:
        """Give every folder below the base by its name, which is a certificate's uuid."""
        if self._base is None:
            return {}
        with reading(self._base):
            if not self._base.is_dir():
                raise ValueError("there is no such folder")
            return {path.name: path for path in self._base.rglob("*") if path.is_dir()}

    def _ca_keys(self) -> list[PrivateKey]:
        """Load every CA's key: 0.2 may have put a subordinate's into a folder of its own."""
        if self._base is None:
            return []
        with reading(self._base):
            paths = [path for name in _CA_KEYS for path in sorted(self._base.rglob(name))]
        return [load_private_key(path, self._passphrase) for path in paths]


def _read_only(db_url: str) -> URL:
    url = make_url(db_url)
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() == "sqlite" and url.database:
        # It would be made, if it were not there.
        path = Path(url.database).absolute().as_uri()
        return url.set(database=path, query={"mode": "ro", "uri": "true"})
    return url


def _where(row: Row[Any]) -> str:
    return f"The old registry, row {row.id} ({row.common_name!r})"


def _certificate_of(row: Row[Any]) -> x509.Certificate:
    with reading(_where(row)):
        certificate = x509.load_pem_x509_certificate((row.certificate_pem or "").encode())
        if str(certificate.serial_number) != row.serial_number:
            raise ValueError(f"its certificate has the serial number {certificate.serial_number}")
    return certificate


def _files_in(folder: Path | None, certificate: x509.Certificate) -> Path | None:
    """Give the file of a certificate whose key lies beside it."""
    for path in [] if folder is None else names_in(folder, ".pem"):
        if path.with_suffix(".key").exists() and load_certificates(path)[0] == certificate:
            return path
    return None


def _type_of(row: Row[Any]) -> CertType | None:
    try:
        return CertType(row.key_type)
    except ValueError:
        return None


def _revocation_of(row: Row[Any]) -> Revocation | None:
    if row.revocation_date is None and row.status != "revoked":
        return None
    if row.revocation_date is None:
        raise DamagedHistory(_where(row), "it is revoked, and has no date")
    date: datetime = row.revocation_date
    try:
        reason = CRLReason(row.revocation_reason)
    except ValueError:
        # They kept whatever they were given; it must not undo the revocation.
        reason = CRLReason.UNSPECIFIED
    if reason is CRLReason.REMOVE_FROM_CRL:
        # RFC 5280 §5.3.1: for delta CRLs, where it tells the opposite.
        reason = CRLReason.UNSPECIFIED
    return Revocation(date.replace(tzinfo=UTC, microsecond=0), reason)
