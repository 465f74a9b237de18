"""What CRLs owe no more is found by indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ix_revocations_owed", "revocations", ["issuer_id", "owed_until"])
    is_released = sa.column("is_released", sa.Boolean).is_(True)
    op.create_index(
        "ix_revocations_released",
        "revocations",
        ["issuer_id", "crl_number"],
        sqlite_where=is_released,
        postgresql_where=is_released,
    )
