"""The composition root: which adapter serves which port, and a CA in one line."""

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from dependency_injector import containers, providers

from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.adapters.outbound.db import SyncDBHandler
from tiny_ca.adapters.outbound.lint import PkilintLinter
from tiny_ca.adapters.outbound.storage import LocalStorage
from tiny_ca.adapters.outbound.system import SystemClock, SystemEntropy
from tiny_ca.adapters.outbound.telemetry import OpenTelemetryObserver
from tiny_ca.application.requests import CAConfig
from tiny_ca.application.runner import run_in_worker
from tiny_ca.async_lifecycle import AsyncCertLifecycleManager
from tiny_ca.domain.errors import CertNotFound, NotUniqueCertOwner
from tiny_ca.lifecycle import CertLifecycleManager
from tiny_ca.ports.observer import Observer
from tiny_ca.settings import Settings

__all__ = ["Container", "open_async_ca", "open_ca"]

_CREATION_TAKES_AT_MOST = 60
"""Seconds to wait for another process that is creating the CA; RSA keys take their time."""


def _storage(settings: Settings) -> LocalStorage:
    if settings.passphrase is None:
        return LocalStorage(settings.base_folder)
    encryption = BestAvailableEncryption(settings.passphrase)
    return LocalStorage(settings.base_folder, base_encryption_algorithm=encryption)


def _registry(settings: Settings) -> SyncDBHandler:
    if settings.db_url is None:
        settings.base_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SyncDBHandler(settings.registry_url)


def _linter(settings: Settings) -> PkilintLinter | None:
    if settings.lint is None:
        return None
    return PkilintLinter(settings.lint, ignore=settings.lint_ignore)


def _observer(settings: Settings) -> OpenTelemetryObserver | None:
    return OpenTelemetryObserver() if settings.opentelemetry else None


class Container(containers.DeclarativeContainer):
    """One certificate authority's adapters; any of them gives way to `override`.

    Make one a lifetime: `container = Container(settings=Settings(...))`.
    """

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.ThreadSafeSingleton(SystemClock)
    entropy = providers.ThreadSafeSingleton(SystemEntropy)
    crypto = providers.ThreadSafeSingleton(CryptographyBackend)
    storage = providers.ThreadSafeSingleton(_storage, settings)
    registry = providers.ThreadSafeSingleton(_registry, settings)
    linter = providers.ThreadSafeSingleton(_linter, settings)
    observer = providers.ThreadSafeSingleton(_observer, settings)
    manager = providers.ThreadSafeSingleton(
        CertLifecycleManager,
        storage=storage,
        db_handler=registry,
        urls=settings.provided.urls,
        profiles=settings.provided.own_profiles,
        clock=clock,
        entropy=entropy,
        crypto=crypto,
        linter=linter,
        observer=observer,
    )
    async_manager = providers.ThreadSafeSingleton(AsyncCertLifecycleManager.wrapping, manager)


def open_ca(
    base_folder: str | Path | None = None,
    *,
    container: Container | None = None,
    observer: Observer | Collection[Observer] | None = None,
    **settings: Any,
) -> CertLifecycleManager:
    """Open a certificate authority: the one in *base_folder*, created if there is none.

        with open_ca("pki", common_name="My Internal CA") as ca:

    or, for as long as a process lives, `ca = open_ca(...)` and `ca.close()`, which closes the
    registry's connections.

    *settings* are the fields of `Settings`; with *container*, its adapters serve instead,
    and its settings.  *observer*, or each of several, sees every operation.  The CA named by
    `common_name` is loaded, or created when the registry has no valid one of that name; of
    several processes that do so at once, one creates it.  Raises `pydantic.ValidationError` for the
    settings, `CertNotFound` when there is no CA and no name to create one by, and what
    `CertLifecycleManager` raises.
    """
    container = container or _container(base_folder, settings)
    if observer is not None:
        container.observer.override(observer)
    manager: CertLifecycleManager = container.manager()
    try:
        _attach_ca(manager, container.settings())
    except BaseException:
        manager.close()
        raise
    return manager


@asynccontextmanager
async def open_async_ca(
    base_folder: str | Path | None = None,
    *,
    container: Container | None = None,
    observer: Observer | Collection[Observer] | None = None,
    **settings: Any,
) -> AsyncIterator[AsyncCertLifecycleManager]:
    """Open a certificate authority as `open_ca` does, without blocking the event loop."""

    def attach() -> AsyncCertLifecycleManager:
        chosen = container or _container(base_folder, settings)
        if observer is not None:
            chosen.observer.override(observer)
        _attach_ca(chosen.manager(), chosen.settings())
        manager: AsyncCertLifecycleManager = chosen.async_manager()
        return manager

    async with await run_in_worker(None, attach) as manager:
        yield manager


def _container(base_folder: str | Path | None, settings: dict[str, Any]) -> Container:
    if base_folder is not None:
        settings = {**settings, "base_folder": base_folder}
    return Container(settings=Settings(**settings))


def _attach_ca(manager: CertLifecycleManager, settings: Settings) -> None:
    """Load the CA, or create it; wait while another process is creating it."""
    deadline = time.monotonic() + _CREATION_TAKES_AT_MOST
    while manager.factory is None:
        try:
            manager.open_ca(settings.common_name)
        except CertNotFound:
            if settings.common_name is None:
                raise
            _create_ca(manager, settings, settings.common_name, deadline)


def _create_ca(
    manager: CertLifecycleManager, settings: Settings, common_name: str, deadline: float
) -> None:
    config = CAConfig(
        common_name=common_name,
        organization=settings.organization,
        country=settings.country,
        key_algorithm=settings.key_algorithm,
        key_size=settings.key_size,
        days_valid=settings.days_valid,
    )
    try:
        manager.create_self_signed_ca(config)
    except NotUniqueCertOwner:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.05)
