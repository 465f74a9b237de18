"""Which CA a CA's certificate is of, profiles, and rows that do not claim their names."""

import sqlalchemy as sa
from alembic import op
from cryptography import x509

from tiny_ca.ports.issuer import is_ca, own_issuer_id

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, and say of each CA's certificate which CA it is of."""
    op.add_column("certificates", sa.Column("profile", sa.String(64)))
    op.add_column(
        "certificates",
        sa.Column("claims_name", sa.Boolean, nullable=False, server_default=sa.true()),
    )
    op.add_column("certificates", sa.Column("own_issuer_id", sa.String(32)))
    where = sa.text("own_issuer_id IS NOT NULL")
    op.create_index(
        "ix_certificates_own_issuer_id",
        "certificates",
        ["own_issuer_id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    names = ("id", "cert_type", "certificate_pem", "own_issuer_id")
    certificates = sa.table("certificates", *(sa.column(name) for name in names))
    query = sa.select(certificates).where(
        certificates.c.cert_type == "CA", certificates.c.certificate_pem.is_not(None)
    )
    connection = op.get_bind()
    for row in connection.execute(query).all():
        certificate = x509.load_pem_x509_certificate(row.certificate_pem.encode())
        if is_ca(certificate):
            connection.execute(
                sa.update(certificates)
                .where(certificates.c.id == row.id)
                .values(own_issuer_id=own_issuer_id(certificate))
            )
