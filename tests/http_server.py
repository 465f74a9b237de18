"""An ASGI app on a port of the loopback interface."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    """Serve an ASGI app by uvicorn, in a thread."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(20)
