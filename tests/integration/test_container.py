"""The composition root, and a CA in one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dependency_injector import providers
from dependency_injector.errors import Error

from tests.regression.world import PROJECT, ROOT_CONFIG, Hook, World, hooked, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    CertificateStatus,
    CertLifecycleManager,
    Container,
    LocalStorage,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    SeededEntropy,
    Settings,
    SyncDBHandler,
    open_async_ca,
    open_ca,
)
from tiny_ca.domain.errors import CertNotFound, RegistryError, StorageError
from tiny_ca.ports.clock import Clock
from tiny_ca.ports.crypto import Crypto
from tiny_ca.ports.entropy import Entropy
from tiny_ca.ports.linter import Linter
from tiny_ca.ports.observer import Observer
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Storage

P256 = {"common_name": "Root", "key_algorithm": "p-256"}

pytestmark = pytest.mark.usefixtures("clean_environment")


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    descriptors = list(Path("/proc/self/fd").iterdir())
    return any(one.exists() and one.samefile(path) for one in descriptors)


class RememberingEntropy(SeededEntropy):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.given: list[int] = []

    def random_bits(self, count: int) -> int:
        self.given.append(super().random_bits(count))
        return self.given[-1]


class TestContainer:
    def test_builds_every_provider(self, tmp_path: Path) -> None:
        """A misspelt argument in it would show nowhere else."""
        container = Container(
            settings=Settings(base_folder=tmp_path / "pki", lint="warning", opentelemetry=True)
        )
        expected = {
            "settings": Settings,
            "clock": Clock,
            "entropy": Entropy,
            "crypto": Crypto,
            "linter": Linter,
            "observer": Observer,
            "storage": Storage,
            "registry": Registry,
            "manager": CertLifecycleManager,
            "async_manager": AsyncCertLifecycleManager,
        }
        assert set(container.providers) - {"__self__"} == set(expected)
        for name, kind in expected.items():
            built = container.providers[name]()
            assert isinstance(built, kind), name
            assert container.providers[name]() is built, name
        container.manager().close()

    def test_wants_settings(self) -> None:
        with pytest.raises(Error, match="settings"):
            Container().manager()

    def test_of_another_lifetime_is_another_one(self, tmp_path: Path) -> None:
        settings = Settings(base_folder=tmp_path / "pki")
        one, two = Container(settings=settings), Container(settings=settings)
        assert one.storage() is not two.storage()

    def test_its_adapters_give_way_to_one_override(self, tmp_path: Path) -> None:
        clock = ManualClock(datetime(2031, 5, 1, tzinfo=UTC))
        entropy = RememberingEntropy(7)
        container = Container(settings=Settings(base_folder=tmp_path / "pki", **P256))
        container.override_providers(
            storage=providers.Singleton(MemoryStorage),
            registry=providers.Singleton(MemoryRegistry),
            clock=providers.Object(clock),
            entropy=providers.Object(entropy),
        )
        with open_ca(container=container) as ca:
            certificate, _, _ = ca.issue_certificate(leaf())
            assert certificate.not_valid_before_utc == clock.now()
            assert certificate.serial_number & (1 << 64) - 1 in entropy.given
            assert ca.verify_certificate(certificate)
            ca.generate_crl()
            assert set(container.storage().crls) == {"crl"}
        assert list(tmp_path.iterdir()) == []


class TestOpenCA:
    def test_creates_and_then_reopens(self, tmp_path: Path) -> None:
        with open_ca(tmp_path / "pki", **P256) as ca:
            first = ca.factory.certificate
            issued, _, _ = ca.issue_certificate(leaf())
        with open_ca(tmp_path / "pki", **P256) as ca:
            assert ca.factory.certificate == first
            assert ca.verify_certificate(issued)
        # Without a name: the only one there is.
        with open_ca(str(tmp_path / "pki")) as ca:
            assert ca.factory.certificate == first
        assert first.not_valid_after_utc.year - first.not_valid_before_utc.year == 10
        assert len(list((tmp_path / "pki").glob("*/ca.key"))) == 1

    def test_its_fields_make_the_ca(self, tmp_path: Path) -> None:
        settings = {**P256, "organization": "ACME", "country": "UA", "days_valid": 5}
        with open_ca(tmp_path / "pki", **settings) as ca:
            root = ca.factory.certificate
        assert root.subject.rfc4514_string() == "CN=Root,O=ACME,C=UA"
        assert (root.not_valid_after_utc - root.not_valid_before_utc).days == 5

    def test_the_folder_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            with open_ca(tmp_path / "pki", **P256):
                assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
        finally:
            os.umask(before)

    def test_without_a_name_there_must_be_one(self, tmp_path: Path) -> None:
        with pytest.raises(CertNotFound, match="none"), open_ca(tmp_path / "pki"):
            pass

    def test_for_as_long_as_a_process_lives(self, tmp_path: Path) -> None:
        ca = open_ca(tmp_path, common_name="Root", key_algorithm="p-256")
        assert ca.verify_certificate(ca.issue_certificate(leaf())[0])
        assert is_open(tmp_path / "registry.db")
        ca.close()
        assert not is_open(tmp_path / "registry.db")

    def test_what_it_can_not_open_it_closes(self, tmp_path: Path) -> None:
        with pytest.raises(CertNotFound):
            open_ca(tmp_path)
        assert (tmp_path / "registry.db").exists()
        assert not is_open(tmp_path / "registry.db")

    def test_of_two_it_opens_neither_without_a_name(self, tmp_path: Path) -> None:
        for name in ("One", "Two"):
            with open_ca(tmp_path / "pki", common_name=name, key_algorithm="p-256"):
                pass
        with pytest.raises(CertNotFound, match="'One', 'Two'"), open_ca(tmp_path / "pki"):
            pass
        with open_ca(tmp_path / "pki", common_name="Two") as ca:
            assert "CN=Two" in ca.factory.certificate.subject.rfc4514_string()

    def test_what_is_no_ca_is_not_opened(self, world: World) -> None:
        with world.ca() as manager:
            manager.issue_certificate(leaf())
            with pytest.raises(CertNotFound, match=r"a\.internal"):
                manager.open_ca("a.internal")

    def test_an_expired_ca_is_replaced(self, world: World) -> None:
        clock = ManualClock()
        settings = Settings(base_folder=world.base, days_valid=30, **P256)
        container = Container(settings=settings)
        container.clock.override(clock)
        with open_ca(container=container) as ca:
            first = ca.factory.certificate
        clock.set(datetime(2031, 1, 1, tzinfo=UTC))
        container = Container(settings=settings)
        container.clock.override(clock)
        with open_ca(container=container) as ca:
            assert ca.factory.certificate != first
            assert ca.factory.certificate.not_valid_before_utc == clock.now()

    def test_the_files_of_a_known_ca_are_gone(self, tmp_path: Path) -> None:
        with open_ca(tmp_path / "pki", **P256):
            pass
        for path in (tmp_path / "pki").glob("*/ca.key"):
            path.unlink()
        with pytest.raises(StorageError), open_ca(tmp_path / "pki", **P256):
            pass

    def test_one_whose_files_are_not_visible_yet(self, world: World) -> None:
        """Another process is between its commit and its publishing."""
        hook = Hook("publish")
        storage = hooked(LocalStorage, hook)(world.base)
        with world.manager(storage=storage) as creator, world.manager() as opener:
            # Its own first recovery is over, and can't help.
            opener.get_certificate_status(1)
            hook.action = lambda: opener.open_ca("Test Root")
            creator.create_self_signed_ca(ROOT_CONFIG)
            assert opener.factory.certificate == creator.factory.certificate
            assert opener.verify_certificate(creator.issue_certificate(leaf())[0])

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://root@127.0.0.1/pki",
            "oracle://x",
            "nonsense",
            "sqlite:////no/such/folder/registry.db",
            "postgresql://nobody@127.0.0.1:1/none",
        ],
    )
    def test_a_registry_that_cannot_be_had(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(RegistryError), open_ca(tmp_path / "pki", db_url=url, **P256):
            pass
        assert not list(tmp_path.rglob("*.key"))


class TestPassphrase:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        with open_ca(tmp_path / "pki", key_passphrase="sesame", **P256) as ca:
            ca.issue_certificate(leaf())
        return tmp_path / "pki"

    def test_encrypts_every_key(self, folder: Path) -> None:
        keys = list(folder.glob("*/*.key"))
        assert len(keys) == 2
        assert all(b"ENCRYPTED PRIVATE KEY" in path.read_bytes() for path in keys)

    def test_opens_the_ca(self, folder: Path) -> None:
        with open_ca(folder, key_passphrase="sesame") as ca:
            assert ca.verify_certificate(ca.issue_certificate(leaf("b.internal"))[0])

    @pytest.mark.parametrize("settings", [{}, {"key_passphrase": "simsim"}])
    def test_nothing_else_does(self, folder: Path, settings: dict[str, str]) -> None:
        with pytest.raises(StorageError) as caught, open_ca(folder, **settings):
            pass
        assert "simsim" not in str(caught.value)

    def test_is_not_shown(self) -> None:
        settings = Settings(key_passphrase="sesame")
        assert settings.passphrase == b"sesame"
        assert "sesame" not in f"{settings!r} {settings} {settings.model_dump_json()}"

    def test_an_empty_one_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="key_passphrase"):
            Settings(key_passphrase="")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
class TestOpenAsyncCA:
    async def test_creates_and_then_reopens(self, tmp_path: Path, anyio_backend: str) -> None:
        async with open_async_ca(tmp_path / "pki", **P256) as ca:
            certificate, _, _ = await ca.issue_certificate(leaf())
        async with open_async_ca(tmp_path / "pki") as ca:
            assert await ca.verify_certificate(certificate)

    async def test_with_a_container(self, tmp_path: Path, anyio_backend: str) -> None:
        container = Container(settings=Settings(base_folder=tmp_path / "pki", **P256))
        container.registry.override(MemoryRegistry())
        async with open_async_ca(container=container) as ca:
            assert ca is container.async_manager()
            certificate, _, _ = await ca.issue_certificate(leaf())
            # Both faces are of one CA.
            status = container.manager().get_certificate_status(certificate.serial_number)
            assert status is CertificateStatus.VALID

    async def test_raises_what_open_ca_does(self, tmp_path: Path, anyio_backend: str) -> None:
        with pytest.raises(CertNotFound):
            async with open_async_ca(tmp_path / "pki"):
                pass


OPENING = """
import sys
from tiny_ca import ClientConfig, open_ca

print("ready", flush=True)
for number, folder in enumerate(sys.stdin):
    with open_ca(folder.strip(), common_name="Root", key_algorithm="p-256") as ca:
        config = ClientConfig(common_name=f"{sys.argv[1]}.internal", key_algorithm="p-256")
        ca.verify_certificate(ca.issue_certificate(config)[0])
        print(ca.factory.certificate.serial_number, flush=True)
"""


@pytest.fixture(scope="module")
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(number)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    yield started
    for process in started:
        process.communicate(timeout=30)


def _open_in_all(processes: list[subprocess.Popen[str]], folder: Path) -> None:
    for process in processes:
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
    opened = [process.stdout.readline().strip() for process in processes]
    broken = [p.stderr.read() for p, line in zip(processes, opened, strict=True) if not line]
    assert not broken
    assert len(set(opened)) == 1
    assert len(list(folder.glob("*/ca.key"))) == 1
    assert len(list(folder.glob("*/*.internal.key"))) == 4


@pytest.mark.xdist_group("four processes")
def test_four_processes_that_open_it_at_once_create_one_ca(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt) / "pki"
        folder.mkdir(parents=True)
        SyncDBHandler(f"sqlite:///{folder / 'registry.db'}").close()
        _open_in_all(processes, folder)


@pytest.mark.xdist_group("four processes")
def test_four_processes_that_create_the_registry_too(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    for attempt in range(2):
        _open_in_all(processes, tmp_path / str(attempt) / "pki")
