"""A server's TLS context whose certificate is replaced while it runs."""

import ssl
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from logging import Logger, getLogger
from pathlib import Path
from threading import Lock

__all__ = ["ReloadingContext"]

Configure = Callable[[ssl.SSLContext], object]


class ReloadingContext:
    """Gives a server a context that shows the newest certificate in each new handshake.

    *configure* loads certificate, key and trust into a fresh server's context: such as
    `IssuedCertificate.configure_cert`, or a function of yours that calls `load_cert_chain`.  It
    is called at once, and again by `reload`; connections that are there live on.  It is called
    by itself when one of the files to *watch* was replaced, which a handshake notices, at most
    once in *check_every*.  Thread-safe.  Raises what *configure* raises.

        tls = ReloadingContext(lambda made: made.load_cert_chain(fullchain, key), watch=[fullchain])
        asyncio.start_server(serve, port=443, ssl=tls.context)

    What *configure* sets beside certificate, key, trusted CAs and ALPN, such as `verify_mode`,
    counts from the first time.
    """

    def __init__(
        self,
        configure: Configure,
        *,
        watch: Iterable[str | Path] = (),
        check_every: timedelta = timedelta(seconds=1),
        logger: Logger | None = None,
    ) -> None:
        self._configure = configure
        self._watched = tuple(map(Path, watch))
        self._pause = check_every.total_seconds()
        self._logger = logger or getLogger("tiny_ca")
        self._loading = Lock()
        self._seen = self._stamps()
        self._checked_at = time.monotonic()
        self._current = self._made(configure)
        self.context = self._current
        """For the server; make no changes to it."""
        self.context.sni_callback = self._shake_hands

    def reload(self, configure: Configure | None = None) -> None:
        """Call *configure* again, or another one from now on, and show what it loads.

        If it raises, that is raised, and the former certificate is still shown.
        """
        with self._loading:
            self._reload(configure or self._configure)

    def _reload(self, configure: Configure) -> None:
        # Before the files are read: a later change is noticed later.
        seen = self._stamps()
        self._current = self._made(configure)
        self._configure, self._seen = configure, seen

    @staticmethod
    def _made(configure: Configure) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        configure(made)
        return made

    def _shake_hands(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        """Exchange the context: OpenSSL calls this in each handshake, with or without a name.

        A context that is loaded anew in place would show half of it to another thread.
        """
        if self._watched and self._loading.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._loading.release()
        connection.context = self._current

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < self._pause:
            return
        self._checked_at = now
        try:
            if self._stamps() != self._seen:
                self._reload(self._configure)
                self._logger.info(
                    "Loaded the certificate of a TLS server again", extra={"event": "tls_reloaded"}
                )
        except Exception as error:
            # The former one serves on.
            self._logger.error(  # noqa: TRY400 - with the trace, by exc_info
                "A TLS server still shows its former certificate: %s",
                error,
                exc_info=error,
                extra={"event": "tls_reload_failed"},
            )

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        found = (path.stat() for path in self._watched)
        return tuple((one.st_dev, one.st_ino, one.st_mtime_ns, one.st_size) for one in found)
