"""The same CRLs by others: cryptography's constructor, `openssl ca -gencrl`, tiny_ca 0.1.1.

Each gives the seconds from what it keeps to a signed file, which it does not read back.
"""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.registries import NOW, REASONS

__all__ = ["by_cryptography", "by_openssl", "by_tiny_ca_0_1_1", "environment_of_0_1_1"]

_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bench")])
_OF_0_1_1 = """
import sqlite3, sys, time
from types import SimpleNamespace
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tiny_ca.ca_factory.factory import CertificateFactory
from tiny_ca.db.sync_db_manager import SyncDBHandler

folder, count = sys.argv[1], int(sys.argv[2])
handler = SyncDBHandler(f"sqlite:///{folder}/old.db")
with sqlite3.connect(f"{folder}/old.db") as connection:
    connection.executemany(
        "INSERT INTO certificates (serial_number, common_name, status, not_valid_before,"
        " not_valid_after, key_type, certificate_pem, revocation_date, revocation_reason, uuid)"
        " VALUES (?, ?, 'revoked', '2020-01-01 00:00:00', '2090-01-01 00:00:00', 'SVC', '',"
        " datetime('now', '-1 day'), 'superseded', ?)",
        ((str((1 << 158) + n), f"n{n}", str(n)) for n in range(count)),
    )
pem = open(f"{folder}/ca.pem", "rb").read()
key = serialization.load_pem_private_key(open(f"{folder}/ca.key", "rb").read(), None)
loader = SimpleNamespace(
    ca_cert=x509.load_pem_x509_certificate(pem), ca_key=key, base_info=None
)
factory = CertificateFactory.__new__(CertificateFactory)
factory._ca = loader
factory._logger = __import__("logging").getLogger("bench")
start = time.perf_counter()
crl = factory.build_crl(handler.get_revoked_certificates())
with open(f"{folder}/old.pem", "wb") as file:
    file.write(crl.public_bytes(serialization.Encoding.PEM))
print(time.perf_counter() - start)
assert len(crl) == count
"""
_CONFIG = """
[ca]
default_ca = bench
[bench]
database = {folder}/index.txt
crlnumber = {folder}/crlnumber
default_md = sha256
default_crl_days = 1
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid
"""


def by_cryptography(serials: list[int]) -> float:
    """Take the serial numbers as they are, in memory."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = time.perf_counter()
    revoked = []
    for serial in serials:
        builder = x509.RevokedCertificateBuilder(serial, NOW.replace(tzinfo=None))
        reason = REASONS[serial % 4].value
        if reason != "unspecified":
            builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), False)
        revoked.append(builder.build())
    x509.CertificateRevocationListBuilder(
        issuer_name=_NAME,
        last_update=NOW.replace(tzinfo=None),
        next_update=(NOW + timedelta(days=1)).replace(tzinfo=None),
        revoked_certificates=revoked,
    ).sign(key, hashes.SHA256())
    return time.perf_counter() - start


def _make_ca(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(_NAME, _NAME, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "ca.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def by_openssl(serials: list[int], folder: Path) -> float:
    """Take them from its index.txt."""
    _make_ca(folder)
    (folder / "openssl.cnf").write_text(_CONFIG.format(folder=folder))
    (folder / "crlnumber").write_text("01\n")
    end, at = f"{NOW + timedelta(days=365):%y%m%d%H%M%S}Z", f"{NOW:%y%m%d%H%M%S}Z"
    with (folder / "index.txt").open("w") as index:
        for serial in serials:
            reason = REASONS[serial % 4].value
            said = "" if reason == "unspecified" else f",{reason}"
            index.write(f"R\t{end}\t{at}{said}\t{serial:040X}\tunknown\t/CN=n{serial:x}\n")
    command = (
        *("openssl", "ca", "-config", folder / "openssl.cnf", "-gencrl"),
        *("-cert", folder / "ca.pem", "-keyfile", folder / "ca.key", "-out", folder / "their.pem"),
    )
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def environment_of_0_1_1(folder: Path) -> Path:
    """Install tiny_ca 0.1.1 into an environment of its own; give its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder / "old"], check=True)
    python = folder / "old" / "bin" / "python"
    packages = ("tiny-ca==0.1.1", "sqlalchemy", "pydantic")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def by_tiny_ca_0_1_1(count: int, python: Path, folder: Path) -> float:
    """Take as many from its registry in SQLite."""
    _make_ca(folder)
    done = subprocess.run(
        [python, "-I", "-c", _OF_0_1_1, folder, str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)
