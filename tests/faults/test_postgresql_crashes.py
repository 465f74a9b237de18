"""PostgreSQL that crashes under load: what a caller was told is in the registry stays there."""

from collections.abc import Callable
from itertools import cycle, islice
from threading import Event, Thread
from time import monotonic, sleep
from typing import Self

import pytest

from tests.faults.pki import AT_ONCE, NOTHING, ROOT, leaf
from tests.faults.servers import Restartable
from tiny_ca import CertificateStatus, CertLifecycleManager, NoStorage, SyncDBHandler
from tiny_ca.domain.errors import TinyCAError

ROUNDS = 20
THREADS = 3


class Load:
    """Threads that issue through one manager, and go on after every error that is typed."""

    def __init__(self, manager: CertLifecycleManager) -> None:
        self._manager = manager
        self._end = Event()
        self.acknowledged: list[int] = []
        self.refused = 0
        self.untyped: list[BaseException] = []
        self._threads = [Thread(target=self._run, args=(name,)) for name in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a call hangs"

    def _run(self, name: int) -> None:
        number = 0
        while not self._end.is_set():
            number += 1
            try:
                certificate, _, _ = self._manager.issue_certificate(
                    leaf(f"n{number}.t{name}.internal")
                )
            except TinyCAError:
                self.refused += 1
                sleep(0.005)
            except BaseException as error:  # noqa: BLE001 - the test shows it
                self.untyped.append(error)
            else:
                self.acknowledged.append(certificate.serial_number)

    def wait_for_more(self) -> None:
        """Wait until issuing works: nobody but the manager itself reconnects."""
        wanted, end = len(self.acknowledged) + 10, monotonic() + 120
        while len(self.acknowledged) < wanted:
            assert monotonic() < end, f"it does not reconnect: {self.untyped[:1]}"
            sleep(0.005)


CRASHES = (Restartable.restart, Restartable.terminate_backends, Restartable.kill_a_backend)


@pytest.mark.parametrize(
    "crashes",
    [
        pytest.param(CRASHES, id="in turn"),
        *(pytest.param((one,), id=one.__name__, marks=pytest.mark.slow) for one in CRASHES),
    ],
)
def test_nothing_that_was_acknowledged_is_lost(
    crashes: tuple[Callable[[Restartable], None], ...],
) -> None:
    with Restartable.started() as server:
        url = server.cluster.new_database()
        with CertLifecycleManager(NoStorage(), db_handler=SyncDBHandler(url)) as manager:
            manager.create_self_signed_ca(ROOT)
            with Load(manager) as load:
                for crash in islice(cycle(crashes), ROUNDS):
                    load.wait_for_more()
                    crash(server)
                load.wait_for_more()
            assert load.untyped == []
            assert load.refused, "no crash met an issue"
            # A row whose commit was not answered is there or not; none stays in between.
            manager.recover(AT_ONCE)
            assert manager.recover(AT_ONCE) == NOTHING
            serials = load.acknowledged
            assert len(set(serials)) == len(serials)
            statuses = [manager.get_certificate_status(serial) for serial in serials]
            assert set(statuses) == {CertificateStatus.VALID}
