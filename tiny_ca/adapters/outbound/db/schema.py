"""The tables of the registry, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from tiny_ca.domain.serial import CertType

__all__ = [
    "REVISION",
    "UTCDateTime",
    "certificates",
    "issuers",
    "metadata",
    "published_crls",
    "revocations",
    "version",
]

REVISION = "0005"
"""The newest migration in `migrations/versions`."""


class UTCDateTime(TypeDecorator[datetime]):
    """Aware datetimes, kept as naive UTC: the one form that every database orders alike."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive datetime: nobody knows what it means."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

issuers = Table(
    "certificate_issuers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("drawn_crl_number", Integer, nullable=False, server_default="0"),
)

published_crls = Table(
    "published_crls",
    metadata,
    Column("issuer_id", String(32), ForeignKey(issuers.c.id), primary_key=True),
    # `CRLScope.name`: the numbers of all of them are one sequence.
    Column("scope", String(32), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("this_update", UTCDateTime),
    Column("next_update", UTCDateTime),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", Integer, primary_key=True),
    # Decimal digits: 160 bits fit no integer type.
    Column("serial_number", String(49), nullable=False),
    Column("issuer_id", String(32), ForeignKey(issuers.c.id), nullable=False),
    Column("common_name", String(255), nullable=False),
    # The common name while this row is the one that may use it, else NULL.
    Column("name_claim", String(255), unique=True),
    Column("status", String(16), nullable=False),
    Column("cert_type", String(8), nullable=False),
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("certificate_pem", Text),
    Column("revocation_date", UTCDateTime),
    Column("revocation_reason", String(32)),
    Column("uuid", String(255)),
    Column("cert_path", String(1024)),
    Column("file_name", String(255)),
    Column("idempotency_key", String(280), unique=True),
    Column("request_hash", String(64)),
    UniqueConstraint("serial_number", "issuer_id"),
)

# What CRLs are written from, narrow, and in the order of the key, which a row keeps: from when a
# certificate is revoked to when no CRL owes it any more.
revocations = Table(
    "revocations",
    metadata,
    Column("issuer_id", String(32), ForeignKey(issuers.c.id), primary_key=True),
    # The last one that was drawn when the row was made.
    Column("first_crl_number", Integer, primary_key=True, autoincrement=False),
    Column(
        "certificate_id",
        Integer,
        ForeignKey(certificates.c.id),
        primary_key=True,
        autoincrement=False,
        unique=True,
    ),
    # The last one that was drawn when the row was written: that CRL may not show it.
    Column("crl_number", Integer, nullable=False),
    Column("shard_key", Integer, nullable=False),
    Column("owed_until", UTCDateTime, nullable=False),
    # On hold, and released: delta CRLs say so.
    Column("is_released", Boolean, nullable=False),
    Column("invalidity_date", UTCDateTime),
    # What a CRL says of it (RFC 5280 §5.1.2.6), encoded once.
    Column("entry", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "ix_revocations_shards",
    *(revocations.c[name] for name in ("issuer_id", "shard_key", "certificate_id")),
)


def _partial_index(name: str, condition: str, *columns: str) -> None:
    """Index the few rows that a query wants, where the database can; else all of them."""
    where = text(condition)
    Index(
        name,
        *(certificates.c[column] for column in columns),
        sqlite_where=where,
        postgresql_where=where,
    )


_partial_index("ix_certificates_pending", "status = 'pending'", "created_at")
_partial_index("ix_certificates_authorities", f"cert_type = '{CertType.CA.value}'", "id")

version = Table("tiny_ca_version", MetaData(), Column("version_num", String(32), primary_key=True))
