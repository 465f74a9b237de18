"""What CRLs are written from, in a table of its own; and the published CRL of every scope."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from tiny_ca.domain.crl import COMPLETE, encode_crl_entry, shard_key_of
from tiny_ca.domain.records import CRLEntry
from tiny_ca.domain.revocation import CRLReason

revision = "0005"
down_revision = "0004"

_PAGE = 1000
_MOVED = ("published_crl_number", "crl_this_update", "crl_next_update")


def _new_tables() -> tuple[sa.Table, sa.Table]:
    published = op.create_table(
        "published_crls",
        sa.Column("issuer_id", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("this_update", sa.DateTime),
        sa.Column("next_update", sa.DateTime),
        sa.PrimaryKeyConstraint("issuer_id", "scope", name="pk_published_crls"),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["certificate_issuers.id"], name="fk_published_crls_issuer_id"
        ),
    )
    revocations = op.create_table(
        "revocations",
        sa.Column("issuer_id", sa.String(32), nullable=False),
        sa.Column("first_crl_number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("certificate_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("crl_number", sa.Integer, nullable=False),
        sa.Column("shard_key", sa.Integer, nullable=False),
        sa.Column("owed_until", sa.DateTime, nullable=False),
        sa.Column("is_released", sa.Boolean, nullable=False),
        sa.Column("invalidity_date", sa.DateTime),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint(
            "issuer_id", "first_crl_number", "certificate_id", name="pk_revocations"
        ),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["certificate_issuers.id"], name="fk_revocations_issuer_id"
        ),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificates.id"], name="fk_revocations_certificate_id"
        ),
        sa.UniqueConstraint("certificate_id", name="uq_revocations_certificate_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_revocations_shards", "revocations", ["issuer_id", "shard_key", "certificate_id"]
    )
    return published, revocations


def _revoked(connection: sa.Connection) -> Iterator[list[sa.Row[Any]]]:
    certificates = sa.table(
        "certificates",
        *(
            sa.column(name, kind)
            for name, kind in (
                ("id", sa.Integer),
                ("issuer_id", sa.String),
                ("serial_number", sa.String),
                ("status", sa.String),
                ("not_after", sa.DateTime),
                ("revocation_date", sa.DateTime),
                ("revocation_reason", sa.String),
            )
        ),
    )
    after = 0
    while True:
        query = (
            sa.select(certificates)
            .where(certificates.c.status == "revoked", certificates.c.id > after)
            .order_by(certificates.c.id)
            .limit(_PAGE)
        )
        rows = list(connection.execute(query))
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _listed(row: sa.Row[Any]) -> dict[str, Any]:
    serial_number, date = int(row.serial_number), row.revocation_date
    entry = CRLEntry(serial_number, date.replace(tzinfo=UTC), CRLReason(row.revocation_reason))
    until: datetime = max(row.not_after, date)
    return {
        "issuer_id": row.issuer_id,
        # No CRL was asked for a delta yet: the next complete one shows them all.
        "first_crl_number": 0,
        "crl_number": 0,
        "certificate_id": row.id,
        "shard_key": shard_key_of(serial_number),
        "owed_until": until,
        "is_released": False,
        "entry": encode_crl_entry(entry),
    }


def _name_files(connection: sa.Connection) -> None:
    """Leave the plain names of CRL files to the issuer whose CRL is there: the last one's."""
    op.add_column(
        "certificate_issuers",
        sa.Column("owns_crl_files", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    names = ("id", "owns_crl_files", "crl_this_update")
    issuers = sa.table("certificate_issuers", *(sa.column(name) for name in names))
    query = sa.select(issuers.c.id).where(issuers.c.crl_this_update.is_not(None))
    last = connection.execute(query.order_by(issuers.c.crl_this_update.desc()).limit(1)).scalar()
    if last is not None:
        connection.execute(
            sa.update(issuers).where(issuers.c.id == last).values(owns_crl_files=sa.true())
        )


def upgrade() -> None:
    """Encode every revocation, and move what is known of the published CRLs."""
    connection = op.get_bind()
    published, revocations = _new_tables()
    issuers = sa.table("certificate_issuers", sa.column("id"), *map(sa.column, _MOVED))
    former = sa.select(
        issuers.c.id, sa.literal(COMPLETE.name), *(issuers.c[name] for name in _MOVED)
    ).where(issuers.c.published_crl_number > 0)
    connection.execute(sa.insert(published).from_select(list(published.c.keys()), former))
    _name_files(connection)
    for rows in _revoked(connection):
        connection.execute(sa.insert(revocations), [_listed(row) for row in rows])
    op.drop_index("ix_certificates_revoked", "certificates")
    if connection.dialect.name == "sqlite" and sqlite3.sqlite_version_info < (3, 35):
        # It can't; they have defaults, and nobody reads them any more.
        return
    for name in _MOVED:
        op.drop_column("certificate_issuers", name)
