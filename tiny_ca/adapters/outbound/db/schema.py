"""The tables of the registry, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
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
    "deliveries",
    "issuers",
    "metadata",
    "notices",
    "subscribers",
    "version",
]

REVISION = "0004"
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
    Column("published_crl_number", Integer, nullable=False, server_default="0"),
    Column("crl_this_update", UTCDateTime),
    Column("crl_next_update", UTCDateTime),
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


def _partial_index(name: str, condition: str, *columns: str) -> None:
    """Index the few rows that a query wants, where the database can; else all of them."""
    where = text(condition)
    Index(
        name,
        *(certificates.c[column] for column in columns),
        sqlite_where=where,
        postgresql_where=where,
    )


_partial_index("ix_certificates_revoked", "status = 'revoked'", "issuer_id", "id")
_partial_index("ix_certificates_pending", "status = 'pending'", "created_at")
_partial_index("ix_certificates_authorities", f"cert_type = '{CertType.CA.value}'", "id")
_partial_index("ix_certificates_ending", "status = 'valid'", "not_after")

subscribers = Table(
    "event_subscribers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("lease_holder", String(32)),
    Column("leased_until", UTCDateTime),
)

deliveries = Table(
    "event_deliveries",
    metadata,
    # Never used again: a subscriber may remember which it has seen.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("subscriber_id", Integer, ForeignKey(subscribers.c.id), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("issuer_id", String(32), nullable=False),
    # Empty for what happened to the issuer.
    Column("serial_number", String(49), nullable=False),
    Column("common_name", String(255)),
    Column("occurred_at", UTCDateTime, nullable=False),
    Column("details", Text, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("retry_at", UTCDateTime),
    Index(None, "subscriber_id", "id"),
    Index(None, "subscriber_id", "issuer_id", "serial_number", "id"),
    sqlite_autoincrement=True,
)

notices = Table(
    "expiry_notices",
    metadata,
    Column("certificate_id", Integer, ForeignKey(certificates.c.id), primary_key=True),
    Column("window_seconds", BigInteger, primary_key=True),
)

version = Table("tiny_ca_version", MetaData(), Column("version_num", String(32), primary_key=True))
