"""Issuers, claims on names, and where files lie; every row of tiny_ca 0.1.1 is kept.

What a certificate says itself is read from the certificate.  When several valid rows share
a common name, the newest that has not ended claims it and the others stay valid beside it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from cryptography import x509
from cryptography.x509.oid import NameOID

from tiny_ca.domain.errors import RegistryError
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType, parse_serial_number
from tiny_ca.ports.issuer import issuer_id_of

revision = "0002"
down_revision = "0001"

_PAGE = 500
_OLD = "certificates_of_0_1"


def _new_tables() -> tuple[sa.Table, sa.Table]:
    issuers = op.create_table(
        "certificate_issuers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("drawn_crl_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("published_crl_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crl_this_update", sa.DateTime),
        sa.Column("crl_next_update", sa.DateTime),
        sa.PrimaryKeyConstraint("id", name="pk_certificate_issuers"),
    )
    certificates = op.create_table(
        "certificates",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("serial_number", sa.String(49), nullable=False),
        sa.Column("issuer_id", sa.String(32), nullable=False),
        sa.Column("common_name", sa.String(255), nullable=False),
        sa.Column("name_claim", sa.String(255)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("cert_type", sa.String(8), nullable=False),
        sa.Column("not_before", sa.DateTime, nullable=False),
        sa.Column("not_after", sa.DateTime, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("certificate_pem", sa.Text),
        sa.Column("revocation_date", sa.DateTime),
        sa.Column("revocation_reason", sa.String(32)),
        sa.Column("uuid", sa.String(255)),
        sa.Column("cert_path", sa.String(1024)),
        sa.Column("file_name", sa.String(255)),
        sa.Column("idempotency_key", sa.String(280)),
        sa.Column("request_hash", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["certificate_issuers.id"], name="fk_certificates_issuer_id"
        ),
        sa.UniqueConstraint(
            "serial_number", "issuer_id", name="uq_certificates_serial_number_issuer_id"
        ),
        sa.UniqueConstraint("name_claim", name="uq_certificates_name_claim"),
        sa.UniqueConstraint("idempotency_key", name="uq_certificates_idempotency_key"),
    )
    partial = {
        "ix_certificates_revoked": ("status = 'revoked'", ["issuer_id", "id"]),
        "ix_certificates_pending": ("status = 'pending'", ["created_at"]),
        "ix_certificates_authorities": ("cert_type = 'CA'", ["id"]),
    }
    for name, (condition, columns) in partial.items():
        where = sa.text(condition)
        op.create_index(name, "certificates", columns, sqlite_where=where, postgresql_where=where)
    return issuers, certificates


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _type_of(row: sa.Row[Any]) -> str:
    try:
        return CertType(row.key_type).value
    except ValueError:
        parsed, _ = parse_serial_number(int(row.serial_number))
        return (parsed or CertType.DEVICE).value


def _reason_of(row: sa.Row[Any]) -> CRLReason:
    """0.1.1 kept whatever it was given; a reason that says nothing must not undo a revocation."""
    try:
        reason = CRLReason(row.revocation_reason)
    except ValueError:
        return CRLReason.UNSPECIFIED
    # RFC 5280 §5.3.1: removeFromCRL is for delta CRLs, and tells a verifier the opposite.
    return CRLReason.UNSPECIFIED if reason is CRLReason.REMOVE_FROM_CRL else reason


def _migrated(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    try:
        return _values(row, now)
    except Exception as error:
        # Whatever a broken certificate makes its parser raise.
        raise RegistryError(
            f"Row {row.id} of tiny_ca 0.1's registry ({row.common_name!r}, serial number "
            f"{row.serial_number}) can't be migrated: {error}. Nothing was changed: repair or "
            "remove that row, and open the registry again."
        ) from error


def _values(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(row.certificate_pem.encode())
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    not_after = _naive(certificate.not_valid_after_utc)
    is_revoked = row.revocation_date is not None or row.status == "revoked"
    is_over = not_after < now
    return {
        "id": row.id,
        "serial_number": str(certificate.serial_number),
        "issuer_id": issuer_id_of(certificate),
        "common_name": str(names[0].value) if names else row.common_name,
        "status": "revoked" if is_revoked else "expired" if is_over else "valid",
        "cert_type": _type_of(row),
        "not_before": _naive(certificate.not_valid_before_utc),
        "not_after": not_after,
        "created_at": _naive(certificate.not_valid_before_utc),
        "certificate_pem": row.certificate_pem,
        "revocation_date": (row.revocation_date or now) if is_revoked else None,
        "revocation_reason": _reason_of(row).value if is_revoked else None,
        "uuid": row.uuid,
    }


def _pages(connection: sa.Connection, old: sa.TableClause) -> Iterator[list[sa.Row[Any]]]:
    """Newest first, so that the newest of a name gets its claim."""
    before: int | None = None
    while True:
        query = sa.select(old).order_by(old.c.id.desc()).limit(_PAGE)
        if before is not None:
            query = query.where(old.c.id < before)
        rows = list(connection.execute(query))
        if not rows:
            return
        yield rows
        before = rows[-1].id


def upgrade() -> None:
    """Move every row of the table of 0.1.1 into the new one."""
    connection = op.get_bind()
    op.drop_index("ix_certificates_serial_number", "certificates")
    op.drop_index("ix_certificates_not_valid_after", "certificates")
    if connection.dialect.name == "postgresql":
        # Renaming a table leaves its constraints their names, which the new table's would take.
        op.execute("ALTER INDEX IF EXISTS certificates_pkey RENAME TO certificates_of_0_1_pkey")
    op.rename_table("certificates", _OLD)
    issuers, certificates = _new_tables()
    old = sa.table(
        _OLD,
        sa.column("id", sa.Integer),
        *(
            sa.column(name, sa.String)
            for name in ("serial_number", "status", "common_name", "key_type", "certificate_pem")
        ),
        sa.column("revocation_date", sa.DateTime),
        sa.column("revocation_reason", sa.String),
        sa.column("uuid", sa.String),
    )
    now = _naive(datetime.now(UTC))
    known: set[str] = set()
    claimed: set[str] = set()
    for rows in _pages(connection, old):
        migrated = [_migrated(row, now) for row in rows]
        for row in migrated:
            is_claimed = row["status"] != "valid" or row["common_name"] in claimed
            row["name_claim"] = None if is_claimed else row["common_name"]
            claimed.update({row["common_name"]} - {None} if row["name_claim"] else ())
        fresh = {row["issuer_id"] for row in migrated} - known
        if fresh:
            connection.execute(sa.insert(issuers), [{"id": issuer_id} for issuer_id in fresh])
            known |= fresh
        connection.execute(sa.insert(certificates), migrated)
    op.drop_table(_OLD)
    if connection.dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('certificates', 'id'), "
            "(SELECT COALESCE(MAX(id), 0) + 1 FROM certificates), false)"
        )
