"""The contract of `ports.outbox.Outbox`."""

import pytest

from tiny_ca.ports.outbox import Outbox
from tiny_ca.testing.deliveries import DeliveryContract, SubscriberContract
from tiny_ca.testing.samples import SampleCA
from tiny_ca.testing.told_events import ToldEventsContract

__all__ = ["OutboxContract"]


class OutboxContract(ToldEventsContract, SubscriberContract, DeliveryContract):
    """Proves the outbox of a registry.

    Subclass it as `class TestMyOutbox(OutboxContract)` and provide a fixture *registry* that
    gives an empty one, open to threads, which is a `Registry` and an `Outbox`.
    """

    @pytest.fixture
    def ca(self) -> SampleCA:
        """Give a CA of the test's own."""
        return SampleCA()

    def test_is_an_outbox(self, registry: Outbox) -> None:
        """It has every method of the port."""
        assert isinstance(registry, Outbox)  # noqa: S101
