"""The tables of the registry, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
    true,
)

from tiny_ca.domain.serial import CertType

__all__ = [
    "REVISION",
    "UTCDateTime",
    "certificates",
    "deleted_revocations",
    "deliveries",
    "issuers",
    "metadata",
    "notices",
    "ocsp_responses",
    "published_crls",
    "publishing_leases",
    "removals",
    "revocations",
    "subscribers",
    "version",
]

REVISION = "0010"
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
    # Whether its CRLs have the plain names, `crl.pem` and so on: one issuer's at the most.
    Column("owns_crl_files", Boolean, nullable=False, server_default=false()),
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
    Column("profile", String(64)),
    Column("claims_name", Boolean, nullable=False, server_default=true()),
    # Of a CA's certificate: the issuer id that it issues under.
    Column("own_issuer_id", String(32)),
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
# Whoever publishes deletes by these what is owed no more, without reading what is.
Index("ix_revocations_owed", revocations.c.issuer_id, revocations.c.owed_until)
_IS_RELEASED = revocations.c.is_released.is_(True)
Index(
    "ix_revocations_released",
    revocations.c.issuer_id,
    revocations.c.crl_number,
    sqlite_where=_IS_RELEASED,
    postgresql_where=_IS_RELEASED,
)


# Revoked certificates that were deleted, until every complete CRL was issued anew since: they may
# be missing from the next one.
deleted_revocations = Table(
    "deleted_revocations",
    metadata,
    Column("issuer_id", String(32), ForeignKey(issuers.c.id), primary_key=True),
    Column("serial_number", String(49), primary_key=True),
    Column("crl_number", Integer, nullable=False),
)

# Who is publishing what just now.
publishing_leases = Table(
    "publishing_leases",
    metadata,
    Column("issuer_id", String(32), primary_key=True),
    Column("what", String(32), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until", UTCDateTime, nullable=False),
)

# Where the files of deleted rows lie, until they are gone too.
removals = Table(
    "certificate_removals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(255), nullable=False),
    Column("cert_path", String(1024)),
    Column("file_name", String(255), nullable=False),
)


# Signed beforehand; a response counts while its row has the status that it tells of.
ocsp_responses = Table(
    "ocsp_responses",
    metadata,
    Column("serial_number", String(49), primary_key=True),
    Column("issuer_id", String(32), primary_key=True),
    Column("digest", String(8), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("revocation_date", UTCDateTime),
    Column("revocation_reason", String(32)),
    Column("this_update", UTCDateTime, nullable=False),
    Column("next_update", UTCDateTime, nullable=False),
    Column("response", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ("serial_number", "issuer_id"),
        (certificates.c.serial_number, certificates.c.issuer_id),
        ondelete="CASCADE",
    ),
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
_partial_index("ix_certificates_own_issuer_id", "own_issuer_id IS NOT NULL", "own_issuer_id")
_partial_index("ix_certificates_authorities", f"cert_type = '{CertType.CA.value}'", "id")
_partial_index("ix_certificates_valid", "status = 'valid'", "id")
_partial_index("ix_certificates_valid_until", "status = 'valid'", "not_after", "id")
# Not for valid ones: SQLite would take it for them, in place of the indexes above.
_partial_index("ix_certificates_not_valid", "status <> 'valid'", "status", "id")

# What lists are filtered by, and in which order they are given.
for _columns in (
    ("issuer_id", "id"),
    ("cert_type", "id"),
    ("created_at", "id"),
    ("uuid",),
):
    Index(None, *(certificates.c[column] for column in _columns))
# PostgreSQL finds the beginning of a text by an index of this kind only.
Index(
    None,
    certificates.c.common_name,
    certificates.c.id,
    postgresql_ops={"common_name": "varchar_pattern_ops"},
)

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
