"""OCSP responses that were signed beforehand."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ocsp_responses",
        sa.Column("serial_number", sa.String(49), nullable=False),
        sa.Column("issuer_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("revocation_date", sa.DateTime),
        sa.Column("revocation_reason", sa.String(32)),
        sa.Column("this_update", sa.DateTime, nullable=False),
        sa.Column("next_update", sa.DateTime, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("serial_number", "issuer_id", "digest", name="pk_ocsp_responses"),
        sa.ForeignKeyConstraint(
            ("serial_number", "issuer_id"),
            ("certificates.serial_number", "certificates.issuer_id"),
            name="fk_ocsp_responses_serial_number_issuer_id",
            ondelete="CASCADE",
        ),
    )
