"""Measure signing from requests, of P-256 keys by a P-256 CA: python -m bench.csr [ROUNDS]

In each round the cases take turns on as many requests as a batch has; absolute times belong to
the machine, ratios to the run.  The bare cases start from requests that were parsed and
extensions that were built before; ours start from DER.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from bench.scratch import scratch_folder
from tiny_ca import CAConfig, CertLifecycleManager, NoRegistry, NoStorage, SyncDBHandler
from tiny_ca.adapters.outbound.db.schema import certificates

BATCH, SIZES = 100, (1_000, 100_000)
NOW = datetime.now(UTC).replace(microsecond=0)


def request(name: str) -> bytes:
    """Give a request of the usual kind, DER: a common name, and the same as a host's."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    host = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = x509.CertificateSigningRequestBuilder(subject).add_extension(host, critical=False)
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def ready(registry: SyncDBHandler | NoRegistry) -> CertLifecycleManager:
    """Give a CA that keeps no files."""
    ca = CertLifecycleManager(NoStorage(), db_handler=registry)
    ca.create_self_signed_ca(CAConfig(common_name="Bench", key_algorithm="p-256"))
    return ca


def grown(folder: Path, rows: int) -> CertLifecycleManager:
    """Give a CA that has issued so many certificates."""
    registry = SyncDBHandler(f"sqlite:///{folder / str(rows)}.db")
    ca = ready(registry)
    assert ca.factory is not None
    pem = ca.factory.certificate.public_bytes(Encoding.PEM).decode()
    row = {
        "issuer_id": ca.factory.issuer_id,
        "status": "valid",
        "cert_type": "SVC",
        "not_before": NOW,
        "not_after": NOW + timedelta(days=365),
        "created_at": NOW,
        "certificate_pem": pem,
    }
    for start in range(0, rows, 10_000):
        names = [f"old{number}.internal" for number in range(start, min(rows, start + 10_000))]
        new = [
            {
                **row,
                "serial_number": str(int.from_bytes(b"SV" + os.urandom(18))),
                "uuid": os.urandom(16).hex(),
                "file_name": name,
                "common_name": name,
                "name_claim": name,
            }
            for name in names
        ]
        with registry._db.engine.begin() as connection:  # noqa: SLF001
            connection.execute(sa.insert(certificates), new)
    return ca


class Turn:
    """One batch of requests that nobody has seen, and what is done with it."""

    def __init__(self, unrecorded: CertLifecycleManager, number: int) -> None:
        self.ca = unrecorded
        self.der = [request(f"n{number}-{i}.internal") for i in range(BATCH)]
        self.parsed = [x509.load_der_x509_csr(der) for der in self.der]
        self.like = unrecorded.sign_many_csrs(self.der)
        self.extensions = [list(certificate.extensions) for certificate in self.like]

    def bare(self) -> None:
        """cryptography: bare CertificateBuilder.sign"""
        assert self.ca.factory is not None
        ca: Any = self.ca.factory
        for one, like, extensions in zip(self.parsed, self.like, self.extensions, strict=True):
            builder = x509.CertificateBuilder(
                issuer_name=ca.certificate.subject,
                subject_name=one.subject,
                public_key=one.public_key(),
                serial_number=like.serial_number,
                not_valid_before=NOW.replace(tzinfo=None),
                not_valid_after=NOW.replace(tzinfo=None) + timedelta(days=365),
                extensions=extensions,
            )
            builder.sign(ca._key, SHA256())  # noqa: SLF001

    def proved(self) -> None:
        """cryptography: with proof of possession"""
        assert all(one.is_signature_valid for one in self.parsed)
        self.bare()

    def verified(self) -> None:
        """cryptography: the new signature verified, too"""
        self.proved()
        assert self.ca.factory is not None
        for like in self.like:
            like.verify_directly_issued_by(self.ca.factory.certificate)

    def unrecorded(self) -> None:
        """sign_many_csrs, no registry"""
        self.ca.sign_many_csrs(self.der)

    def one_by_one(self) -> None:
        """sign_csr, no registry"""
        for der in self.der:
            self.ca.sign_csr(der)


def seconds(case: Callable[[], object]) -> float:
    start = time.perf_counter()
    case()
    return time.perf_counter() - start


def main(rounds: int) -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {rounds} rounds of {BATCH}")
    times: dict[str, list[float]] = {}
    with scratch_folder() as folder:
        unrecorded = ready(NoRegistry())
        recorded = {rows: grown(folder, rows) for rows in SIZES}
        for number in range(rounds):
            turn = Turn(unrecorded, number)
            cases = [turn.bare, turn.proved, turn.verified, turn.unrecorded, turn.one_by_one]
            for case in cases:
                times.setdefault(case.__doc__ or "", []).append(seconds(case))
            for rows, ca in recorded.items():
                taken = seconds(lambda ca=ca, der=turn.der: ca.sign_many_csrs(der))  # type: ignore[misc]
                times.setdefault(f"sign_many_csrs, SQLite of {rows:,} rows", []).append(taken)
    bare, proved = (times[case.__doc__ or ""] for case in (Turn.bare, Turn.proved))
    print(f"{'':48}{'a second':>10}{'of bare':>9}{'of proved':>11}")
    for name, taken in times.items():
        ratios = [
            statistics.median(base / own for base, own in zip(bases, taken, strict=True))
            for bases in (bare, proved)
        ]
        rate = BATCH / statistics.median(taken)
        print(f"{name:48}{rate:10.0f}{ratios[0]:9.2f}{ratios[1]:11.2f}")
    print("goals, of bare: 0.6 without a registry, 0.35 with SQLite")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
