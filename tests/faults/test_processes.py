"""Many processes that want the same: one of them gets it, each time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

RACE = '''
import json
import multiprocessing
import sys

from tiny_ca import (
    CertificateFactory, CertLifecycleManager, ClientConfig, NoStorage, SyncDBHandler,
)
from tiny_ca.adapters.outbound.crypto.loaders import load_ca
from tiny_ca.domain.errors import NotUniqueCertOwner, RegistryError

method, url, rounds, processes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def compete(manager, factory, url, barrier, results):
    if manager is None:
        manager = CertLifecycleManager(NoStorage(), factory(), SyncDBHandler(url))
    won, numbers = [], []
    for n in range(rounds):
        barrier.wait()
        try:
            manager.issue_certificate(ClientConfig(common_name=f"n{n}", key_algorithm="p-256"))
            won.append(n)
        except NotUniqueCertOwner:
            pass
        try:
            numbers.append(manager.generate_crl().extensions[1].value.crl_number)
        except RegistryError as error:
            assert "higher number" in str(error), error
    manager.close()
    results.put((won, numbers))


class Material:
    """The CA, for a process that inherits nothing."""

    def __init__(self, certificate_pem, key_pem):
        self.pems = certificate_pem, key_pem

    def __call__(self):
        return CertificateFactory(load_ca(*self.pems, None))


if __name__ == "__main__":
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    certificate, key = CertificateFactory.build_self_signed_ca(key_algorithm="p-256")
    plain = PrivateFormat.PKCS8, NoEncryption()
    material = Material(
        certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, *plain)
    )
    # Used before the fork, with connections open that children must not share.
    manager = CertLifecycleManager(NoStorage(), material(), SyncDBHandler(url))
    manager.issue_certificate(ClientConfig(common_name="before", key_algorithm="p-256"))
    context = multiprocessing.get_context(method)
    barrier, results = context.Barrier(processes), context.Queue()
    inherited = manager if method == "fork" else None
    children = [
        context.Process(target=compete, args=(inherited, material, url, barrier, results))
        for _ in range(processes)
    ]
    for child in children:
        child.start()
    found = [results.get(timeout=240) for _ in children]
    for child in children:
        child.join()
    # The parent's connections are its own still.
    manager.issue_certificate(ClientConfig(common_name="after", key_algorithm="p-256"))
    manager.close()
    print(json.dumps(found))
'''


def race(tmp_path: Path, method: str, url: str, rounds: int, processes: int) -> list[list[int]]:
    script = tmp_path / "race.py"
    script.write_text(RACE)
    done = subprocess.run(
        [sys.executable, script, method, url, str(rounds), str(processes)],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("method", "rounds", "processes"),
    [
        ("fork", 5, 16),
        ("spawn", 5, 4),
        pytest.param("fork", 50, 16, marks=pytest.mark.slow),
        pytest.param("spawn", 50, 16, marks=pytest.mark.slow),
    ],
)
def test_one_name_has_one_certificate_and_crl_numbers_rise(
    tmp_path: Path, db_url: str, method: str, rounds: int, processes: int
) -> None:
    results = race(tmp_path, method, db_url, rounds, processes)
    won = sorted(n for wins, _ in results for n in wins)
    assert won == list(range(rounds))
    numbers = [number for _, published in results for number in published]
    assert len(set(numbers)) == len(numbers)
    for _, published in results:
        assert published == sorted(published)
