"""Indexes for lists, and the note of where a deleted row's files lie."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"


def upgrade() -> None:
    """Make the indexes and the table."""
    op.create_table(
        "certificate_removals",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.String(255), nullable=False),
        sa.Column("cert_path", sa.String(1024)),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificate_removals"),
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
