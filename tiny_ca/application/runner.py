"""Threads: the bridge from async callers to the use-cases, and cores for heavy work."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import RunVar

from tiny_ca.domain.errors import InvalidRequest

__all__ = ["in_threads", "is_async", "refuse_awaitable", "run_in_worker"]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

_default_limiter: RunVar[CapacityLimiter] = RunVar("tiny_ca_limiter")


def _limiter() -> CapacityLimiter:
    """One limiter an event loop: more threads than cores only take the GIL from the loop."""
    try:
        return _default_limiter.get()
    except LookupError:
        limiter = CapacityLimiter(os.cpu_count() or 1)
        _default_limiter.set(limiter)
        return limiter


def in_threads(function: Callable[[T], R], items: Sequence[T], *, is_heavy: bool) -> list[R]:
    """Apply *function* to each item: one after the other, or on all cores when it is heavy.

    Light work, such as signing with P-256, is slower in two threads: the GIL.
    """
    if len(items) == 1 or not is_heavy:
        return [function(item) for item in items]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


async def run_in_worker(
    limiter: CapacityLimiter | None,
    function: Callable[P, T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a use-case in one hop to a worker thread, to its end even when cancelled.

    A cancelled caller gets its cancellation when the use-case is over: it is done or not
    begun, never half done.
    """
    with CancelScope(shield=True):
        result = await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=limiter or _limiter()
        )
    return result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of *function* has to be awaited, as it is declared."""
    while isinstance(function, partial):
        function = function.func
    return iscoroutinefunction(function) or iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - it is what it is declared as
    )


def refuse_awaitable(result: object) -> None:
    """Raise `InvalidRequest` for what a synchronous call should not have given."""
    if iscoroutine(result):
        result.close()
    if isawaitable(result):
        raise InvalidRequest("A function that gives something to await is declared `async def`.")
