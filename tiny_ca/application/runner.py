"""The bridge from async callers to the synchronous use-cases."""

import os
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import RunVar

__all__ = ["run_in_worker"]

P = ParamSpec("P")
T = TypeVar("T")

_default_limiter: RunVar[CapacityLimiter] = RunVar("tiny_ca_limiter")


def _limiter() -> CapacityLimiter:
    """One limiter an event loop: more threads than cores only take the GIL from the loop."""
    try:
        return _default_limiter.get()
    except LookupError:
        limiter = CapacityLimiter(os.cpu_count() or 1)
        _default_limiter.set(limiter)
        return limiter


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
