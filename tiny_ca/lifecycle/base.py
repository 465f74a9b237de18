"""What every group of operations stands on: the services, the CA that signs, the first recovery."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from logging import INFO, Logger, getLogger
from threading import Lock
from time import perf_counter
from types import FunctionType, TracebackType
from typing import Any, Self

from cryptography import x509

from tiny_ca.adapters.outbound.crypto import CryptographyBackend, CryptographyPathValidator
from tiny_ca.adapters.outbound.db import AsyncDBHandler
from tiny_ca.adapters.outbound.memory import NoRegistry
from tiny_ca.adapters.outbound.storage import AsyncLocalStorage, LocalStorage
from tiny_ca.adapters.outbound.system import SystemClock, SystemEntropy
from tiny_ca.application import recover
from tiny_ca.application.events import Handler
from tiny_ca.application.observing import Observing
from tiny_ca.application.publish_crl import PublishedCRL
from tiny_ca.application.recover import PENDING_LIMIT, Recovery
from tiny_ca.application.services import Policy, Services
from tiny_ca.domain.built_in_profiles import all_profiles
from tiny_ca.domain.errors import DBNotInitedError
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.profiles import Profile
from tiny_ca.lifecycle.logs import fields
from tiny_ca.lifecycle.observed import observed
from tiny_ca.ports.clock import Clock
from tiny_ca.ports.crypto import Crypto
from tiny_ca.ports.entropy import Entropy
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.linter import Linter
from tiny_ca.ports.observer import Observer
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Storage

__all__ = ["Face"]


_LAZY = frozenset({"iter_certificates"})
"""What has done nothing yet when it returns."""


class Face:
    """The state of a manager; `CertLifecycleManager` says what it takes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the public methods of each group of operations to the observer."""
        super().__init_subclass__(**kwargs)
        if Face in cls.__bases__:
            for name, method in list(vars(cls).items()):
                if isinstance(method, FunctionType) and not name.startswith("_"):
                    setattr(cls, name, method if name in _LAZY else observed(method))

    def __init__(
        self,
        storage: Storage | AsyncLocalStorage | None = None,
        factory: Issuer | None = None,
        db_handler: Registry | AsyncDBHandler | None = None,
        logger: Logger | None = None,
        *,
        urls: PublicationURLs | None = None,
        profiles: Iterable[Profile] = (),
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        crypto: Crypto | None = None,
        linter: Linter | None = None,
        observer: Observer | Collection[Observer] | None = None,
    ) -> None:
        storage = LocalStorage() if storage is None else getattr(storage, "blocking", storage)
        if not isinstance(storage, Storage):
            raise TypeError(f"storage must be a Storage, got {type(storage).__name__}.")
        registry = getattr(db_handler, "blocking", db_handler)
        if registry is not None and not isinstance(registry, Registry):
            raise TypeError(f"db_handler must be a Registry, got {type(db_handler).__name__}.")
        if linter is not None and not isinstance(linter, Linter):
            raise TypeError(f"linter must be a Linter, got {type(linter).__name__}.")
        self._logger = logger or getLogger("tiny_ca")
        self._services = Services(
            clock=clock or SystemClock(),
            entropy=entropy or SystemEntropy(),
            crypto=crypto or CryptographyBackend(),
            paths=CryptographyPathValidator(),
            registry=NoRegistry() if registry is None else registry,
            storage=storage,
            policy=Policy(urls or PublicationURLs(), all_profiles(profiles)),
            linter=linter,
            observing=self._observing(observer),
        )
        self._has_registry = registry is not None
        self._handler = db_handler
        self._factory: Issuer | None = None
        self._recovery = Lock()
        self._is_recovered = False
        self._handlers: dict[str, Handler] = {}
        if factory is not None:
            self.factory = factory

    @property
    def factory(self) -> Issuer | None:
        """The CA that signs; settable, to any `ports.issuer.Issuer`."""
        return self._factory

    @factory.setter
    def factory(self, value: Issuer) -> None:
        if not isinstance(value, Issuer):
            raise TypeError(f"factory must be an Issuer, got {type(value).__name__}.")
        self._factory = value

    @observed
    def recover(self, older_than: timedelta = PENDING_LIMIT) -> Recovery:
        """Bring to its end what a process that died left undone; twice changes nothing.

        An issuance that is younger than *older_than* may still be under way and is left alone.
        """
        recovery = recover.recover(self._services, older_than)
        if any(recovery):
            self._logger.warning(
                "Recovered: %s", recovery, extra=fields("recovered", **recovery._asdict())
            )
        return recovery

    def close(self) -> None:
        """Close the registry's connections; a later call opens them again."""
        close = getattr(self._handler, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        """Give the manager."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the manager."""
        self.close()

    def _observing(self, observer: Observer | Collection[Observer] | None) -> Observing | None:
        observers = (observer,) if isinstance(observer, Observer) else tuple(observer or ())
        for one in observers:
            if not isinstance(one, Observer):
                raise TypeError(f"observer must be an Observer, got {type(one).__name__}.")
        if not observers:
            return None
        return Observing(observers, perf_counter, self._report_observer)

    def _report_observer(self, error: Exception) -> None:
        self._logger.error(
            "An observer failed: %s", error, exc_info=error, extra=fields("observer_failed")
        )

    def _ready(self) -> Services:
        """Give the services, after the first recovery."""
        if not self._is_recovered:
            with self._recovery:
                if not self._is_recovered:
                    self.recover()
                    self._is_recovered = True
        return self._services

    def _with_registry(self) -> Services:
        if not self._has_registry:
            raise DBNotInitedError
        return self._ready()

    def _issuer(self) -> Issuer:
        if self._factory is None:
            raise ValueError(
                "There is no CA to sign with: call create_self_signed_ca, or set factory."
            )
        return self._factory

    def _log(
        self,
        event: str,
        what: str,
        certificate: x509.Certificate,
        *,
        predecessor: int | None = None,
    ) -> None:
        if not self._logger.isEnabledFor(INFO):
            return
        subject = certificate.subject.rfc4514_string()
        extra = fields(
            event,
            serial_number=certificate.serial_number,
            subject=subject,
            issuer=certificate.issuer.rfc4514_string(),
            not_after=certificate.not_valid_after_utc,
        )
        if predecessor is not None:
            extra |= fields(event, predecessor=predecessor)
        self._logger.info("%s %s", what, subject, extra=extra)

    def _log_crl(self, published: PublishedCRL) -> None:
        self._logger.info(
            "Published %s of %d",
            published.scope.name,
            published.count,
            extra=fields(
                "crl_published",
                crl=published.scope.name,
                crl_number=published.stamp.number,
                next_update=published.stamp.next_update,
                count=published.count,
            ),
        )
