"""`AsyncCertLifecycleManager`: the methods of `CertLifecycleManager`, awaited."""

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from functools import partial, update_wrapper
from itertools import islice
from logging import Logger
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from anyio import CapacityLimiter

from tiny_ca.adapters.outbound.db import AsyncDBHandler
from tiny_ca.adapters.outbound.storage import AsyncLocalStorage
from tiny_ca.application.events import LEASE, Delivered, Round
from tiny_ca.application.runner import run_in_worker
from tiny_ca.async_ocsp import AsyncOCSPResponder
from tiny_ca.domain.events import Event
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.profiles import Profile
from tiny_ca.lifecycle import CertLifecycleManager
from tiny_ca.ports.clock import Clock
from tiny_ca.ports.crypto import Crypto
from tiny_ca.ports.entropy import Entropy
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.linter import Linter
from tiny_ca.ports.observer import Observer
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Storage

__all__ = ["AsyncCertLifecycleManager"]

P = ParamSpec("P")
T = TypeVar("T")

_PAGE = 500


def _awaited(
    method: Callable[Concatenate[CertLifecycleManager, P], T],
) -> Callable[Concatenate["AsyncCertLifecycleManager", P], Coroutine[Any, Any, T]]:
    """Make an async method of a synchronous one: same arguments, same docstring."""

    async def call(self: "AsyncCertLifecycleManager", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run_in_worker(self._limiter, method, self._blocking, *args, **kwargs)

    update_wrapper(call, method)
    return call


async def _deliver(limiter: CapacityLimiter | None, one: Round) -> None:
    """Do as `events.deliver` does; async handlers run here, on the caller's loop.

    A task that is cancelled before the acknowledgement leaves its event to be delivered again.
    """
    try:
        event = await run_in_worker(limiter, one.begin)
        while event is not None:
            if one.is_async:
                failure = await _failure_of(one.handler, event)
                event = await run_in_worker(limiter, one.settle, failure)
            else:
                event = await run_in_worker(limiter, one.handle, event)
    finally:
        await run_in_worker(limiter, one.end)


async def _failure_of(handler: Callable[[Event], Any], event: Event) -> Exception | None:
    try:
        await handler(event)
    except Exception as error:  # noqa: BLE001 - it is told of, and tried again
        return error
    return None


def _awaited_each(
    method: Callable[Concatenate[CertLifecycleManager, P], Iterator[T]],
) -> Callable[Concatenate["AsyncCertLifecycleManager", P], AsyncIterator[T]]:
    """Make an async iterator of a synchronous one, a page in each hop."""

    async def call(
        self: "AsyncCertLifecycleManager", /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[T]:
        limiter = self._limiter
        items = await run_in_worker(limiter, method, self._blocking, *args, **kwargs)
        while page := await run_in_worker(limiter, list, islice(items, _PAGE)):
            for item in page:
                yield item

    update_wrapper(call, method)
    return call


class AsyncCertLifecycleManager:
    """A certificate authority for async code, on asyncio and trio.

    Takes what `CertLifecycleManager` takes, sync or async adapters alike, and *limiter*: how
    many operations run at once, by default one a core.  Each runs in a worker thread to its
    end, even if its task is cancelled: it is done or was not begun.
    """

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
        limiter: CapacityLimiter | None = None,
    ) -> None:
        self._limiter = limiter
        self._blocking = CertLifecycleManager(
            storage,
            factory,
            db_handler,
            logger,
            urls=urls,
            profiles=profiles,
            clock=clock,
            entropy=entropy,
            crypto=crypto,
            linter=linter,
            observer=observer,
        )

    @classmethod
    def wrapping(
        cls, manager: CertLifecycleManager, limiter: CapacityLimiter | None = None
    ) -> Self:
        """Give the async face of a manager; both can be used side by side."""
        wrapper = cls.__new__(cls)
        wrapper._blocking, wrapper._limiter = manager, limiter  # noqa: SLF001
        return wrapper

    @property
    def factory(self) -> Issuer | None:
        """The CA that signs; settable, to any `ports.issuer.Issuer`."""
        return self._blocking.factory

    @factory.setter
    def factory(self, value: Issuer) -> None:
        self._blocking.factory = value

    async def under(self, ca: str | int | Issuer) -> Self:  # noqa: D102
        bound = await run_in_worker(self._limiter, self._blocking.under, ca)
        return self.wrapping(bound, self._limiter)

    update_wrapper(under, CertLifecycleManager.under)

    async def ocsp_responder(  # noqa: D102
        self, *, delegated: bool = True, validity: timedelta = timedelta(hours=12)
    ) -> AsyncOCSPResponder:
        make = partial(self._blocking.ocsp_responder, delegated=delegated, validity=validity)
        return AsyncOCSPResponder(await run_in_worker(self._limiter, make), self._limiter)

    update_wrapper(ocsp_responder, CertLifecycleManager.ocsp_responder)

    create_self_signed_ca = _awaited(CertLifecycleManager.create_self_signed_ca)
    open_ca = _awaited(CertLifecycleManager.open_ca)
    issue_intermediate_ca = _awaited(CertLifecycleManager.issue_intermediate_ca)
    cross_sign_ca = _awaited(CertLifecycleManager.cross_sign_ca)
    rollover_ca = _awaited(CertLifecycleManager.rollover_ca)
    request_ca = _awaited(CertLifecycleManager.request_ca)
    import_ca = _awaited(CertLifecycleManager.import_ca)
    issue = _awaited(CertLifecycleManager.issue)
    ensure_certificate = _awaited(CertLifecycleManager.ensure_certificate)
    get_issued = _awaited(CertLifecycleManager.get_issued)
    write_live = _awaited(CertLifecycleManager.write_live)
    due_for_renewal = _awaited(CertLifecycleManager.due_for_renewal)
    trusted_roots = _awaited(CertLifecycleManager.trusted_roots)
    trust_pem = _awaited(CertLifecycleManager.trust_pem)
    configure_trust = _awaited(CertLifecycleManager.configure_trust)
    import_history = _awaited(CertLifecycleManager.import_history)
    plan = _awaited(CertLifecycleManager.plan)
    sign_csr = _awaited(CertLifecycleManager.sign_csr)
    sign_many_csrs = _awaited(CertLifecycleManager.sign_many_csrs)
    renew_certificate = _awaited(CertLifecycleManager.renew_certificate)
    cosign_certificate = _awaited(CertLifecycleManager.cosign_certificate)
    issue_certificate = _awaited(CertLifecycleManager.issue_certificate)
    prepare_certificate = _awaited(CertLifecycleManager.prepare_certificate)
    issue_many = _awaited(CertLifecycleManager.issue_many)
    rotate_certificate = _awaited(CertLifecycleManager.rotate_certificate)
    revoke_certificate = _awaited(CertLifecycleManager.revoke_certificate)
    release_certificate = _awaited(CertLifecycleManager.release_certificate)
    verify_crl = _awaited(CertLifecycleManager.verify_crl)
    publish_crl = _awaited(CertLifecycleManager.publish_crl)
    generate_crl = _awaited(CertLifecycleManager.generate_crl)
    get_certificate_status = _awaited(CertLifecycleManager.get_certificate_status)
    publish_due = _awaited(CertLifecycleManager.publish_due)
    crl_stamps = _awaited(CertLifecycleManager.crl_stamps)
    published = _awaited(CertLifecycleManager.published)
    published_crl = _awaited(CertLifecycleManager.published_crl)
    issuer_certificate = _awaited(CertLifecycleManager.issuer_certificate)
    find_certificate = _awaited(CertLifecycleManager.find_certificate)
    verify_certificate = _awaited(CertLifecycleManager.verify_certificate)
    subscribe = _awaited(CertLifecycleManager.subscribe)
    unsubscribe = _awaited(CertLifecycleManager.unsubscribe)
    announce_expiring = _awaited(CertLifecycleManager.announce_expiring)

    async def deliver_events(
        self, name: str | None = None, *, limit: int | None = None, lease: timedelta = LEASE
    ) -> Delivered:
        """Call async handlers here, and all others in a worker thread."""
        observing = self._blocking._services.observing  # noqa: SLF001
        with nullcontext() if observing is None else observing.operation("deliver_events"):
            begin = self._blocking._rounds  # noqa: SLF001
            rounds = await run_in_worker(self._limiter, begin, name, limit, lease)
            for one in rounds:
                await _deliver(self._limiter, one)
        return Delivered.of(rounds)

    update_wrapper(deliver_events, CertLifecycleManager.deliver_events)

    import_ca_bundle = _awaited(CertLifecycleManager.import_ca_bundle)
    inspect_certificate = _awaited(CertLifecycleManager.inspect_certificate)
    get_cert_chain = _awaited(CertLifecycleManager.get_cert_chain)
    export_pkcs12 = _awaited(CertLifecycleManager.export_pkcs12)
    export_fullchain = _awaited(CertLifecycleManager.export_fullchain)
    export_pkcs7 = _awaited(CertLifecycleManager.export_pkcs7)
    export_java_truststore = _awaited(CertLifecycleManager.export_java_truststore)
    list_certificates = _awaited(CertLifecycleManager.list_certificates)
    iter_certificates = _awaited_each(CertLifecycleManager.iter_certificates)
    get_expiring_soon = _awaited(CertLifecycleManager.get_expiring_soon)
    refresh_expired_statuses = _awaited(CertLifecycleManager.refresh_expired_statuses)
    delete_certificate = _awaited(CertLifecycleManager.delete_certificate)
    revoke_many = _awaited(CertLifecycleManager.revoke_many)
    verify_chain = _awaited(CertLifecycleManager.verify_chain)
    measure_expiry = _awaited(CertLifecycleManager.measure_expiry)
    backup = _awaited(CertLifecycleManager.backup)
    restore = _awaited(CertLifecycleManager.restore)
    examine = _awaited(CertLifecycleManager.examine)
    recover = _awaited(CertLifecycleManager.recover)
    aclose = _awaited(CertLifecycleManager.close)

    async def __aenter__(self) -> Self:
        """Give the manager."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the manager."""
        await self.aclose()
