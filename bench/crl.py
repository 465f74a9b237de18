"""Measure CRLs: python -m bench.crl [ENTRIES...]

From a registry in SQLite to a file that was read back and verified, beside cryptography's own
constructor on the same entries in the same run, as far as that takes seconds.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tiny_ca import CAConfig, CertLifecycleManager, LocalStorage, SyncDBHandler
from tiny_ca.adapters.outbound.db.revocations import list_unlisted
from tiny_ca.adapters.outbound.db.schema import certificates

NOW = datetime.now(UTC).replace(microsecond=0)
REASONS = ("keyCompromise", "superseded", "cessationOfOperation", "unspecified")
PEER_TO = 100_000


@contextmanager
def filled_registry(folder: Path, count: int) -> Iterator[tuple[CertLifecycleManager, list[int]]]:
    """Open a CA of which *count* certificates are revoked, and give their serial numbers."""
    registry = SyncDBHandler(f"sqlite:///{folder / 'registry.db'}")
    with CertLifecycleManager(LocalStorage(folder / "pki"), db_handler=registry) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Bench", key_algorithm="p-256"))
        assert ca.factory is not None
        issuer_id = ca.factory.issuer_id
        serials = [int.from_bytes(b"SV" + os.urandom(18)) for _ in range(count)]
        row = {
            "issuer_id": issuer_id,
            "status": "revoked",
            "cert_type": "SVC",
            "not_before": NOW - timedelta(days=1),
            "not_after": NOW + timedelta(days=365),
            "created_at": NOW,
        }
        with registry._db.engine.begin() as connection:  # noqa: SLF001
            for start in range(0, count, 10_000):
                rows = [
                    {
                        **row,
                        "serial_number": str(serial),
                        "common_name": f"n{serial:x}",
                        "revocation_date": NOW - timedelta(seconds=serial % 86_400),
                        "revocation_reason": REASONS[serial % 4],
                    }
                    for serial in serials[start : start + 10_000]
                ]
                connection.execute(sa.insert(certificates), rows)
            list_unlisted(connection)
        yield ca, serials


def by_cryptography(serials: list[int]) -> float:
    """Build and sign the same entries by cryptography's constructor; give the seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bench")])
    start = time.perf_counter()
    revoked = []
    for serial in serials:
        builder = x509.RevokedCertificateBuilder(serial, NOW.replace(tzinfo=None))
        reason = REASONS[serial % 4]
        if reason != "unspecified":
            builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), False)
        revoked.append(builder.build())
    x509.CertificateRevocationListBuilder(
        issuer_name=name,
        last_update=NOW.replace(tzinfo=None),
        next_update=(NOW + timedelta(days=1)).replace(tzinfo=None),
        revoked_certificates=revoked,
    ).sign(key, hashes.SHA256())
    return time.perf_counter() - start


def peak() -> float:
    """Give the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(count: int) -> None:
    """Print one row of the table."""
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        filled_registry(Path(folder), count) as (ca, serials),
    ):
        size = len(serials)
        sample = serials if size <= PEER_TO else []
        del serials
        before, start = peak(), time.perf_counter()
        published = ca.publish_crl()
        first = time.perf_counter() - start
        added, start = peak() - before, time.perf_counter()
        ca.publish_crl()
        again = time.perf_counter() - start
        assert published.count == count
        peer = f"{by_cryptography(sample) / again:8.1f}x" if sample else "        -"
        print(f"{count:>10}{first:>10.2f} s{again:>10.2f} s{added:>10.0f} MB{peer:>12}", flush=True)


def main(counts: list[int]) -> None:
    print(f"{'entries':>10}{'first':>12}{'again':>12}{'memory':>13}{'cryptography':>14}")
    for count in counts:
        # Each in a process of its own: the peak of memory is a process's.
        if (child := os.fork()) == 0:
            measure(count)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
