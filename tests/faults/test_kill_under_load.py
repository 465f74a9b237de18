"""SIGKILL at random moments while several processes issue into one folder and one database."""

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from tests.faults.pki import Folder
from tests.faults.tracing import Server

PROCESSES = 3


class Worker:
    """A process that issues until it is killed, and is then born again."""

    def __init__(self, server: Server, folder: Folder) -> None:
        self._server, self._folder = server, folder
        self.acknowledged: list[int] = []
        self._start()

    def _start(self) -> None:
        self._pid = self._server.start(self._folder.path, "hammer")

    def listen(self, count: int, seconds: float) -> None:
        """Note what is issued: *count* certificates, then those that come in *seconds*."""
        for _ in range(count):
            self._note(self._server.receive())
        end = monotonic() + seconds
        while (reply := self._server.poll(max(0, end - monotonic()))) is not None:
            self._note(reply)

    def _note(self, reply: dict[str, object]) -> None:
        assert isinstance(reply.get("serial"), int), reply
        self.acknowledged.append(reply["serial"])

    def kill(self, *, is_last: bool = False) -> None:
        os.kill(self._pid, signal.SIGKILL)
        while "killed" not in (reply := self._server.receive()):
            self._note(reply)
        assert reply["killed"]
        if not is_last:
            self._start()


@pytest.mark.parametrize(
    "kills", [40, pytest.param(500, marks=pytest.mark.slow)], ids=["short", "full"]
)
def test_nothing_is_lost_and_nothing_unregistered(
    server: Server, prepared: Folder, tmp_path: Path, kills: int
) -> None:
    folder, dice = prepared.copy(tmp_path / "ca"), random.Random(0)
    with ExitStack() as stack:
        servers = [server, *(stack.enter_context(Server()) for _ in range(PROCESSES - 1))]
        workers = [Worker(one, folder) for one in servers]
        for _ in range(kills):
            victim = dice.choice(workers)
            # By count, since a machine may be so slow that by time they had only begun.
            victim.listen(dice.randint(0, 4), dice.uniform(0, 0.05))
            victim.kill()
        for worker in workers:
            worker.kill(is_last=True)
    with folder.manager() as manager:
        folder.check(manager)
    acknowledged = [serial for worker in workers for serial in worker.acknowledged]
    statuses, published = folder.statuses(), folder.published()
    assert len(acknowledged) > kills
    assert len(set(acknowledged)) == len(acknowledged)
    assert {statuses[serial] for serial in acknowledged} == {"valid"}
    assert set(acknowledged) <= published.keys()
