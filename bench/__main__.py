"""Measure what the issuance protocol costs: python -m bench [ROUNDS]

Every figure is a median over rounds in which the cases take turns, and a ratio to another case
of the same run: absolute times belong to the machine.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cryptography
import sqlalchemy

from tiny_ca import (
    CAConfig,
    CertificateFactory,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    NoRegistry,
    NoStorage,
    SyncDBHandler,
    __version__,
)

SINGLE, BATCH = 40, 500


def config(name: str) -> ClientConfig:
    return ClientConfig(common_name=name, is_server_cert=True, key_algorithm="p-256")


class Bench:
    """Managers of each kind in one folder, and what is done with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.full = self._manager("full", files=True, registry=True)
        self.registry_only = self._manager("registry", files=False, registry=True)
        self.files_only = self._manager("files", files=True, registry=False)

    def _manager(self, name: str, *, files: bool, registry: bool) -> CertLifecycleManager:
        manager = CertLifecycleManager(
            LocalStorage(self._folder / name) if files else NoStorage(),
            db_handler=(
                SyncDBHandler(f"sqlite:///{self._folder / name}.db") if registry else NoRegistry()
            ),
        )
        manager.create_self_signed_ca(CAConfig(common_name="Bench", key_algorithm="p-256"))
        return manager

    def names(self, count: int) -> list[str]:
        self._count += count
        return [f"n{self._count - i}.internal" for i in range(count)]

    def sign_only(self) -> int:
        """Sign in memory: no record, no files."""
        factory = self.full.factory
        assert isinstance(factory, CertificateFactory)
        for name in self.names(SINGLE):
            factory.issue_certificate(name, is_server_cert=True, key_algorithm="p-256")
        return SINGLE

    def record_afterwards(self) -> int:
        """Files, then one commit: the same work without the reservation."""
        registry = SyncDBHandler(f"sqlite:///{self._folder / 'full'}.db")
        for name in self.names(SINGLE):
            certificate, _, _ = self.files_only.issue_certificate(config(name))
            assert registry.register_cert_in_db(certificate, name)
        registry.close()
        return SINGLE

    def issue(self) -> int:
        """Reserve, sign, stage, commit, publish: what issue_certificate does."""
        for name in self.names(SINGLE):
            self.full.issue_certificate(config(name))
        return SINGLE

    def issue_registry_only(self) -> int:
        """The same without files."""
        for name in self.names(SINGLE):
            self.registry_only.issue_certificate(config(name))
        return SINGLE

    def issue_many(self) -> int:
        """issue_many of 500, without files."""
        self.registry_only.issue_many([config(name) for name in self.names(BATCH)])
        return BATCH


def rate(case: Callable[[], int]) -> float:
    start = time.perf_counter()
    done = case()
    return done / (time.perf_counter() - start)


def main(rounds: int) -> None:
    load = os.getloadavg()[0]
    print(
        f"tiny_ca {__version__}, Python {platform.python_version()}, "
        f"cryptography {cryptography.__version__}, SQLAlchemy {sqlalchemy.__version__}, "
        f"{os.cpu_count()} cores, load {load:.1f}"
    )
    if load > 1:
        print("The machine is busy: the ratios are worth less.")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        bench = Bench(Path(folder))
        cases = {
            "sign only": bench.sign_only,
            "record afterwards": bench.record_afterwards,
            "issue": bench.issue,
            "issue, registry only": bench.issue_registry_only,
            "issue_many, registry only": bench.issue_many,
        }
        rates: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                rates[name].append(rate(case))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, case in cases.items():
        print(f"{name:28}{medians[name]:10.0f} a second   {case.__doc__}")
    print()
    protocol = medians["record afterwards"] / medians["issue"]
    print(f"cost of the protocol: {protocol:.2f}x the time of recording afterwards (goal <= 1.6)")
    batch = medians["issue_many, registry only"] / medians["issue, registry only"]
    print(f"gain of a batch of {BATCH}: {batch:.1f}x single calls, registry only (goal >= 5)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
