"""Events that wait for their subscribers, and which certificates' ends were told of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables of the outbox."""
    op.create_table(
        "event_subscribers",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("lease_holder", sa.String(32)),
        sa.Column("leased_until", sa.DateTime),
        sa.PrimaryKeyConstraint("id", name="pk_event_subscribers"),
        sa.UniqueConstraint("name", name="uq_event_subscribers_name"),
    )
    op.create_table(
        "event_deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("subscriber_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("issuer_id", sa.String(32), nullable=False),
        sa.Column("serial_number", sa.String(49), nullable=False),
        sa.Column("common_name", sa.String(255)),
        sa.Column("occurred_at", sa.DateTime, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_at", sa.DateTime),
        sa.PrimaryKeyConstraint("id", name="pk_event_deliveries"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["event_subscribers.id"], name="fk_event_deliveries_subscriber_id"
        ),
        sqlite_autoincrement=True,
    )
    for columns in (["id"], ["issuer_id", "serial_number", "id"]):
        name = "_".join(["ix_event_deliveries_subscriber_id", *columns])
        op.create_index(name, "event_deliveries", ["subscriber_id", *columns])
    op.create_table(
        "expiry_notices",
        sa.Column("certificate_id", sa.Integer, nullable=False),
        sa.Column("window_seconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("certificate_id", "window_seconds", name="pk_expiry_notices"),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificates.id"], name="fk_expiry_notices_certificate_id"
        ),
    )
