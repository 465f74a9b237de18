"""Measure CRLs: python -m bench.crl [--db URL] [--peers] [--stall] [ENTRIES...]

From a registry to files that were read back, verified and swapped in: in SQLite, or by --db in an
empty PostgreSQL database.  Each size has a process of its own, which nothing else has filled.
The files are in the system's temporary folder: TMPDIR says which disk is measured.
--peers: beside others, in the same run, up to sizes that take them seconds.  --stall: how long an
event loop waits while a worker thread publishes a CRL and opens a CRLIndex, and while it sleeps.
"""

import argparse
import asyncio
import math
import os
import resource
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

from bench.crl_peers import by_cryptography, by_openssl, by_tiny_ca_0_1_1, environment_of_0_1_1
from bench.registries import filled_registry
from bench.scratch import scratch_folder
from tiny_ca import CertLifecycleManager, CRLIndex, LocalStorage, SyncDBHandler

SIZES = [1_000, 10_000, 100_000, 1_000_000]
CONSTRUCTOR_TO, PEERS_TO = 100_000, 20_000
ROUNDS = 3
STALL_ROUNDS = 5
T = TypeVar("T")


class Figures(NamedTuple):
    """The best of a few rounds: seconds, of them on a processor, and MB beyond the beginning."""

    seconds: float
    busy: float
    memory: float


def opened(folder: Path, db_url: str | None) -> CertLifecycleManager:
    registry = SyncDBHandler(db_url or f"sqlite:///{folder / 'registry.db'}")
    ca = CertLifecycleManager(LocalStorage(folder / "pki"), db_handler=registry)
    ca.open_ca("Bench")
    return ca


def fill(folder: Path, count: int, db_url: str | None) -> list[int]:
    with filled_registry(folder, count, db_url) as (_, serials):
        return serials if count <= CONSTRUCTOR_TO else []


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def publish(folder: Path, count: int, db_url: str | None) -> Figures:
    """Publish a few times; from the second on, each is compared with the last."""
    with opened(folder, db_url) as ca:
        before, rounds = peak(), []
        for _ in range(ROUNDS):
            start, busy = time.perf_counter(), time.process_time()
            assert ca.publish_crl().count == count
            rounds.append((time.perf_counter() - start, time.process_time() - busy))
        return Figures(*map(min, zip(*rounds, strict=True)), peak() - before)


async def _longest_wait(work: Callable[[], object]) -> float:
    """Give by how many ms at the most a loop that sleeps a ms each time was late meanwhile."""
    longest, done = 0.0, threading.Event()

    def run() -> None:
        try:
            work()
        finally:
            done.set()

    task = asyncio.get_running_loop().run_in_executor(None, run)
    while not done.is_set():
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - start - 0.001)
    await task
    return longest * 1000


def stall(folder: Path, db_url: str | None) -> list[tuple[str, float]]:
    """Give the longest wait beside each, in the calmest of a few rounds, which take turns."""
    with opened(folder, db_url) as ca:
        assert ca.factory is not None
        root = ca.factory.certificate
        cases: list[tuple[str, Callable[[], object]]] = [
            ("nothing", lambda: time.sleep(2)),
            ("publish_crl", ca.publish_crl),
            ("CRLIndex", lambda: CRLIndex(folder / "pki" / "crl.der", root)),
        ]
        rounds = [
            [asyncio.run(_longest_wait(work)) for _, work in cases] for _ in range(STALL_ROUNDS)
        ]
        return [(name, min(waits)) for (name, _), *waits in zip(cases, *rounds, strict=True)]


def table(arguments: argparse.Namespace, folder: Path) -> None:
    python = environment_of_0_1_1(folder) if arguments.peers else None
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'entries':>10}{'seconds':>10}{'busy':>10}{'exponent':>10}{'MB':>8}", flush=True)
    last: tuple[int, float] | None = None
    for count in arguments.entries:
        place = folder / str(count)
        place.mkdir()
        serials = in_a_process(fill, place, count, arguments.db)
        found = in_a_process(publish, place, count, arguments.db)
        growth = "-"
        if last is not None:
            growth = f"{math.log(found.busy / last[1]) / math.log(count / last[0]):.2f}"
        last = count, found.busy
        row = (
            f"{count:>10}{found.seconds:>10.2f}{found.busy:>10.2f}{growth:>10}{found.memory:>8.0f}"
        )
        print(row + "".join(peers(python, serials, found, place)), flush=True)
        if arguments.stall:
            waits = in_a_process(stall, place, arguments.db)
            for name, wait in waits:
                more = f"{wait - waits[0][1]:+6.1f} ms beside {name}"
                print(f"    the loop waits {wait:6.1f} ms at most, {more}", flush=True)


def peers(python: Path | None, serials: list[int], ours: Figures, folder: Path) -> list[str]:
    if python is None or not serials:
        return []
    times = [("cryptography", in_a_process(by_cryptography, serials))]
    if len(serials) <= PEERS_TO:
        times.append(("openssl", by_openssl(serials, folder)))
        times.append(("tiny_ca 0.1.1", by_tiny_ca_0_1_1(len(serials), python, folder)))
    return [f"   {name} {seconds:.2f} s ({seconds / ours.seconds:.1f}x)" for name, seconds in times]


def in_a_process(work: Callable[..., T], *arguments: object) -> T:
    """The peak of memory is a process's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", nargs="*", type=int, default=SIZES)
    parser.add_argument("--db")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--stall", action="store_true")
    arguments = parser.parse_args()
    with scratch_folder() as folder:
        table(arguments, folder)


if __name__ == "__main__":
    main()
