"""What `openssl ca` keeps in text files."""

from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509

from tiny_ca.adapters.outbound.history.files import load_certificates, read, reading
from tiny_ca.domain.errors import DamagedHistory
from tiny_ca.domain.openssl_index import IndexRow, index_serial_number, parse_index_row
from tiny_ca.ports.history import HistoryEntry
from tiny_ca.ports.storage import Artefacts

__all__ = ["entry_of", "last_crl_number", "name_of_serial", "read_index"]


def read_index(path: Path) -> Iterator[tuple[str, IndexRow]]:
    """Give the rows of an `index.txt`, each with the place that it has."""
    with reading(path), path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\n")
            if text and not text.startswith("#"):
                where = f"{path}, line {number}"
                with reading(where):
                    row = parse_index_row(text)
                yield where, row


def name_of_serial(serial_number: int) -> str:
    """Give the name, without extension, of the file that is called by a serial number."""
    digits = f"{serial_number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


def last_crl_number(path: Path) -> int:
    """Give the number before the one in a `crlnumber` file; 0: there is no such file."""
    if not path.exists():
        return 0
    text = read(path)
    with reading(path):
        return max(index_serial_number(text.decode("ascii").strip()) - 1, 0)


def entry_of(
    where: str,
    row: IndexRow,
    path: Path | None,
    load_files: Callable[[x509.Certificate], Artefacts] | None = None,
) -> HistoryEntry:
    """Make an entry of a row and the file that its certificate is in, if there is one."""
    certificate = None
    if path is not None:
        certificate = load_certificates(path)[0]
        _check(where, row, path, certificate)
    load = None
    if load_files is not None and certificate is not None:
        load = _loading(load_files, certificate)
    return HistoryEntry(
        where=where if path is None else f"{where}, {path}",
        serial_number=row.serial_number,
        common_name=row.common_name,
        not_after=row.not_after,
        is_expired=row.is_expired,
        revocation=row.revocation,
        invalidity_date=row.invalidity_date,
        certificate=certificate,
        load_files=load,
    )


def _loading(
    load_files: Callable[[x509.Certificate], Artefacts], certificate: x509.Certificate
) -> Callable[[], Artefacts]:
    return lambda: load_files(certificate)


def _check(where: str, row: IndexRow, path: Path, certificate: x509.Certificate) -> None:
    if certificate.serial_number != row.serial_number:
        raise DamagedHistory(
            where, f"{path} has the serial number {certificate.serial_number:X}, and not this one"
        )
    if certificate.not_valid_after_utc != row.not_after:
        raise DamagedHistory(
            where,
            f"it ends at {row.not_after.isoformat()}, and {path} at "
            f"{certificate.not_valid_after_utc.isoformat()}",
        )
