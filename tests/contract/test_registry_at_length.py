"""The registries against their model, at length: 2,000 examples of 50 steps each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tiny_ca import MemoryRegistry, SyncDBHandler
from tiny_ca.ports.registry import Registry
from tiny_ca.testing import RegistryContract

EXAMPLES, STEPS, SHARDS = 2000, 50, 20

pytestmark = [
    pytest.mark.slow,
    # Each with a registry of its own: what one holds makes every comparison longer.
    pytest.mark.parametrize("shard", range(SHARDS)),
]


class AtLength:
    settings = settings(
        RegistryContract.machine_settings,
        max_examples=EXAMPLES // SHARDS,
        stateful_step_count=STEPS,
    )

    def test_agrees_with_the_model(self, registry: Registry, shard: int) -> None:
        contract = RegistryContract()
        contract.machine_settings = self.settings
        contract.test_agrees_with_the_model(registry)


class TestMemoryRegistry(AtLength):
    @pytest.fixture
    def registry(self) -> Registry:
        return MemoryRegistry()


class TestSQLite(AtLength):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Registry]:
        handler = SyncDBHandler(f"sqlite:///{tmp_path / 'registry.db'}")
        yield handler
        handler.close()
