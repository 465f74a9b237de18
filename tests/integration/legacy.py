"""Registries as tiny_ca 0.1.1 leaves them, made without it; and environments with old versions."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support import unavailable
from tiny_ca import CAFileLoader, CertificateFactory, CertType, SerialWithEncoding

# What its ORM emits; `test_moving_from_0_1_1` holds this against the real package.
_TABLE = """CREATE TABLE certificates (
    id {id} NOT NULL,
    serial_number VARCHAR NOT NULL,
    common_name VARCHAR NOT NULL,
    status VARCHAR,
    not_valid_before {moment} NOT NULL,
    not_valid_after {moment} NOT NULL,
    key_type VARCHAR,
    certificate_pem VARCHAR NOT NULL,
    revocation_date {moment},
    revocation_reason VARCHAR,
    uuid VARCHAR,
    PRIMARY KEY (id),
    UNIQUE (uuid)
)"""
_INDEXES = (
    "CREATE INDEX ix_certificates_not_valid_after ON certificates (not_valid_after)",
    "CREATE UNIQUE INDEX ix_certificates_serial_number ON certificates (serial_number)",
)
DDL = {
    "sqlite": (_TABLE.format(id="INTEGER", moment="DATETIME"), *_INDEXES),
    "postgresql": (_TABLE.format(id="SERIAL", moment="TIMESTAMP WITHOUT TIME ZONE"), *_INDEXES),
}
_ROWS = sa.table(
    "certificates",
    *(
        sa.column(name, sa.String)
        for name in (
            "serial_number",
            "common_name",
            "status",
            "key_type",
            "certificate_pem",
            "revocation_reason",
            "uuid",
        )
    ),
    *(
        sa.column(name, sa.DateTime)
        for name in ("not_valid_before", "not_valid_after", "revocation_date")
    ),
)

NOW = datetime.now(UTC).replace(microsecond=0)
YEAR = timedelta(days=365)


class LegacyRegistry:
    """Rows to be written, and the CA that signs their certificates.

    P-256, although 0.1.1 knew RSA alone: nothing here depends on it, and it is fast.
    """

    def __init__(self, ca_name: str = "Old Root") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.rows: list[dict[str, Any]] = []
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ca_name)])
        self.ca = self._root(ca_name)
        self._record(self.ca, ca_name, key_type=CertType.CA.value)

    def _builder(
        self, common_name: str, cert_type: CertType, key: Any, not_before: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .serial_number(SerialWithEncoding.generate(common_name, cert_type))
            .not_valid_before(not_before)
            .not_valid_after(end)
            .public_key(key)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _root(self, ca_name: str) -> x509.Certificate:
        key = self.key.public_key()
        builder = self._builder(ca_name, CertType.CA, key, NOW - 2 * YEAR, NOW + 10 * YEAR)
        return builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).sign(self.key, hashes.SHA256())

    def add(
        self,
        common_name: str,
        cert_type: CertType = CertType.SERVICE,
        *,
        start: datetime = NOW - timedelta(days=1),
        end: datetime = NOW + YEAR,
        **columns: Any,
    ) -> x509.Certificate:
        """Sign a certificate and add its row; *columns* override what 0.1.1 would write."""
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            self._builder(common_name, cert_type, self.key.public_key(), start, end)
            .add_extension(authority, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self._record(certificate, common_name, **{"key_type": cert_type.value, **columns})
        return certificate

    def revoked(self, common_name: str, reason: str | None, **columns: Any) -> x509.Certificate:
        """Add a certificate that was revoked yesterday."""
        columns.setdefault("revocation_date", naive(NOW - timedelta(days=1, microseconds=-250)))
        return self.add(common_name, status="revoked", revocation_reason=reason, **columns)

    def _record(self, certificate: x509.Certificate, common_name: str, **columns: Any) -> None:
        self.rows.append(
            {
                "serial_number": str(certificate.serial_number),
                "common_name": common_name,
                "status": "valid",
                "not_valid_before": naive(certificate.not_valid_before_utc),
                "not_valid_after": naive(certificate.not_valid_after_utc),
                "certificate_pem": certificate.public_bytes(Encoding.PEM).decode(),
                "revocation_date": None,
                "revocation_reason": None,
                "uuid": str(uuid4()),
                **columns,
            }
        )

    def write(self, db_url: str) -> str:
        """Make the table and its rows, in the order in which they were added."""
        engine = sa.create_engine(db_url)
        with engine.begin() as connection:
            for statement in DDL[engine.dialect.name]:
                connection.execute(sa.text(statement))
            if self.rows:
                connection.execute(sa.insert(_ROWS), self.rows)
        engine.dispose()
        return db_url

    def factory(self, folder: Path) -> CertificateFactory:
        """Give the CA, loaded from files in *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.pem").write_bytes(self.ca.public_bytes(Encoding.PEM))
        (folder / "ca.key").write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        return CertificateFactory(CAFileLoader(folder / "ca.pem", folder / "ca.key"))


def naive(moment: datetime) -> datetime:
    """Give *moment* as 0.1.1 keeps it on SQLite: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def query(db_url: str, statement: str) -> list[tuple[Any, ...]]:
    """Read a database behind the library's back."""
    engine = sa.create_engine(db_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sa.text(statement))]
    engine.dispose()
    return rows


def execute(db_url: str, *statements: str) -> None:
    """Change a database behind the library's back."""
    engine = sa.create_engine(db_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def filled_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]
) -> Path:
    """Give a folder that the first of xdist's workers fills, and the others wait for."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder


def run_legacy(python: Path, folder: Path, *arguments: str | Path) -> str:
    """Run Python in an environment that `install_legacy` made, and give what it printed."""
    done = subprocess.run(
        [python, *arguments],
        cwd=folder,
        # Whatever leads Python to this project's own tiny_ca is kept away.
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install_legacy(folder: Path, version: str) -> None:
    """Make an environment with this version of tiny_ca from the package index."""
    # Without a pip of its own, which would take as long to set up as all the rest.
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    # What it imports without saying so: SQLAlchemy 2.1 no longer brings greenlet.
    undeclared = ("pydantic[email]", "aiosqlite", "aiofiles", "greenlet")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    installed = subprocess.run(
        [*pip, "install", "--quiet", f"tiny_ca=={version}", *undeclared],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if installed.returncode != 0:
        unavailable(f"pip can't install tiny_ca {version}: {installed.stderr[-300:]}")
