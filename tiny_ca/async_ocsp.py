"""`AsyncOCSPResponder`: the methods of `OCSPResponder`, awaited."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial, update_wrapper
from time import monotonic

from anyio import CancelScope, CapacityLimiter, Event
from anyio.lowlevel import RunVar, cancel_shielded_checkpoint

from tiny_ca.application.ocsp import OCSPResponder
from tiny_ca.application.runner import run_in_worker
from tiny_ca.domain.ocsp import OCSPReply

__all__ = ["AsyncOCSPResponder"]

_AT_ONCE = 16
"""Requests that one worker answers in one go: more would wait for each other too long."""

_SLOW = 0.005
"""Seconds on an event loop for one answer, on average; then workers answer, for a while."""
_A_WHILE = 1.0
_AVERAGE_OF = 16


class _Batch:
    """Requests that came together, and their replies when they are there."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.replies: Sequence[OCSPReply] = ()
        self.done = Event()


class AsyncOCSPResponder:
    """An OCSP responder for async code: `OCSPResponder`'s methods, awaited.

    A hop to a worker thread costs more than an answer: what can be read at once is answered
    without one (`PromptStore`), and other requests that come together share one.
    """

    def __init__(self, responder: OCSPResponder, limiter: CapacityLimiter | None) -> None:
        self._responder = responder
        self._limiter = limiter
        # Of each event loop its own.
        self._open: RunVar[_Batch | None] = RunVar("tiny_ca_ocsp", None)
        self._takes = 0.0
        self._slow_until = 0.0

    async def respond(self, request_der: bytes) -> bytes:  # noqa: D102
        return (await self.reply(request_der)).der

    async def reply(self, request_der: bytes) -> OCSPReply:  # noqa: D102
        reply = self._at_once(request_der)
        return await self._in_worker(request_der) if reply is None else reply

    def _at_once(self, request_der: bytes) -> OCSPReply | None:
        begun = monotonic()
        if begun < self._slow_until:
            return None
        reply = self._responder.reply_at_once(request_der)
        self._takes += (monotonic() - begun - self._takes) / _AVERAGE_OF
        if self._takes > _SLOW:
            # A disk that is cold or far away.
            self._takes, self._slow_until = 0.0, begun + _A_WHILE
        return reply

    async def _in_worker(self, request_der: bytes) -> OCSPReply:
        batch = self._open.get(None)
        if batch is None or len(batch.requests) == _AT_ONCE:
            batch = _Batch()
            batch.requests.append(request_der)
            await self._carry_out(batch)
            return batch.replies[0]
        place = len(batch.requests)
        batch.requests.append(request_der)
        await batch.done.wait()
        return batch.replies[place]

    async def _carry_out(self, batch: _Batch) -> None:
        """Let others join, then answer; to the end, since they wait for it."""
        self._open.set(batch)
        with CancelScope(shield=True):
            try:
                await cancel_shielded_checkpoint()
                if self._open.get(None) is batch:
                    self._open.set(None)
                batch.replies = await run_in_worker(self._limiter, self._answer, batch.requests)
            finally:
                batch.done.set()

    def _answer(self, requests: list[bytes]) -> list[OCSPReply]:
        return [self._responder.reply(request) for request in requests]

    @property
    def blocking(self) -> OCSPResponder:
        """The responder itself, whose methods are not awaited."""
        return self._responder

    async def presign(  # noqa: D102
        self,
        digest: str = "sha1",
        *,
        fresh_for: timedelta | None = None,
        issuer_id: str | None = None,
    ) -> int:
        presign = partial(self._responder.presign, digest, fresh_for=fresh_for, issuer_id=issuer_id)
        return await run_in_worker(self._limiter, presign)

    update_wrapper(respond, OCSPResponder.respond)
    update_wrapper(reply, OCSPResponder.reply)
    update_wrapper(presign, OCSPResponder.presign)
