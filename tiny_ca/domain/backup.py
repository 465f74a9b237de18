"""Backups: what is in one, and what a restore found newer than it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tiny_ca.domain.errors import BackupError
from tiny_ca.domain.records import CertificateStatus, CRLEntry
from tiny_ca.domain.revocation import CRLReason

__all__ = [
    "FORMAT",
    "BackupManifest",
    "BackupPart",
    "JSONValue",
    "RestoreReport",
    "RevokedAgain",
    "Row",
    "crl_numbers_to_skip",
]

FORMAT = 1
"""The format of the archives that are written, and the only one that is read."""

JSONValue = str | int | float | bool | None | list["JSONValue"] | dict[str, "JSONValue"]
Row = Mapping[str, JSONValue]
"""A row of a table by its columns; datetimes are ISO 8601 in UTC, serial numbers decimal digits."""


@dataclass(frozen=True, slots=True)
class BackupPart:
    """A part of an archive: a table of the registry, the folders, or the CRLs."""

    name: str
    members: int
    items: int
    """Rows of a table; of other parts, files."""
    sha256: str
    """Of its members' names, lengths and bytes, in their order, in hex."""


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What a backup holds.

    Raises `BackupError` for a format that this version does not read.
    """

    format: int
    tiny_ca: str
    """The version that wrote it."""
    revision: str | None
    """Of the registry's schema; `None` for a registry that has none."""
    created_at: datetime
    """Aware UTC, whole seconds: just before the snapshot."""
    without_files: int
    """Valid certificates whose files the storage does not hold, 0 or more."""
    parts: tuple[BackupPart, ...]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BackupError(
                f"The archive has format {self.format}, made by tiny-ca {self.tiny_ca}; this "
                f"version reads format {FORMAT}: restore it with the version that made it."
            )

    def count(self, part: str) -> int:
        """Give how many items the part has; 0 if there is no such part."""
        return next((one.items for one in self.parts if one.name == part), 0)

    @property
    def certificates(self) -> int:
        """How many certificates are on record in it, in any status."""
        return self.count("registry/certificates")


@dataclass(frozen=True, slots=True)
class RevokedAgain:
    """A certificate that a newer CRL, or the backup's own last look, shows as revoked."""

    issuer_id: str
    entry: CRLEntry
    was: CertificateStatus
    """In the backup; `UNKNOWN`: it has no such serial number."""

    @property
    def serial_number(self) -> int:
        """The serial number, 1..2^159-1."""
        return self.entry.serial_number

    @property
    def reason(self) -> CRLReason:
        """Why it is revoked."""
        return self.entry.revocation_reason


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did, or would do."""

    manifest: BackupManifest
    revoked_again: tuple[RevokedAgain, ...]
    """What would be valid, or unknown, again if the backup had its way."""
    is_dry_run: bool = False


def crl_numbers_to_skip(created_at: datetime, now: datetime) -> int:
    """Give how far to skip, so that no CRL number drawn after the backup is drawn again.

    Nobody knows how many there were (RFC 5280 §5.2.3 wants them to rise): one a second, and a
    thousand for clocks that differ.
    """
    return 1000 + max(now - created_at, timedelta(0)) // timedelta(seconds=1)
