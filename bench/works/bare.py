"""The limits that nobody passes: the library's own signature, the database's own commit."""

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding

Prepare = Callable[[int], Callable[[], object]]

GENERATORS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
}


def _repeated(work: Callable[[], object]) -> Prepare:
    def prepare(count: int) -> Callable[[], object]:
        def run() -> None:
            for _ in range(count):
                work()

        return run

    return prepare


class Signer:
    """A P-256 CA that builds and signs what a server certificate says."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bench")])
        self.subject = ec.generate_private_key(ec.SECP256R1()).public_key()
        self.ca_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self.key.public_key()
        )

    def sign(self) -> x509.Certificate:
        now = datetime.now(UTC)
        serial = int.from_bytes(os.urandom(19)) or 1
        name = f"n{serial % 10**9}.internal"
        return (
            x509.CertificateBuilder()
            .issuer_name(self.name)
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .public_key(self.subject)
            .serial_number(serial)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.subject), critical=False)
            .add_extension(self.ca_identifier, critical=False)
            .sign(self.key, hashes.SHA256())
        )


class Table:
    """A SQLite table, write-ahead log, every commit synced."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE issued (serial TEXT PRIMARY KEY, certificate BLOB)",
        ):
            self._connection.execute(statement)

    def commit(self, serial: int, certificate: bytes) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO issued VALUES (?, ?)", (str(serial), certificate))
        self._connection.execute("COMMIT")


def keys(_folder: Path, key: str, threads: int = 1) -> Prepare:
    make = GENERATORS[key]

    def prepare(count: int) -> Callable[[], object]:
        def run() -> None:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(lambda _: make(), range(count)):
                    pass

        return run

    return prepare


def sign(_folder: Path) -> Prepare:
    return _repeated(Signer().sign)


def commit(folder: Path) -> Prepare:
    table, certificate = Table(folder), os.urandom(600)
    return _repeated(lambda: table.commit(int.from_bytes(os.urandom(19)), certificate))


def sign_and_commit(folder: Path) -> Prepare:
    table, signer = Table(folder), Signer()

    def work() -> None:
        certificate = signer.sign()
        table.commit(certificate.serial_number, certificate.public_bytes(Encoding.DER))

    return _repeated(work)


def verify(_folder: Path) -> Prepare:
    signer = Signer()
    certificate, key = signer.sign(), signer.key.public_key()
    algorithm = ec.ECDSA(hashes.SHA256())
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    return _repeated(lambda: key.verify(signature, signed, algorithm))


def select(folder: Path) -> Prepare:
    table = Table(folder)
    for serial in range(200):
        table.commit(serial, os.urandom(600))
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    query = "SELECT * FROM issued WHERE serial = ?"
    return _repeated(lambda: connection.execute(query, ("100",)).fetchall())


def crl(_folder: Path, rows: int) -> Prepare:
    from bench.crl import by_cryptography

    serials = [int.from_bytes(os.urandom(19)) for _ in range(rows)]
    return lambda _count: lambda: by_cryptography(serials)
