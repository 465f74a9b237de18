"""OCSP over HTTP (RFC 6960 appendix A, RFC 5019 §5 and §6)."""

import binascii
import hashlib
from base64 import b64decode
from urllib.parse import unquote_to_bytes

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tiny_ca.adapters.inbound.http.documents import NO_STORE, cache_headers, send
from tiny_ca.async_ocsp import AsyncOCSPResponder
from tiny_ca.domain.ocsp import MAX_REQUEST

__all__ = ["answer_get", "answer_post"]

_BODY_TAKES_AT_MOST = 10
"""Seconds."""
_RESPONSE = "application/ocsp-response"


async def answer_post(request: Request, responder: AsyncOCSPResponder) -> Response:
    """Answer a request in the body."""
    der = await responder.respond(await _body(request))
    return Response(der, headers=NO_STORE, media_type=_RESPONSE)


async def answer_get(request: Request, responder: AsyncOCSPResponder) -> Response:
    """Answer a request in the path; caches may keep the answer while it holds."""
    reply = await responder.reply(_in_path(request))
    if reply.this_update is None or reply.next_update is None:
        body = b"" if request.method == "HEAD" else reply.der
        headers = {**NO_STORE, "Content-Length": str(len(reply.der))}
        return Response(body, headers=headers, media_type=_RESPONSE)
    tag = hashlib.sha256(reply.der).hexdigest()[:32]
    headers = cache_headers(tag, reply.this_update, reply.next_update, reply.max_age)
    return send(request, reply.der, _RESPONSE, headers)


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


def _in_path(request: Request) -> bytes:
    """Give the request in the path, in whichever way the base64 in it is escaped.

    From the path as it was sent: in the other one, an escaped slash and one that parts
    segments are alike, and servers may have made one of two.  What is no base64 is an empty
    request, which is answered as malformed.
    """
    root = request.scope.get("root_path", "")
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    segments = raw.split(b"?")[0].split(b"/", root.count("/") + 2)
    # No request begins with a slash: it is one too many, of a URL that ended in one.
    text = unquote_to_bytes(segments[-1]).lstrip(b"/").replace(b" ", b"+")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""
