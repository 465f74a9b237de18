"""tiny_ca with a registry that many certificates are in already."""

import os
import random
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding

from bench.crl import filled_registry
from bench.works import ours
from bench.works.serve import peak_mb
from tiny_ca import (
    CAConfig,
    CAFileLoader,
    CertificateFactory,
    CertLifecycleManager,
    LocalStorage,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.db.schema import certificates

FIRST = 0x5356 << 144


def _filled(folder: Path, rows: int) -> CertLifecycleManager:
    """Open the registry of so many rows that the run shares, or make it."""
    folder = Path(os.environ["TINY_CA_BENCH_SHARED"]) / f"grown-{rows}"
    registry = SyncDBHandler(f"sqlite:///{folder.with_suffix('.db')}")
    if not folder.exists():
        ca = CertLifecycleManager(LocalStorage(folder), db_handler=registry)
        ca.create_self_signed_ca(CAConfig(common_name="Bench", key_algorithm="p-256"))
        _fill(ca, registry, rows)
    [certificate] = folder.glob("*/ca.pem")
    factory = CertificateFactory(CAFileLoader(certificate, certificate.with_suffix(".key")))
    return CertLifecycleManager(NoStorage(), factory, registry)


def _fill(ca: CertLifecycleManager, registry: SyncDBHandler, rows: int) -> None:
    assert ca.factory is not None
    now = datetime.now(UTC).replace(microsecond=0)
    row = {
        "issuer_id": ca.factory.issuer_id,
        "status": "valid",
        "cert_type": "SVC",
        "not_before": now,
        "not_after": now + timedelta(days=365),
        "created_at": now,
        # As long as one of theirs.
        "certificate_pem": ca.factory.certificate.public_bytes(Encoding.PEM).decode(),
        "uuid": "0" * 36,
    }
    # In no order, as names and serial numbers come.
    order = random.Random(1).sample(range(rows), rows)
    with registry._db.engine.begin() as connection:  # noqa: SLF001
        for start in range(0, rows, 10_000):
            connection.execute(
                sa.insert(certificates),
                [
                    {
                        **row,
                        "serial_number": str(FIRST + i),
                        "common_name": f"old{i}.internal",
                        "name_claim": f"old{i}.internal",
                        "file_name": f"old{i}.internal",
                    }
                    for i in order[start : start + 10_000]
                ],
            )


def sign_csr(folder: Path, rows: int) -> ours.Prepare:
    ca = _filled(folder, rows)
    return lambda count: ours.each(ca.sign_csr, ours.requests(count))


def status(folder: Path, rows: int) -> ours.Prepare:
    ca = _filled(folder, rows)
    chosen = random.Random(2)
    return lambda count: ours.each(
        ca.get_certificate_status, [FIRST + chosen.randrange(rows) for _ in range(count)]
    )


def by_name(folder: Path, rows: int) -> ours.Prepare:
    registry = _filled(folder, rows)._services.registry  # noqa: SLF001
    chosen = random.Random(3)
    return lambda count: ours.each(
        registry.get_by_name, [f"old{chosen.randrange(rows)}.internal" for _ in range(count)]
    )


def crl(folder: Path, rows: int) -> ours.Prepare:
    """Publish a CRL of so many entries, and say how much memory that took."""
    # Open until the process ends.
    ca, _ = ExitStack().enter_context(filled_registry(folder, rows))
    before = peak_mb()

    def publish() -> dict[str, float]:
        published = ca.publish_crl()
        assert published.count == rows
        return {"added_mb": peak_mb() - before}

    return lambda _count: publish
