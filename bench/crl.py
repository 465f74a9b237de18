"""Measure CRLs: python -m bench.crl [ENTRIES...]

From a registry in SQLite to a file that was read back and verified, beside cryptography's own
constructor on the same entries in the same run, as far as that takes seconds.
"""

import os
import resource
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.registries import NOW, REASONS, filled_registry

PEER_TO = 100_000


def by_cryptography(serials: list[int]) -> float:
    """Build and sign the same entries by cryptography's constructor; give the seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bench")])
    start = time.perf_counter()
    revoked = []
    for serial in serials:
        builder = x509.RevokedCertificateBuilder(serial, NOW.replace(tzinfo=None))
        reason = REASONS[serial % 4]
        if reason.value != "unspecified":
            builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason.value)), False)
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
