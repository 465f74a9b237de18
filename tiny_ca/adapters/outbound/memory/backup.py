"""Rows and files in memory, as a backup has them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePosixPath
from threading import RLock
from typing import Any, cast

from cryptography import x509

from tiny_ca.domain.backup import JSONValue, Row
from tiny_ca.domain.crl import CRLScope
from tiny_ca.domain.errors import BackupError, NotEmpty
from tiny_ca.domain.names import folder_path
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

__all__ = ["MemoryRestoration", "MemoryRows"]

_CERTIFICATES, _ISSUERS = "certificates", "certificate_issuers"
_PUBLISHED = "published_crls"
_OF_ITS_DATABASE = frozenset(
    {
        "certificate_removals",
        "deleted_revocations",
        "event_deliveries",
        "event_subscribers",
        "expiry_notices",
        "ocsp_responses",
        "publishing_leases",
        "revocations",
    }
)
"""Tables of what is still to be done there, for which nobody waits in memory, and of what
follows from the rows themselves."""
_COLUMNS = [one.name for one in fields(CertificateRecord) if one.name != "position"]
_READ: dict[str, Callable[[Any], Any]] = {
    "serial_number": int,
    "cert_type": CertType,
    "status": CertificateStatus,
    "revocation_reason": CRLReason,
    **dict.fromkeys(
        ("not_before", "not_after", "created_at", "revocation_date"), datetime.fromisoformat
    ),
}


def _dump(value: Any) -> JSONValue:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Enum):
        return cast("JSONValue", value.value)
    return cast("JSONValue", value)


def _record(row: Row) -> CertificateRecord:
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS if name in row}
    return CertificateRecord(
        **{
            name: _READ[name](value) if value is not None and name in _READ else value
            for name, value in found.items()
        }
    )


class MemoryRows:
    """What `MemoryRegistry` has of `ports.backup.BackupRegistry`."""

    _lock: RLock
    _rows: dict[tuple[str, int], CertificateRecord]
    _claims: dict[str, tuple[str, int]]
    _retry_keys: dict[str, tuple[str, int]]
    _issuer_rows: dict[str, list[tuple[str, int]]]
    _issuers: dict[str, Any]
    _files_owner: str | None

    def _state(self, issuer_id: str) -> Any: ...

    def _list_all(self) -> None: ...

    def _note_issuer(
        self, key: tuple[str, int], certificate: x509.Certificate, cert_type: CertType
    ) -> None: ...

    @property
    def revision(self) -> str | None:
        """Give `None`: rows in memory have no schema."""
        return None

    def export_rows(self, write: Callable[[str, Sequence[Row]], object]) -> None:
        """Call *write* with issuers, then certificates, all of one moment."""
        with self._lock:
            issuers: list[Row] = [
                {
                    "id": issuer_id,
                    "drawn_crl_number": state.drawn,
                    "owns_crl_files": issuer_id == self._files_owner,
                }
                for issuer_id, state in self._issuers.items()
            ]
            published: list[Row] = [
                {
                    "issuer_id": issuer_id,
                    "scope": scope.name,
                    "number": stamp.number,
                    "this_update": _dump(stamp.this_update),
                    "next_update": _dump(stamp.next_update),
                }
                for issuer_id, state in self._issuers.items()
                for scope, stamp in state.published.items()
            ]
            known = {row["id"] for row in issuers}
            unknown = {issuer_id for issuer_id, _ in self._rows} - known
            issuers += [
                {"id": one, "drawn_crl_number": 0, "owns_crl_files": False}
                for one in sorted(unknown)
            ]
            retry_keys = {key: name for name, key in self._retry_keys.items()}
            own_ids = {key: own for own, keys in self._issuer_rows.items() for key in keys}
            certificates = [
                {
                    **{name: _dump(getattr(row, name)) for name in _COLUMNS},
                    "serial_number": str(row.serial_number),
                    "name_claim": row.common_name
                    if self._claims.get(row.common_name) == key
                    else None,
                    "idempotency_key": retry_keys.get(key),
                    "own_issuer_id": own_ids.get(key),
                }
                for key, row in self._rows.items()
            ]
        tables = ((_ISSUERS, issuers), (_CERTIFICATES, certificates), (_PUBLISHED, published))
        for table, rows in tables:
            for start in range(0, len(rows), 1000):
                write(table, rows[start : start + 1000])

    def check_empty(self) -> None:
        """Raise `NotEmpty` if there is a row."""
        with self._lock:
            if self._rows or self._issuers:
                raise NotEmpty("The registry has rows: restore into a new one.")

    def import_rows(self, pages: Iterable[tuple[str, Sequence[Row]]]) -> None:
        """Write all rows, or raise `NotEmpty` or `BackupError`."""
        with self._lock:
            self.check_empty()
            try:
                for table, rows in pages:
                    for row in rows:
                        self._import(table, row)
                self._list_all()
            except BaseException as error:
                for kept in (self._rows, self._claims, self._retry_keys, self._issuers):
                    cast("dict[Any, Any]", kept).clear()
                if isinstance(error, (KeyError, TypeError, ValueError)):
                    raise BackupError(f"A row of the backup can't be read: {error!r}") from error
                raise

    def _import(self, table: str, row: Row) -> None:
        if table == _ISSUERS:
            state = self._state(str(row["id"]))
            state.drawn = row["drawn_crl_number"]
            if row["owns_crl_files"]:
                self._files_owner = str(row["id"])
        elif table == _PUBLISHED:
            self._import_published(row)
        elif table == _CERTIFICATES:
            self._import_certificate(row)
        elif table not in _OF_ITS_DATABASE:
            raise BackupError(f"A registry in memory has no table {table!r}.")

    def _import_published(self, row: Row) -> None:
        if row["this_update"] is not None:
            state = self._state(str(row["issuer_id"]))
            state.published[CRLScope.named(str(row["scope"]))] = CRLStamp(
                cast("int", row["number"]),
                datetime.fromisoformat(str(row["this_update"])),
                datetime.fromisoformat(str(row["next_update"])),
            )

    def _import_certificate(self, row: Row) -> None:
        record = _record(row)
        key = record.issuer_id, record.serial_number
        self._rows[key] = record
        if record.certificate_pem is not None:
            certificate = x509.load_pem_x509_certificate(record.certificate_pem.encode())
            self._note_issuer(key, certificate, record.cert_type)
        if row.get("name_claim") is not None:
            self._claims[str(row["name_claim"])] = key
        if row.get("idempotency_key") is not None:
            self._retry_keys[str(row["idempotency_key"])] = key


class MemoryRestoration:
    """Files that become visible at once: `ports.backup.Restoration`."""

    is_ready = False

    def __init__(self, publish: Callable[[Mapping[PurePosixPath, bytes]], None]) -> None:
        self._publish = publish
        self._files: dict[PurePosixPath, bytes] = {}

    def add(self, path: str, data: bytes) -> None:
        """Keep a file apart."""
        self._files[PurePosixPath(folder_path(path))] = data

    def make_ready(self) -> None:
        """Do nothing: memory is never durable."""

    def discard(self) -> None:
        """Forget the files."""
        self._files.clear()

    def publish(self) -> None:
        """Make everything visible."""
        self._publish(self._files)
