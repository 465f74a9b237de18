"""A backup's rows as they are restored: what a newer CRL has revoked stays revoked."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tiny_ca.application.newer_crls import NewerCRL
from tiny_ca.domain.backup import RevokedAgain, Row
from tiny_ca.domain.crl import COMPLETE
from tiny_ca.domain.errors import BackupError
from tiny_ca.domain.records import CertificateStatus, CRLEntry
from tiny_ca.domain.revocation import CRLReason, Revocation, revoke
from tiny_ca.domain.serial import CertType, parse_serial_number

__all__ = ["CERTIFICATES", "ISSUERS", "PUBLISHED", "Corrections"]

CERTIFICATES, ISSUERS = "certificates", "certificate_issuers"
PUBLISHED = "published_crls"


class Corrections:
    """Changes the rows that pass through it, once, and remembers what it changed."""

    def __init__(
        self,
        newer: Mapping[str, Sequence[NewerCRL]],
        revoked: Mapping[tuple[str, int], CRLEntry],
        skip: int,
    ) -> None:
        self._newer = newer
        self._skip = skip
        # Later CRLs know better, and all know better than the backup itself.
        self._unknown = dict(revoked)
        for issuer_id, crls in newer.items():
            for crl in crls:
                for entry in crl.entries():
                    self._unknown[issuer_id, entry.serial_number] = entry
        self._missing_issuers = set(newer)
        self._unstamped = {
            issuer_id for issuer_id, crls in newer.items() if any(one.is_complete for one in crls)
        }
        self.revoked_again: list[RevokedAgain] = []

    def apply(
        self, pages: Iterator[tuple[str, list[dict[str, Any]]]]
    ) -> Iterator[tuple[str, list[Row]]]:
        """Give the pages as they are to be restored, and pages of what the backup lacks."""
        last = None
        is_complete = False
        for table, rows in pages:
            if table == CERTIFICATES and last != CERTIFICATES:
                yield ISSUERS, self._new_issuers()
            if table != CERTIFICATES and last == CERTIFICATES:
                yield CERTIFICATES, self._new_certificates()
                is_complete = True
            yield table, [self._corrected(table, row) for row in rows]
            last = table
        if not is_complete:
            yield ISSUERS, self._new_issuers()
            yield CERTIFICATES, self._new_certificates()
        yield PUBLISHED, [self._stamp_of(one) for one in sorted(self._unstamped)]

    def _corrected(self, table: str, row: dict[str, Any]) -> Row:
        try:
            if table == CERTIFICATES:
                return self._certificate(row)
            if table == PUBLISHED and row["scope"] == COMPLETE.name:
                return self._published(row)
            return self._issuer(row) if table == ISSUERS else row
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(
                f"A row of {table} in the archive can't be read: {error!r}"
            ) from error

    def _certificate(self, row: dict[str, Any]) -> Row:
        key = row["issuer_id"], int(row["serial_number"])
        entry = self._unknown.pop(key, None)
        if entry is None:
            return row
        current = _revocation_of(row)
        revocation = revoke(current, entry.revocation_reason, entry.revocation_date)
        if revocation == current:
            return row
        entry = CRLEntry(entry.serial_number, revocation.revocation_date, revocation.reason)
        self.revoked_again.append(RevokedAgain(key[0], entry, CertificateStatus(row["status"])))
        return {**row, **_revoked(entry), "name_claim": None}

    def _issuer(self, row: dict[str, Any]) -> Row:
        """Let CRL numbers go on above every one that can have been drawn (RFC 5280 §5.2.3)."""
        self._missing_issuers.discard(row["id"])
        numbers = [crl.number for crl in self._newer.get(row["id"], ())]
        drawn = max(row["drawn_crl_number"], *numbers, 0) + self._skip
        return {**row, "drawn_crl_number": drawn}

    def _published(self, row: dict[str, Any]) -> Row:
        issuer_id = row["issuer_id"]
        if issuer_id not in self._unstamped:
            return row
        self._unstamped.discard(issuer_id)
        return self._stamp_of(issuer_id)

    def _stamp_of(self, issuer_id: str) -> Row:
        """Say which complete CRL of a CA, newer than the backup, was published last."""
        stamp = [crl for crl in self._newer[issuer_id] if crl.is_complete][-1].stamp
        return {
            "issuer_id": issuer_id,
            "scope": COMPLETE.name,
            "number": stamp.number,
            "this_update": stamp.this_update.isoformat(),
            "next_update": stamp.next_update.isoformat(),
        }

    def _new_issuers(self) -> list[Row]:
        """Give rows of CAs that have a newer CRL, and no row in the backup."""
        missing = sorted(self._missing_issuers)
        return [
            self._issuer({"id": one, "drawn_crl_number": 0, "owns_crl_files": False})
            for one in missing
        ]

    def _new_certificates(self) -> list[Row]:
        """Give rows of what a newer CRL lists and the backup does not know.

        They keep the serial number taken and on the next CRL; the certificates themselves are
        nowhere to be had.
        """
        rows: list[Row] = []
        for (issuer_id, serial_number), entry in self._unknown.items():
            self.revoked_again.append(RevokedAgain(issuer_id, entry, CertificateStatus.UNKNOWN))
            cert_type, name = parse_serial_number(serial_number)
            date = entry.revocation_date.isoformat()
            ends = [crl.not_after for crl in self._newer.get(issuer_id, ())]
            rows.append(
                {
                    "serial_number": str(serial_number),
                    "issuer_id": issuer_id,
                    "common_name": name or f"{serial_number:x}",
                    "cert_type": (cert_type or CertType.DEVICE).value,
                    "not_before": date,
                    # When it ends is not known; nothing outlives its issuer.
                    "not_after": max(ends, default=entry.revocation_date).isoformat(),
                    "created_at": date,
                    "claims_name": True,
                    **_revoked(entry),
                }
            )
        self._unknown = {}
        return rows


def _revocation_of(row: Mapping[str, Any]) -> Revocation | None:
    if row["revocation_date"] is None:
        return None
    reason = CRLReason(row["revocation_reason"] or CRLReason.UNSPECIFIED)
    return Revocation(datetime.fromisoformat(row["revocation_date"]), reason)


def _revoked(entry: CRLEntry) -> Row:
    return {
        "status": CertificateStatus.REVOKED.value,
        "revocation_date": entry.revocation_date.isoformat(),
        "revocation_reason": entry.revocation_reason.value,
    }
