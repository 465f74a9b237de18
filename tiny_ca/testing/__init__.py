"""Contract suites, one a port, for people who write adapters of their own.

    from tiny_ca.testing import RegistryContract

    class TestMyRegistry(RegistryContract):
        @pytest.fixture
        def registry(self):
            ...

They need pytest and hypothesis: install `tiny-ca[test]`.  Fixtures for people who test what
speaks TLS are in `tiny_ca.testing.fixtures`, and need pytest alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tiny_ca.testing.clock_entropy import ClockContract, EntropyContract
    from tiny_ca.testing.crypto import CryptoContract
    from tiny_ca.testing.issuer import IssuerContract
    from tiny_ca.testing.observer import ObserverContract, Seen
    from tiny_ca.testing.ocsp import ResponseStoreContract
    from tiny_ca.testing.outbox import OutboxContract
    from tiny_ca.testing.registry import RegistryContract
    from tiny_ca.testing.registry_machine import RegistryMachine
    from tiny_ca.testing.registry_model import RegistryModel
    from tiny_ca.testing.storage import StorageContract

# Before they are imported, so that a failed assertion shows its values.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "batches",
            "catalogue",
            "clock_entropy",
            "concurrency",
            "crl_entries",
            "crl_numbers",
            "crypto",
            "deliveries",
            "deletions",
            "issuer",
            "observer",
            "outbox",
            "ocsp",
            "past",
            "registry",
            "registry_machine",
            "reservations",
            "revocations",
            "storage",
            "succession",
            "told_events",
        )
    )
)

_HOME_OF = {
    "ClockContract": "clock_entropy",
    "CryptoContract": "crypto",
    "EntropyContract": "clock_entropy",
    "IssuerContract": "issuer",
    "ObserverContract": "observer",
    "OutboxContract": "outbox",
    "RegistryContract": "registry",
    "RegistryMachine": "registry_machine",
    "RegistryModel": "registry_model",
    "ResponseStoreContract": "ocsp",
    "Seen": "observer",
    "StorageContract": "storage",
}

__all__ = [
    "ClockContract",
    "CryptoContract",
    "EntropyContract",
    "IssuerContract",
    "ObserverContract",
    "OutboxContract",
    "RegistryContract",
    "RegistryMachine",
    "RegistryModel",
    "ResponseStoreContract",
    "Seen",
    "StorageContract",
]


def __getattr__(name: str) -> Any:
    # When they are used: the fixtures do without hypothesis.
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
