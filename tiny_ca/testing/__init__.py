"""Contract suites, one a port, for people who write adapters of their own.

    from tiny_ca.testing import RegistryContract

    class TestMyRegistry(RegistryContract):
        @pytest.fixture
        def registry(self):
            ...

They need pytest and hypothesis: install `tiny-ca[test]`.
"""

import pytest

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

from tiny_ca.testing.clock_entropy import ClockContract, EntropyContract  # noqa: E402
from tiny_ca.testing.crypto import CryptoContract  # noqa: E402
from tiny_ca.testing.issuer import IssuerContract  # noqa: E402
from tiny_ca.testing.observer import ObserverContract, Seen  # noqa: E402
from tiny_ca.testing.ocsp import ResponseStoreContract  # noqa: E402
from tiny_ca.testing.outbox import OutboxContract  # noqa: E402
from tiny_ca.testing.registry import RegistryContract  # noqa: E402
from tiny_ca.testing.registry_machine import RegistryMachine  # noqa: E402
from tiny_ca.testing.registry_model import RegistryModel  # noqa: E402
from tiny_ca.testing.storage import StorageContract  # noqa: E402

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
