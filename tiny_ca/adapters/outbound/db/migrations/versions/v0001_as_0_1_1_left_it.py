"""The table that tiny_ca 0.1.1 makes; a registry of its is stamped with this revision."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table of tiny_ca 0.1.1."""
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("serial_number", sa.String(49), nullable=False, unique=True, index=True),
        sa.Column("common_name", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16)),
        sa.Column("not_valid_before", sa.DateTime, nullable=False),
        sa.Column("not_valid_after", sa.DateTime, nullable=False, index=True),
        sa.Column("key_type", sa.String(8)),
        sa.Column("certificate_pem", sa.Text, nullable=False),
        sa.Column("revocation_date", sa.DateTime),
        sa.Column("revocation_reason", sa.String(32)),
        sa.Column("uuid", sa.String(255), unique=True),
    )
