"""OCSP over HTTP (RFC 6960 appendix A, RFC 5019 §5 and §6).

Bare ASGI, where nearly all requests go: Starlette's requests and responses take longer than
answers do.
"""

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote_to_bytes

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from tiny_ca.adapters.inbound.http.documents import ALWAYS, NO_STORE, cache_headers, respond
from tiny_ca.async_ocsp import AsyncOCSPResponder
from tiny_ca.domain.ocsp import MAX_REQUEST

__all__ = ["Get", "Post"]

_BODY_TAKES_AT_MOST = 10
"""Seconds."""
_RESPONSE = "application/ocsp-response"
_CONDITIONS = {b"if-none-match", b"if-modified-since", b"range"}
Responder = Callable[[], Awaitable[AsyncOCSPResponder]]


class Post:
    """Answers a request in the body."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        responder = await self._responder()
        der = await responder.respond(await _body(Request(scope, receive)))
        await _send_whole(send, der, NO_STORE)


class Get:
    """Answers a request in the path; caches may keep the answer while it holds."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._is_ready = False

    def is_for(self, scope: Scope) -> bool:
        """Whether this serves the request, and nothing in it can raise."""
        return (
            self._is_ready
            and scope["type"] == "http"
            and scope["method"] == "GET"
            and scope["path"].startswith(scope.get("root_path", "") + "/ocsp/")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        responder = await self._responder()
        self._is_ready = True
        reply = await responder.reply(_in_path(scope))
        if reply.this_update is None or reply.next_update is None:
            await _send_whole(send, reply.der, NO_STORE, is_head=scope["method"] == "HEAD")
            return
        tag = hashlib.sha256(reply.der).hexdigest()[:32]
        headers = cache_headers(tag, reply.this_update, reply.next_update, reply.max_age)
        if scope["method"] == "GET" and _CONDITIONS.isdisjoint(map(_name, scope["headers"])):
            await _send_whole(send, reply.der, headers | ALWAYS)
        else:
            await respond(Request(scope), reply.der, _RESPONSE, headers)(scope, receive, send)


def _name(header: tuple[bytes, bytes]) -> bytes:
    return header[0]


async def _send_whole(
    send: Send, der: bytes, headers: Mapping[str, str], *, is_head: bool = False
) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", b"%d" % len(der)))
    raw.append((b"content-type", _RESPONSE.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if is_head else der})


async def _body(request: Request) -> bytes:
    body = b""
    try:
        with anyio.fail_after(_BODY_TAKES_AT_MOST):
            async for part in request.stream():
                body += part
                if len(body) > MAX_REQUEST:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return body


def _in_path(scope: Scope) -> bytes:
    """Give the request in the path, in whichever way the base64 in it is escaped.

    From the path as it was sent: in the other one, an escaped slash and one that parts
    segments are alike, and servers may have made one of two.  What is no base64 is an empty
    request, which is answered as malformed.
    """
    root = scope.get("root_path", "")
    if not scope["path"].startswith(root + "/"):
        # Of a server that says what a proxy before it has cut off.
        root = ""
    raw = scope.get("raw_path") or scope["path"].encode()
    segments = raw.split(b"?")[0].split(b"/", root.count("/") + 2)
    # No request begins with a slash: it is one too many, of a URL that ended in one.
    text = unquote_to_bytes(segments[-1]).lstrip(b"/").replace(b" ", b"+")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""
