"""The contract of `ports.registry.Registry`."""

from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tiny_ca.ports.registry import Registry
from tiny_ca.testing.concurrency import ConcurrencyContract
from tiny_ca.testing.crl_numbers import CRLNumberContract
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
    CRLNumberContract,
    ConcurrencyContract,
):
    """Proves a registry.

    Subclass it as `class TestMyRegistry(RegistryContract)` and provide a fixture *registry*
    that gives an empty one, open to threads.
    """

    machine_settings = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
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
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            partial(RegistryMachine, registry), settings=self.machine_settings
        )
