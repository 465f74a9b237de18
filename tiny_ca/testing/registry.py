"""The contract of `ports.registry.Registry`."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tiny_ca.ports.registry import Registry
from tiny_ca.testing.batches import BatchContract
from tiny_ca.testing.catalogue import CatalogueContract
from tiny_ca.testing.concurrency import ConcurrencyContract
from tiny_ca.testing.crl_entries import CRLEntryContract
from tiny_ca.testing.crl_numbers import CRLNumberContract
from tiny_ca.testing.deletions import DeletionContract
from tiny_ca.testing.past import PastContract
from tiny_ca.testing.registry_machine import RegistryMachine
from tiny_ca.testing.reservations import ReservationContract
from tiny_ca.testing.revocations import RevocationContract
from tiny_ca.testing.samples import SampleCA
from tiny_ca.testing.succession import SuccessionContract

__all__ = ["RegistryContract"]


class RegistryContract(
    ReservationContract,
    SuccessionContract,
    RevocationContract,
    CRLEntryContract,
    CRLNumberContract,
    ConcurrencyContract,
    BatchContract,
    CatalogueContract,
    DeletionContract,
    PastContract,
):
    """Proves a registry.

    Subclass it as `class TestMyRegistry(RegistryContract)` and provide a fixture *registry*
    that gives an empty one, open to threads.
    """

    machine_settings = settings(
        max_examples=20,
        stateful_step_count=20,
        deadline=None,
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=list(HealthCheck),
    )
    """How long `test_agrees_with_the_model` searches."""

    @pytest.fixture
    def ca(self) -> SampleCA:
        """Give a CA of the test's own."""
        return SampleCA()

    def test_is_a_registry(self, registry: Registry) -> None:
        """It has every method of the port."""
        assert isinstance(registry, Registry)  # noqa: S101

    def test_agrees_with_the_model(self, registry: Registry) -> None:
        """After any steps in any order it answers as `RegistryModel` does."""
        # It calls what it is given, and says that it wants a class.
        make: Any = lambda: RegistryMachine(registry)  # noqa: E731
        run_state_machine_as_test(make, settings=self.machine_settings)
