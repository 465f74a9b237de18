"""Indexes for lists, and notes of deleted rows: where their files lie, what CRLs listed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the indexes and the tables."""
    op.create_table(
        "certificate_removals",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.String(255), nullable=False),
        sa.Column("cert_path", sa.String(1024)),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificate_removals"),
    )
    op.create_table(
        "deleted_revocations",
        sa.Column("issuer_id", sa.String(32), nullable=False),
        sa.Column("serial_number", sa.String(49), nullable=False),
        sa.Column("crl_number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("issuer_id", "serial_number", name="pk_deleted_revocations"),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["certificate_issuers.id"], name="fk_deleted_revocations_issuer_id"
        ),
    )
    partial = {
        "ix_certificates_valid": ("status = 'valid'", ["id"]),
        "ix_certificates_valid_until": ("status = 'valid'", ["not_after", "id"]),
        "ix_certificates_not_valid": ("status <> 'valid'", ["status", "id"]),
    }
    for name, (condition, columns) in partial.items():
        where = sa.text(condition)
        op.create_index(name, "certificates", columns, sqlite_where=where, postgresql_where=where)
    for column in ("issuer_id", "cert_type", "created_at"):
        op.create_index(f"ix_certificates_{column}_id", "certificates", [column, "id"])
    op.create_index("ix_certificates_uuid", "certificates", ["uuid"])
    op.create_index(
        "ix_certificates_common_name_id",
        "certificates",
        ["common_name", "id"],
        postgresql_ops={"common_name": "varchar_pattern_ops"},
    )
