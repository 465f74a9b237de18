"""`tiny-ca serve`."""

import os
import signal
import socket
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import opened
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output
from tiny_ca.domain.errors import InvalidRequest

__all__ = ["serve"]

_LAST_PORT = 65535


def serve(
    *,
    host: Annotated[
        str, Parameter(help="Address to listen on; 0.0.0.0: all of IPv4.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0: one that is free.")] = 8080,
    delegated: Annotated[
        bool,
        Parameter(negative="--own-key", help="OCSP is signed by a delegate, not the CA's own key."),
    ] = True,
    common: Common = COMMON,
) -> None:
    """Serve OCSP, CRLs and CAs' certificates over HTTP.

    Until SIGTERM or Ctrl-C, which let the requests that are under way end first. A passphrase
    that opens the keys has to be given; certificates should name the URLs: see
    TINY_CA_OCSP_URLS and the like.

    For example:

        tiny-ca serve --host 0.0.0.0 --port 8080
    """
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise InvalidRequest("Serving needs an extra: pip install 'tiny-ca[web]'.")
    if not 0 <= port <= _LAST_PORT:
        raise InvalidRequest(f"--port is 0-{_LAST_PORT}, got {port}.")
    import uvicorn

    from tiny_ca.adapters.inbound.http import create_app

    out = Output(common)
    with opened(common) as ca:
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(ca.manager, delegated=delegated),
                host=host,
                port=port,
                lifespan="off",
                log_level="debug" if common.debug else "warning",
                timeout_graceful_shutdown=10,
            )
        )
        # uvicorn stops, and then raises the signal again for whoever was there before: nobody,
        # since a stop that was asked for is no failure.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: None)
        listening = _listening(host, port)
        address, bound = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        told = {"url": f"http://{shown}:{bound}/", "pid": os.getpid()}
        if not out.document(told):
            out.line(f"Serving on {told['url']}; SIGTERM or Ctrl-C stops it.")
        out.flush()
        server.run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """Listen, so that who reads the URL can connect.  Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
