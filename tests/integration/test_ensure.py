"""The current certificate or a new one: whoever asks, there is one."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from cryptography import x509

from tests.command_line import environment, tiny_ca
from tests.integration.test_cli_certificates import csr_of
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    IssuedCertificate,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    AnotherIssuer,
    InvalidRequest,
    NotUniqueCertOwner,
    StorageError,
    ValidityShortened,
)

Ask = Callable[..., IssuedCertificate]
LIFE = timedelta(days=9)


class Clock(ManualClock):
    """Moved by hand, but those who wait for others do wait."""

    def __init__(self) -> None:
        super().__init__()
        self.has_waited = Event()

    def sleep(self, seconds: float) -> None:
        self.has_waited.set()
        time.sleep(seconds)


class World:
    def __init__(self, folder: Path, db_url: str) -> None:
        self.folder, self.db_url, self.clock = folder / "pki", db_url, Clock()
        self.ca = self.manager()
        self.ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))

    def manager(self) -> CertLifecycleManager:
        return CertLifecycleManager(
            LocalStorage(self.folder), db_handler=SyncDBHandler(self.db_url), clock=self.clock
        )

    def ask(self, *names: str, **fields: Any) -> IssuedCertificate:
        asked = {"key_algorithm": "p-256", "valid_for": LIFE, **fields}
        return self.ca.ensure_certificate(*names or ("a.internal",), **asked)

    def at_once(self, count: int = 4) -> set[int]:
        """Ask from so many managers at once; give the serial numbers of what they got."""
        barrier = Barrier(count)

        def ask(_number: int) -> int:
            with self.manager() as ca:
                ca.open_ca("Root")
                barrier.wait()
                found = ca.ensure_certificate("a.internal", key_algorithm="p-256", valid_for=LIFE)
                assert found.private_key.public_key() == found.certificate.public_key()
                return found.serial_number

        with ThreadPoolExecutor(count) as pool:
            return set(pool.map(ask, range(count)))

    def status_of(self, issued: IssuedCertificate) -> str:
        return self.ca.get_certificate_status(issued.serial_number).value


@pytest.fixture
def world(tmp_path: Path, db_url: str) -> Iterator[World]:
    world = World(tmp_path, db_url)
    with world.ca:
        yield world


def test_the_current_one_as_often_as_it_is_asked_for(world: World) -> None:
    first, again = world.ask(), world.ask()
    assert again.certificate == first.certificate
    assert again.paths == first.paths
    assert again.private_key.public_key() == first.certificate.public_key()
    assert again.chain[-1].subject.rfc4514_string() == "CN=Root"
    renewed = world.ca.renew_certificate(first.serial_number, valid_for=LIFE)
    assert world.ask().certificate == renewed


def test_the_next_one_when_it_is_due(world: World) -> None:
    first = world.ask()
    world.clock.advance(LIFE * 2 / 3 - timedelta(seconds=1))
    assert world.ask().certificate == first.certificate
    second = world.ask(within=timedelta(days=4))
    assert world.ask().certificate == second.certificate
    world.clock.advance(LIFE)
    third = world.ask()
    assert len({first.serial_number, second.serial_number, third.serial_number}) == 3
    assert world.ask().certificate == third.certificate


def test_the_former_one_stays_valid(world: World) -> None:
    first = world.ask()
    world.clock.advance(LIFE * 2 / 3)
    second = world.ask()
    assert (world.status_of(first), world.status_of(second)) == ("valid", "valid")
    assert first.certificate.public_key() != second.certificate.public_key()
    assert world.ca.find_certificate("a.internal").serial_number == second.serial_number
    assert Path(first.paths[".pem"]).is_file()


def test_what_is_cut_to_its_issuers_end_is_warned_of_once(world: World) -> None:
    world.ca.issue_intermediate_ca("Middle", key_algorithm="p-256", days_valid=9)
    middle = world.ca.under("Middle")
    with pytest.warns(ValidityShortened):
        first = middle.ensure_certificate("a.internal", key_algorithm="p-256")
    again = middle.ensure_certificate("a.internal", key_algorithm="p-256")
    assert again.certificate == first.certificate


def test_another_one_after_a_revocation(world: World) -> None:
    seen = set()
    for _ in range(3):
        issued = world.ask()
        seen.add(issued.serial_number)
        world.ca.revoke_certificate(issued.serial_number)
    assert len(seen) == 3
    assert world.status_of(world.ask()) == "valid"


@pytest.mark.parametrize(
    "change",
    [
        {"san_dns": ["b.internal"]},
        {"profile": "server"},
        {"key_algorithm": "p-384"},
        {"is_client_cert": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_one_for_something_else(world: World, change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "common_name": "a.internal",
        "is_server_cert": True,
        "is_client_cert": True,
        "key_algorithm": "p-256",
    }
    first = world.ca.ensure_certificate(ClientConfig(**asked))
    asked = {**asked, **change}
    if "profile" in change:
        del asked["is_server_cert"], asked["is_client_cert"]
    other = world.ca.ensure_certificate(ClientConfig(**asked))
    assert other.certificate != first.certificate
    assert world.status_of(first) == "valid"
    again = world.ca.ensure_certificate(ClientConfig(**asked))
    assert again.certificate == other.certificate


def test_of_many_at_once_one_issues(world: World) -> None:
    [first] = world.at_once()
    world.clock.advance(LIFE * 2 / 3)
    [second] = world.at_once()
    world.ca.revoke_certificate(second)
    [third] = world.at_once()
    assert len({first, second, third}) == 3
    assert len(world.ca.list_certificates(key_type="service", common_name="a.internal")) == 3


PROCESS = """
import sys
from tiny_ca import open_ca
with open_ca("pki", common_name="Root", key_algorithm="p-256") as ca:
    print(ca.ensure_certificate("a.internal", key_algorithm="p-256").serial_number)
"""


def test_of_many_processes_one_issues(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    printed = [one.communicate(timeout=120)[0] for one in running]
    assert [one.returncode for one in running] == [0] * 4
    assert len(set(printed)) == 1


def test_another_request_for_the_name_is_waited_for(world: World) -> None:
    config = ClientConfig(common_name="a.internal", key_algorithm="p-256", profile="server")
    with ThreadPoolExecutor(1) as pool, world.manager() as other:
        other.open_ca("Root")
        with other.prepare_certificate(config):
            asked = pool.submit(world.ask, profile="server")
            assert world.clock.has_waited.wait(60)
            assert not asked.done()
        # That one was not issued after all.
        assert world.status_of(asked.result()) == "valid"
        with other.prepare_certificate(config.model_copy(update={"common_name": "b.internal"})):
            world.clock.advance(timedelta(seconds=-1))
            world.clock.has_waited.clear()
            asked = pool.submit(world.ask, "b.internal", profile="server")
            assert world.clock.has_waited.wait(60)
            world.clock.advance(timedelta(seconds=20))
            with pytest.raises(NotUniqueCertOwner):
                asked.result()


def test_what_can_not_be_given_is_refused(world: World) -> None:
    request = csr_of("a.internal")
    world.ca.sign_csr(request, "server", valid_for=LIFE)
    with pytest.raises(StorageError, match="private key"):
        world.ask(profile="server")
    with pytest.raises(InvalidRequest, match="many certificates"):
        world.ask("b.internal", profile="short-lived", valid_for=timedelta(days=1))
    with pytest.raises(InvalidRequest, match="alone"):
        world.ca.ensure_certificate(ClientConfig(common_name="b"), "b")
    with pytest.raises(InvalidRequest, match="one name"):
        world.ca.ensure_certificate()
    world.ca.issue_intermediate_ca("Middle", key_algorithm="p-256", days_valid=3000)
    with pytest.raises(AnotherIssuer):
        world.ca.under("Middle").ensure_certificate("a.internal", profile="server")
    with pytest.raises(InvalidRequest, match="a CA"):
        world.ca.ensure_certificate("x.internal", common_name="Middle", profile="server")


@pytest.mark.anyio
async def test_async() -> None:
    ca = AsyncCertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    await ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
    first = await ca.ensure_certificate("a.internal", key_algorithm="p-256")
    again = await ca.ensure_certificate("a.internal", key_algorithm="p-256")
    assert again.certificate == first.certificate


def test_on_the_command_line(pki: Path) -> None:
    ask = ("issue", "a.internal", "--if-needed")
    first, again = tiny_ca(*ask, "--json").json, tiny_ca(*ask, "--json").json
    assert (first["made"], again["made"]) == (True, False)
    assert again["serial"] == first["serial"]
    live = x509.load_pem_x509_certificate((pki / "live/a.internal/cert.pem").read_bytes())
    assert f"{live.serial_number:x}" == first["serial"]
    assert tiny_ca(*ask).out.startswith("There is a.internal")
    other = tiny_ca(*ask[:2], "b.internal", "--if-needed", "--json").json
    assert (other["made"], other["serial"] != first["serial"]) == (True, True)
    would = tiny_ca("issue", "c.internal", "--if-needed", "--dry-run", "--json").json
    assert [one["common_name"] for one in would["issue"]] == ["c.internal"]
    assert tiny_ca(*ask, "--replace").code == 2
