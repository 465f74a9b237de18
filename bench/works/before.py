"""What tiny_ca 0.1.1 and 0.2.1 do: RSA keys, and a registry whose commits are not always synced."""

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from itertools import count as numbers
from pathlib import Path
from typing import Any

import tiny_ca.ca_factory.factory as factory_module
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from tiny_ca.ca_factory.factory import CertificateFactory
from tiny_ca.ca_factory.utils.file_loader import CAFileLoader
from tiny_ca.db.sync_db_manager import SyncDBHandler
from tiny_ca.managers.async_lifecycle_manager import AsyncCertLifecycleManager
from tiny_ca.managers.sync_lifecycle_manager import CertLifecycleManager
from tiny_ca.storage.local_storage import LocalStorage

try:
    from tiny_ca.models.certificate import CAConfig, ClientConfig
except ImportError:
    from tiny_ca.models.certtificate import CAConfig, ClientConfig

Timed = Callable[[], object]
Prepare = Callable[[int], Timed]

_numbers = numbers()

# They write two lines a certificate, which nobody reads here.
logging.disable(logging.INFO)


class StubbedKeys:
    """Stands in for the `rsa` module: one key, made beforehand."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)

    def generate_private_key(self, **_: Any) -> rsa.RSAPrivateKey:
        return self._key

    def __getattr__(self, name: str) -> Any:
        return getattr(rsa, name)


def manager(folder: Path) -> CertLifecycleManager:
    ca = CertLifecycleManager(
        storage=LocalStorage(base_folder=str(folder / "pki")),
        db_handler=SyncDBHandler(db_url=f"sqlite:///{folder / 'registry.db'}"),
    )
    certificate, key = ca.create_self_signed_ca(CAConfig(common_name="Bench"))
    ca.factory = CertificateFactory(CAFileLoader(ca_cert_path=certificate, ca_key_path=key))
    return ca


def configs(count: int) -> list[ClientConfig]:
    return [
        ClientConfig(common_name=f"n{next(_numbers)}.internal", is_server_cert=True)
        for _ in range(count)
    ]


def issued(ca: CertLifecycleManager, count: int) -> list[x509.Certificate]:
    own, factory_module.rsa = factory_module.rsa, StubbedKeys()
    try:
        return [ca.issue_certificate(one)[0] for one in configs(count)]
    finally:
        factory_module.rsa = own


def each(work: Callable[[Any], object], items: Iterable[Any]) -> Timed:
    def run() -> None:
        for item in items:
            work(item)

    return run


def issue(folder: Path, *, stubbed: bool = False) -> Prepare:
    ca = manager(folder)
    if stubbed:
        factory_module.rsa = StubbedKeys()
    return lambda count: each(ca.issue_certificate, configs(count))


def revoke(folder: Path) -> Prepare:
    ca = manager(folder)
    unspecified = x509.ReasonFlags.unspecified
    return lambda count: each(
        lambda one: ca.revoke_certificate(one.serial_number, reason=unspecified),
        issued(ca, count),
    )


def verify(folder: Path) -> Prepare:
    ca = manager(folder)
    return lambda count: each(ca.verify_certificate, issued(ca, count))


def status(folder: Path) -> Prepare:
    ca = manager(folder)
    serials = [one.serial_number for one in issued(ca, 50)]
    return lambda count: each(
        ca.get_certificate_status, [serials[i % len(serials)] for i in range(count)]
    )


def asynchronous(folder: Path) -> Prepare:
    """So many tasks at once, and the longest time that the event loop did nothing else."""
    # What it awaits is not the point here: no files, and a registry that answers at once.
    below = manager(folder)

    class Nowhere:
        async def save_certificate(self, **given: Any) -> tuple[str, str]:
            return "nowhere", given.get("uuid_str") or "none"

    ca = AsyncCertLifecycleManager(storage=Nowhere(), db_handler=None)
    ca.factory = below.factory

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
        await asyncio.sleep(0)
        ticking.cancel()
        return {"stall_ms": 1000 * max(gaps)}

    return lambda count: lambda: asyncio.run(all_at_once(configs(count)))


def start(_folder: Path, arguments: list[str]) -> Prepare:
    def prepare(count: int) -> Timed:
        def run() -> None:
            for _ in range(count):
                subprocess.run([sys.executable, *arguments], check=True)

        return run

    return prepare
