"""The ASGI app: what PublicationURLs point at."""

from datetime import timedelta
from logging import getLogger
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tiny_ca.adapters.inbound.http.documents import NO_STORE, cache_headers, entity_tag, respond
from tiny_ca.adapters.inbound.http.ocsp import Get, Post
from tiny_ca.async_lifecycle import AsyncCertLifecycleManager
from tiny_ca.async_ocsp import AsyncOCSPResponder
from tiny_ca.domain.errors import InvalidRequest, TinyCAError
from tiny_ca.lifecycle import CertLifecycleManager

__all__ = ["create_app"]

_A_DAY = 24 * 60 * 60
_logger = getLogger("tiny_ca")


def create_app(
    manager: CertLifecycleManager | AsyncCertLifecycleManager,
    *,
    delegated: bool = True,
    validity: timedelta = timedelta(hours=12),
) -> Starlette:
    """Give an ASGI app that serves `/ocsp`, `/crl/<issuer id>.crl` and `/ca/<issuer id>.cer`.

    Mount it where `publication_urls` says.  It answers for every CA of the manager's registry
    and changes nothing, but for the certificates that `ocsp_responder` has issued, whose
    arguments are *delegated* and *validity*.  It has no lifespan: nothing has to be started.
    """
    served = _Served(manager, delegated, validity)
    get = Get(served.responder)
    return _App(
        get,
        routes=[
            Route("/ocsp/{request:path}", get, methods=["GET"]),
            Route("/ocsp", Post(served.responder), methods=["POST"]),
            Route("/ocsp/", Post(served.responder), methods=["POST"]),
            Route("/crl/{issuer_id}.crl", served.crl, methods=["GET"]),
            Route("/crl/{issuer_id}/{name}.crl", served.crl, methods=["GET"]),
            Route("/ca/{issuer_id}.cer", served.certificate, methods=["GET"]),
        ],
        exception_handlers={TinyCAError: _unavailable},
    )


class _App(Starlette):
    """Starlette, but for what is asked most, unless it has been given middleware."""

    def __init__(self, get: Get, **options: Any) -> None:
        super().__init__(**options)
        self._get = get

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not self.user_middleware and self._get.is_for(scope):
            await self._get(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _unavailable(_request: Request, error: Exception) -> Response:
    _logger.error("HTTP: %s", error, exc_info=error, extra={"event": "http_failed"})
    return PlainTextResponse("Try again later.", 503, {**NO_STORE, "Retry-After": "60"})


class _Served:
    def __init__(
        self,
        manager: CertLifecycleManager | AsyncCertLifecycleManager,
        delegated: bool,
        validity: timedelta,
    ) -> None:
        if isinstance(manager, CertLifecycleManager):
            manager = AsyncCertLifecycleManager.wrapping(manager)
        self._manager = manager
        self._delegated = delegated
        self._validity = validity
        self._made: AsyncOCSPResponder | None = None

    async def responder(self) -> AsyncOCSPResponder:
        # Made by the first request, not before: it may have to recover the registry.
        if self._made is None:
            self._made = await self._manager.ocsp_responder(
                delegated=self._delegated, validity=self._validity
            )
        return self._made

    async def crl(self, request: Request) -> Response:
        try:
            document = await self._manager.published_crl(**request.path_params)
        except InvalidRequest:
            # No such name of a CRL.
            document = None
        if document is None:
            raise HTTPException(404, headers=NO_STORE)
        headers = cache_headers(
            entity_tag(document.der),
            document.this_update,
            document.next_update,
            document.max_age,
        )
        return respond(request, document.der, "application/pkix-crl", headers)

    async def certificate(self, request: Request) -> Response:
        certificate = await self._manager.issuer_certificate(request.path_params["issuer_id"])
        if certificate is None:
            raise HTTPException(404, headers=NO_STORE)
        der = certificate.public_bytes(Encoding.DER)
        headers = cache_headers(
            entity_tag(der),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _A_DAY,
        )
        return respond(request, der, "application/pkix-cert", headers)
