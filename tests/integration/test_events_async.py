"""Events by the asynchronous face: async handlers run on the caller's loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from tests.integration.test_events import NOON, Log
from tests.regression.world import ROOT_CONFIG, leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    AsyncDBHandler,
    Event,
    EventKind,
    ManualClock,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import InvalidRequest, UnknownSubscriber


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


class TestAsyncFace:
    """On asyncio and trio."""

    pytestmark: ClassVar = [
        pytest.mark.anyio,
        pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    ]

    @pytest.fixture(params=["sync", "async", "memory"])
    async def ca(self, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Any:
        path = tmp_path / "registry.db"
        handlers: dict[str, Callable[[], Any]] = {
            "sync": lambda: SyncDBHandler(f"sqlite:///{path}"),
            "async": lambda: AsyncDBHandler(f"sqlite+aiosqlite:///{path}"),
            "memory": MemoryRegistry,
        }
        handler = handlers[request.param]()
        async with AsyncCertLifecycleManager(NoStorage(), None, handler, clock=clock) as manager:
            await manager.create_self_signed_ca(ROOT_CONFIG)
            yield manager

    async def issue(self, ca: AsyncCertLifecycleManager, name: str = "a.internal") -> int:
        certificate, _, _ = await ca.issue_certificate(leaf(name))
        serial: int = certificate.serial_number
        return serial

    async def test_where_handlers_run(self, ca: AsyncCertLifecycleManager) -> None:
        """Async ones on the caller's loop, all others in a worker thread."""
        threads: dict[str, set[int]] = {"async": set(), "sync": set(), "object": set()}

        async def on_loop(event: Event) -> None:
            await anyio.sleep(0)
            threads["async"].add(threading.get_ident())

        class Handler:
            async def __call__(self, event: Event, where: str) -> None:
                await anyio.sleep(0)
                threads[where].add(threading.get_ident())

        await ca.subscribe("async", on_loop)
        await ca.subscribe("sync", lambda _: threads["sync"].add(threading.get_ident()))
        await ca.subscribe("object", partial(Handler(), where="object"))
        await ca.revoke_certificate(await self.issue(ca))
        assert await ca.deliver_events() == (6, 0)
        assert threads["async"] == threads["object"] == {threading.get_ident()}
        assert threads["sync"]
        assert threading.get_ident() not in threads["sync"]

    async def test_handlers_that_raise(
        self, ca: AsyncCertLifecycleManager, clock: ManualClock
    ) -> None:
        broken, told = {await self.issue(ca)}, []

        async def handle(event: Event) -> None:
            if event.serial_number in broken:
                raise RuntimeError
            told.append(event.kind)

        await ca.subscribe("billing", handle)
        for serial in broken:
            await ca.revoke_certificate(serial)
        other = await self.issue(ca, "b.internal")
        assert await ca.deliver_events("billing") == (1, 1)
        assert other not in broken
        broken.clear()
        clock.advance(timedelta(seconds=10))
        assert await ca.deliver_events(limit=9) == (1, 0)
        assert told == [EventKind.ISSUED, EventKind.REVOKED]
        assert await ca.announce_expiring(timedelta(days=400)) == 1
        assert await ca.unsubscribe("billing")
        with pytest.raises(UnknownSubscriber):
            await ca.deliver_events("billing")

    async def test_a_coroutine_that_nobody_declared(self, ca: AsyncCertLifecycleManager) -> None:
        async def handle(event: Event) -> None: ...

        log = Log()
        await ca.subscribe("billing", lambda event: (handle(event),)[0])
        await self.issue(ca)
        with pytest.raises(InvalidRequest, match="async def"):
            await ca.deliver_events()
        await ca.subscribe("billing", log)
        assert await ca.deliver_events() == (1, 0)

    async def test_a_cancelled_handler_is_called_again(self, ca: AsyncCertLifecycleManager) -> None:
        started: list[int] = []
        slow = True

        async def handle(event: Event) -> None:
            started.append(event.id)
            if slow:
                await anyio.sleep_forever()

        await ca.subscribe("billing", handle)
        await self.issue(ca)
        with anyio.move_on_after(0.05) as scope:
            await ca.deliver_events()
        assert scope.cancelled_caught
        slow = False
        # The lease is free at once.
        assert await ca.deliver_events() == (1, 0)
        assert started == [started[0]] * 2

    async def test_a_scope_cancelled_after_the_handler(self, ca: AsyncCertLifecycleManager) -> None:
        """Its event is acknowledged, the next one is not begun."""
        started: list[int] = []
        with anyio.CancelScope() as scope:

            async def handle(event: Event) -> None:
                started.append(event.id)
                if len(started) == 1:
                    scope.cancel()
                else:
                    await anyio.sleep(0)

            await ca.subscribe("billing", handle)
            for name in ("a.internal", "b.internal"):
                await self.issue(ca, name)
            await ca.deliver_events()
        assert scope.cancelled_caught
        assert await ca.deliver_events() == (1, 0)
        assert len(set(started)) == 2


@pytest.mark.anyio
class TestTasksThatAreCancelled:
    """asyncio's own `Task.cancel`, which no shield keeps away."""

    async def test_between_handler_and_acknowledgement(self, db_url: str) -> None:
        started: list[int] = []

        async def handle(event: Event) -> None:
            started.append(event.id)
            if len(started) == 1:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        async with AsyncCertLifecycleManager(NoStorage(), None, SyncDBHandler(db_url)) as ca:
            await ca.create_self_signed_ca(ROOT_CONFIG)
            await ca.subscribe("billing", handle)
            await ca.issue_certificate(leaf())
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(ca.deliver_events())
            assert await ca.deliver_events() == (1, 0)
        assert started == [started[0]] * 2

    async def test_while_a_thread_handles(self, db_url: str) -> None:
        """The lease is kept until the thread is done: nobody delivers beside it."""
        inside, seen = threading.Lock(), []
        started = threading.Event()

        def handle(event: Event) -> None:
            assert inside.acquire(blocking=False), "two handlers at once"
            started.set()
            threading.Event().wait(0.1)
            seen.append(event.id)
            inside.release()

        async with AsyncCertLifecycleManager(NoStorage(), None, SyncDBHandler(db_url)) as ca:
            await ca.create_self_signed_ca(ROOT_CONFIG)
            await ca.subscribe("billing", handle)
            for number in range(3):
                await ca.issue_certificate(leaf(f"n{number}.internal"))
            task = asyncio.create_task(ca.deliver_events())
            await asyncio.to_thread(started.wait)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await ca.deliver_events()
        assert set(seen) == {1, 2, 3}
