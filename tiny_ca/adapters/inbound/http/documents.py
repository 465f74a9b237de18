"""Sending what does not change: validators, conditions, and one range (RFC 9110)."""

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache, partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

__all__ = ["ALWAYS", "NO_STORE", "cache_headers", "entity_tag", "respond"]

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
NO_STORE = {"Cache-Control": "no-store"}
ALWAYS = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
"""Headers of everything that does not change."""


# The same few moments are in thousands of responses.
_http_date = lru_cache(maxsize=1024)(partial(format_datetime, usegmt=True))


def cache_headers(
    entity_tag: str, last_modified: datetime, expires: datetime, max_age: int
) -> dict[str, str]:
    """Give the headers that let caches keep a body until it is over (RFC 5019 §6.2).

    `no-transform`: what is signed is served as it is, gzip by a proxy included.
    """
    return {
        "ETag": f'"{entity_tag}"',
        "Last-Modified": _http_date(last_modified),
        "Expires": _http_date(expires),
        "Cache-Control": f"max-age={max_age},public,no-transform,must-revalidate",
    }


def entity_tag(body: bytes | memoryview) -> str:
    """Give a tag of something signed: its ends, with the signature, tell it from all others."""
    ends = bytes(body[:1024]) + len(body).to_bytes(8, "big") + bytes(body[-1024:])
    return hashlib.sha256(ends).hexdigest()[:32]


def respond(
    request: Request, body: bytes | memoryview, media_type: str, headers: dict[str, str]
) -> Response:
    """Give the response to GET or HEAD: whole, in part, or that nothing has changed."""
    headers = headers | ALWAYS
    if _is_known(request, headers):
        return Response(status_code=304, headers=headers)
    status, part = 200, range(len(body))
    wanted = _wanted(request, headers, len(body))
    if wanted is not None:
        if not wanted:
            headers["Content-Range"] = f"bytes */{len(body)}"
            return Response(status_code=416, headers=headers)
        status, part = 206, wanted
        headers["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{len(body)}"
    headers["Content-Length"] = str(len(part))
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    content = memoryview(body)[part.start : part.stop]
    if len(content) <= _BLOCK:
        return Response(bytes(content), status, headers, media_type)
    return StreamingResponse(_blocks(content), status, headers, media_type)


async def _blocks(content: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _BLOCK):
        yield bytes(content[start : start + _BLOCK])


def _is_known(request: Request, headers: dict[str, str]) -> bool:
    """Whether the client has this very body (RFC 9110 §13.2.2)."""
    known = request.headers.get("If-None-Match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return bool(tags & {headers.get("ETag"), "*"})
    return request.headers.get("If-Modified-Since", "") == headers.get("Last-Modified")


def _wanted(request: Request, headers: dict[str, str], size: int) -> range | None:
    """Give the octets asked for, none if there are no such; `None`: all (§14.2)."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.group(1) == asked.group(2) == "":
        # Several ranges, too: who may ignore one may ignore them all.
        return None
    if request.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
        return None
    first, last = asked.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < int(first):
        return None
    return range(int(first), end + 1)
