"""How a backup lies in an archive: `registry/<table>/<n>.jsonl`, `folders/...`, `crls/<name>`.

`revoked.jsonl` holds what was revoked, and lost its files, while the backup ran.  The manifest
is the last member: it has the digest of every part before it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tiny_ca.domain.backup import BackupManifest, BackupPart, Row
from tiny_ca.domain.errors import BackupError, UnsafePath
from tiny_ca.domain.names import path_segment
from tiny_ca.domain.records import CRLEntry
from tiny_ca.domain.revocation import CRLReason

__all__ = [
    "CERTIFICATES",
    "CRLS",
    "FOLDERS",
    "MANIFEST",
    "REGISTRY",
    "REVOKED",
    "Tally",
    "check_name",
    "dump_manifest",
    "dump_revoked",
    "dump_rows",
    "load_manifest",
    "load_revoked",
    "load_rows",
    "part_of",
]

REGISTRY, FOLDERS, CRLS = "registry", "folders", "crls"
CERTIFICATES = f"{REGISTRY}/certificates"
REVOKED, MANIFEST = "revoked.jsonl", "manifest.json"


def part_of(name: str) -> str:
    """Give the part that a member belongs to."""
    first, _, rest = name.partition("/")
    return f"{REGISTRY}/{rest.partition('/')[0]}" if first == REGISTRY else first


def check_name(name: str) -> None:
    """Raise `BackupError` for a member that no backup has: above all, one that would escape."""
    segments = name.split("/")
    try:
        for segment in segments:
            path_segment(segment)
    except UnsafePath as error:
        raise BackupError(f"The archive has a member {name[:80]!r}: {error}") from error
    depth, first = len(segments), segments[0]
    is_ours = {
        REGISTRY: depth == 3 and name.endswith(".jsonl"),
        FOLDERS: depth >= 3,
        CRLS: depth == 2,
        REVOKED: depth == 1,
        MANIFEST: depth == 1,
    }
    if not is_ours.get(first, False):
        raise BackupError(f"The archive has a member {name[:80]!r}, which no backup has.")


class Tally:
    """Counts and digests the members of an archive, part by part."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._members: dict[str, int] = {}
        self._items: dict[str, int] = {}

    def add(self, name: str, data: bytes, items: int = 1) -> None:
        """Take a member into account, in its turn."""
        part = part_of(name)
        digest = self._digests.setdefault(part, hashlib.sha256())
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
        self._members[part] = self._members.get(part, 0) + 1
        self._items[part] = self._items.get(part, 0) + items

    def items(self, part: str) -> int:
        """Give how many items of a part there were."""
        return self._items.get(part, 0)

    def parts(self) -> tuple[BackupPart, ...]:
        """Give what there was, in its order."""
        return tuple(
            BackupPart(name, self._members[name], self._items[name], digest.hexdigest())
            for name, digest in self._digests.items()
        )


def dump_rows(rows: Sequence[Row]) -> bytes:
    """Write rows as lines of JSON."""
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def load_rows(data: bytes) -> list[dict[str, Any]]:
    """Read what `dump_rows` wrote.  Raises `BackupError`."""
    try:
        rows = [json.loads(line) for line in data.splitlines()]
    except ValueError as error:
        raise BackupError(f"The archive holds rows that are no JSON: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise BackupError("The archive holds rows that are no objects.")
    return rows


def dump_revoked(issuer_id: str, entry: CRLEntry) -> Row:
    """Give a line of `revoked.jsonl`."""
    return {
        "issuer_id": issuer_id,
        "serial_number": str(entry.serial_number),
        "revocation_date": entry.revocation_date.isoformat(),
        "revocation_reason": entry.revocation_reason.value,
    }


def load_revoked(data: bytes) -> Iterator[tuple[str, CRLEntry]]:
    """Read `revoked.jsonl`: issuers' ids and entries.  Raises `BackupError`."""
    for row in load_rows(data):
        try:
            yield (
                str(row["issuer_id"]),
                CRLEntry(
                    int(row["serial_number"]),
                    datetime.fromisoformat(row["revocation_date"]),
                    CRLReason(row["revocation_reason"]),
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"{REVOKED} in the archive can't be read: {error!r}") from error


def dump_manifest(manifest: BackupManifest) -> bytes:
    """Write a manifest as JSON."""
    value = {
        "format": manifest.format,
        "tiny_ca": manifest.tiny_ca,
        "revision": manifest.revision,
        "created_at": manifest.created_at.isoformat(),
        "without_files": manifest.without_files,
        "parts": {
            part.name: {"members": part.members, "items": part.items, "sha256": part.sha256}
            for part in manifest.parts
        },
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def load_manifest(data: bytes) -> BackupManifest:
    """Read a manifest.  Raises `BackupError`."""
    try:
        value: Mapping[str, Any] = json.loads(data)
        if value["format"] != 1:
            # Of another format nothing else is known.
            created_at, parts = datetime.min, {}  # noqa: DTZ901
        else:
            created_at, parts = datetime.fromisoformat(value["created_at"]), value["parts"]
        return BackupManifest(
            format=value["format"],
            tiny_ca=str(value["tiny_ca"]),
            revision=value.get("revision"),
            created_at=created_at,
            without_files=value.get("without_files", 0),
            parts=tuple(
                BackupPart(name, part["members"], part["items"], part["sha256"])
                for name, part in parts.items()
            ),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BackupError(f"The archive's manifest can't be read: {error!r}") from error
