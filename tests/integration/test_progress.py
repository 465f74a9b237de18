"""What takes long tells how far it has come."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from cryptography import x509

from tiny_ca import (
    AsyncCertLifecycleManager,
    CertLifecycleManager,
    ClientConfig,
    MemoryRegistry,
    MemoryStorage,
    open_ca,
)
from tiny_ca.adapters.inbound.cli.output import working
from tiny_ca.ports.history import HistoryEntry, PastAuthority

COUNT = 7


class Log(list[tuple[int, int | None]]):
    def __call__(self, done: int, total: int | None, /) -> None:
        self.append((done, total))

    def parts(self) -> list[list[tuple[int, int | None]]]:
        """Give what was told of each part: one begins where the total is another."""
        parts: list[list[tuple[int, int | None]]] = []
        for done, total in self:
            if not parts or parts[-1][-1][1] != total:
                parts.append([])
            parts[-1].append((done, total))
        return parts


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[CertLifecycleManager]:
    with open_ca(tmp_path / "pki", common_name="Root", key_algorithm="p-256") as ca:
        ca.issue_many(configs())
        yield ca


def configs(prefix: str = "n") -> list[ClientConfig]:
    return [
        ClientConfig(common_name=f"{prefix}{number}.test", key_algorithm="p-256")
        for number in range(COUNT)
    ]


def check_whole(part: list[tuple[int, int | None]], total: int) -> None:
    """One after the other, to the end."""
    assert [each for _, each in part] == [total] * len(part)
    done = [each for each, _ in part]
    assert done == sorted(set(done))
    assert done[-1] == total


def test_of_what_is_counted_beforehand(ca: CertLifecycleManager, tmp_path: Path) -> None:
    log = Log()
    issued = ca.issue_many(configs("m"), progress=log)
    check_whole(log, COUNT)

    log = Log()
    ca.revoke_many([one.serial_number for one, _, _ in issued], progress=log)
    check_whole(log, COUNT)

    log = Log()
    ca.backup(tmp_path / "pki.tar", progress=log)
    check_whole(log, 2 * COUNT + 1)

    log = Log()
    ca.examine(progress=log)
    # What is revoked has the higher places in the registry.
    check_whole(log.parts()[0], COUNT + 1)


def test_of_what_is_checked_first(ca: CertLifecycleManager, tmp_path: Path) -> None:
    manifest = ca.backup(tmp_path / "pki.tar")
    members = sum(part.members for part in manifest.parts)
    log = Log()
    with empty() as other:
        assert other.restore(tmp_path / "pki.tar", dry_run=True, progress=log).is_dry_run
        planned = [*log]
        other.restore(tmp_path / "pki.tar", progress=log)
    # Small, so that no hundred members are checked.
    check_whole(log[len(planned) :], members)
    assert 0 < planned[-1][0] < members


def test_of_a_history(ca: CertLifecycleManager) -> None:
    log = Log()
    with empty() as other:
        other.import_history(History(ca), progress=log)
        check_whole(log, COUNT)
        log.clear()
        other.import_history(History(ca), dry_run=True, progress=log)
    assert log == []


def test_of_what_nobody_counts(ca: CertLifecycleManager) -> None:
    log = Log()
    ca.revoke_many([one.serial_number for one in ca.iter_certificates(key_type="service")])
    ca.publish_crl(progress=log)
    assert log == []
    many = [ClientConfig(common_name=f"x{n}.test", key_algorithm="p-256") for n in range(150)]
    ca.revoke_many([one.serial_number for one, _, _ in ca.issue_many(many)])
    published = ca.publish_crl(progress=log)
    assert log[-1] == (published.count, None)


def test_one_that_fails_ends_it(ca: CertLifecycleManager, tmp_path: Path) -> None:
    def tell(_done: int, _total: int | None, /) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        ca.backup(tmp_path / "pki.tar", progress=tell)
    assert not list(tmp_path.glob("*.tar*"))
    with pytest.raises(RuntimeError):
        ca.issue_many(configs("m"), progress=tell)
    assert ca.list_certificates("valid", common_name="m*") == []


@pytest.mark.anyio
async def test_on_the_async_face(ca: CertLifecycleManager) -> None:
    log = Log()
    other = AsyncCertLifecycleManager.wrapping(ca)
    await other.issue_many(configs("m"), progress=log)
    check_whole(log, COUNT)


def empty() -> CertLifecycleManager:
    return CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())


class History:
    """What a manager has issued, as another program's."""

    def __init__(self, ca: CertLifecycleManager) -> None:
        self._ca = ca

    def authorities(self) -> list[PastAuthority]:
        [root] = self._ca.trusted_roots()
        return [PastAuthority("the root", root)]

    def entries(self) -> Iterator[HistoryEntry]:
        for each in self._ca.iter_certificates(key_type="service"):
            yield HistoryEntry(
                str(each.serial_number),
                each.serial_number,
                each.common_name,
                each.not_after,
                certificate=x509.load_pem_x509_certificate(each.certificate_pem.encode()),
            )

    def remarks(self) -> Iterator[str]:
        yield from ()


class HandTimer:
    """A second is over when the test says so, however busy the machine is."""

    is_started = is_cancelled = daemon = False

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self.seconds, self.function = seconds, function

    def start(self) -> None:
        self.is_started = True

    def cancel(self) -> None:
        self.is_cancelled = True


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("told", "shown"), [((50, 200), "25%"), ((1234, None), "1,234"), (None, "Counting")]
)
def test_people_see_it(
    told: tuple[int, int | None] | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    timers: list[HandTimer] = []

    def by_hand(seconds: float, function: Callable[[], None]) -> HandTimer:
        timers.append(HandTimer(seconds, function))
        return timers[-1]

    monkeypatch.setattr("tiny_ca.adapters.inbound.cli.output.Timer", by_hand)
    with redirect_stderr(Terminal()) as terminal, working("Counting") as progress:
        if told is not None:
            progress(*told)
        # Whoever is done within a second sees nothing.
        [timer] = timers
        assert (timer.seconds, timer.is_started, terminal.getvalue()) == (1.0, True, "")
        timer.function()
        end = time.monotonic() + 30
        while shown not in terminal.getvalue() and time.monotonic() < end:
            time.sleep(0.05)
        assert shown in terminal.getvalue()
    assert timer.is_cancelled
