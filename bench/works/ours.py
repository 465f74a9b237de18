"""What tiny_ca does, each function preparing work and giving what is to be timed."""

import asyncio
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.works.postgres import cluster
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    NoRegistry,
    NoStorage,
    SyncDBHandler,
)

Timed = Callable[[], object]
Prepare = Callable[[int], Timed]


def names(count: int) -> list[str]:
    """Give common names that were not used before."""
    return [f"n{secrets.token_hex(6)}.internal" for _ in range(count)]


def manager(
    folder: Path,
    *,
    files: bool = False,
    registry: bool = True,
    postgresql: bool = False,
    key: str = "p-256",
) -> CertLifecycleManager:
    """Make a CA in *folder*."""
    url = cluster(folder) if postgresql else f"sqlite:///{folder / 'registry.db'}"
    ca = CertLifecycleManager(
        LocalStorage(folder / "pki") if files else NoStorage(),
        db_handler=SyncDBHandler(url) if registry else NoRegistry(),
    )
    ca.create_self_signed_ca(CAConfig(common_name=f"Bench {key} {folder}"[:64], key_algorithm=key))
    return ca


def configs(count: int, key: str) -> list[ClientConfig]:
    return [
        ClientConfig(common_name=name, is_server_cert=True, key_algorithm=key)
        for name in names(count)
    ]


def requests(count: int) -> list[x509.CertificateSigningRequest]:
    key = ec.generate_private_key(ec.SECP256R1())
    return [
        x509.CertificateSigningRequestBuilder(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        ).sign(key, hashes.SHA256())
        for name in names(count)
    ]


def issued(ca: CertLifecycleManager, count: int) -> list[x509.Certificate]:
    return [one for one, _, _ in ca.issue_many(configs(count, "p-256"))]


def each(work: Callable[[Any], object], items: Iterable[Any], threads: int = 1) -> Timed:
    """Do *work* with each item, in so many threads."""

    def run() -> None:
        if threads == 1:
            for item in items:
                work(item)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, items):
                pass

    return run


def issue(folder: Path, key: str, threads: int = 1, **options: Any) -> Prepare:
    ca = manager(folder, **options)
    return lambda count: each(ca.issue_certificate, configs(count, key), threads)


def issue_many(folder: Path, **options: Any) -> Prepare:
    ca = manager(folder, **options)

    def prepare(count: int) -> Timed:
        wanted = configs(count, "p-256")
        return lambda: ca.issue_many(wanted)

    return prepare


def sign_csr(folder: Path, threads: int = 1, **options: Any) -> Prepare:
    ca = manager(folder, **options)
    return lambda count: each(ca.sign_csr, requests(count), threads)


def revoke(folder: Path, **options: Any) -> Prepare:
    ca = manager(folder, **options)
    return lambda count: each(
        ca.revoke_certificate, [one.serial_number for one in issued(ca, count)]
    )


def revoke_many(folder: Path, **options: Any) -> Prepare:
    ca = manager(folder, **options)

    def prepare(count: int) -> Timed:
        serials = [one.serial_number for one in issued(ca, count)]

        def run() -> None:
            assert len(ca.revoke_many(serials).revoked) == count

        return run

    return prepare


def verify(folder: Path, **options: Any) -> Prepare:
    ca = manager(folder, **options)
    return lambda count: each(ca.verify_certificate, issued(ca, count))


def verify_again(folder: Path, **options: Any) -> Prepare:
    """Verify what this process has seen before, as a server that its clients come back to."""
    ca = manager(folder, **options)

    def prepare(count: int) -> Timed:
        known = issued(ca, count)
        each(ca.verify_certificate, known)()
        return each(ca.verify_certificate, known)

    return prepare


def verify_chain(folder: Path, **options: Any) -> Prepare:
    ca = manager(folder, files=True, **options)
    ca.issue_intermediate_ca(CAConfig(common_name="Below", key_algorithm="p-256", days_valid=365))
    below = ca.under("Below")
    return lambda count: each(ca.verify_chain, issued(below, count))


def status(folder: Path, **options: Any) -> Prepare:
    ca = manager(folder, **options)
    serials = [one.serial_number for one in issued(ca, 200)]
    return lambda count: each(
        ca.get_certificate_status, [serials[i % len(serials)] for i in range(count)]
    )


def asynchronous(folder: Path, key: str) -> Prepare:
    """So many tasks at once, and the longest time that the event loop did nothing else."""
    ca = AsyncCertLifecycleManager(
        LocalStorage(folder / "pki"), db_handler=SyncDBHandler(f"sqlite:///{folder}/registry.db")
    )
    config = CAConfig(common_name="Bench", key_algorithm="p-256")
    asyncio.run(ca.create_self_signed_ca(config))

    async def all_at_once(wanted: list[ClientConfig]) -> dict[str, float]:
        gaps: list[float] = []

        async def tick() -> None:
            while True:
                begin = time.perf_counter()
                await asyncio.sleep(0.001)
                gaps.append(time.perf_counter() - begin - 0.001)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        await asyncio.gather(*map(ca.issue_certificate, wanted))
        ticking.cancel()
        return {"stall_ms": 1000 * max(gaps)}

    def prepare(count: int) -> Timed:
        wanted = configs(count, key)
        return lambda: asyncio.run(all_at_once(wanted))

    return prepare


def callers(folder: Path, threads: int) -> Prepare:
    """So many callers at once, each with a request in its hands."""
    ca = manager(folder)

    def prepare(count: int) -> Timed:
        wanted = [requests(count // threads) for _ in range(threads)]

        def run() -> None:
            def call(mine: list[x509.CertificateSigningRequest]) -> None:
                for one in mine:
                    ca.sign_csr(one)

            running = [threading.Thread(target=call, args=(mine,)) for mine in wanted]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()

        return run

    return prepare


def sign_many(folder: Path, batch: int) -> Prepare:
    ca = manager(folder)

    def prepare(count: int) -> Timed:
        wanted = requests(count)
        batches = [wanted[start : start + batch] for start in range(0, count, batch)]
        return each(ca.sign_many_csrs, batches)

    return prepare


def record_afterwards(folder: Path) -> Prepare:
    """Write the files, then one row in one commit: what a crash in between leaves is unknown."""
    ca = manager(folder, files=True, registry=False)
    registry = SyncDBHandler(f"sqlite:///{folder / 'registry.db'}")

    def work(config: ClientConfig) -> None:
        certificate, _, _ = ca.issue_certificate(config)
        assert registry.register_cert_in_db(certificate, config.common_name)

    return lambda count: each(work, configs(count, "p-256"))


def ocsp(folder: Path, way: str) -> Prepare:
    """Answer for each of 500 certificates, as `bench.ocsp` does."""
    from bench.ocsp import Bench

    answers = Bench(folder)
    answers.sign_beforehand()
    return lambda _count: getattr(answers, way)


def start(_folder: Path, arguments: list[str]) -> Prepare:
    """Start an interpreter with and without, in turns, and say what it takes longer."""

    def timed(*command: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    def prepare(count: int) -> Timed:
        def run() -> dict[str, float]:
            turns = [(timed(*arguments), timed("-c", "")) for _ in range(count)]
            return {"over_ms": 1000 * statistics.median(mine - bare for mine, bare in turns)}

        return run

    return prepare
