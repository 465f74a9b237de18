"""Tests of code that has a CA inside: no files, no database, and a clock that the test moves.

pytest examples/test_swapping_backends.py
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from dependency_injector.providers import Object

from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    Container,
    IssuedCertificate,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
    RegistryError,
    Settings,
    open_ca,
)


class Fleet:
    """The application: boats that need certificates."""

    def __init__(self, ca: CertLifecycleManager) -> None:
        self.ca = ca

    def add(self, boat: str) -> IssuedCertificate:
        return self.ca.issue(boat, profile="client", key_algorithm="p-256", days_valid=90)

    def renew(self) -> list[str]:
        due = self.ca.get_expiring_soon(within_days=30)
        for record in due:
            self.ca.renew_certificate(record.serial_number, days_valid=90)
        return [record.common_name for record in due]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def container(tmp_path: Path, clock: ManualClock) -> Container:
    """Give what the application is made of in production, but for the clock."""
    made = Container(
        settings=Settings(base_folder=tmp_path, common_name="Test CA", key_algorithm="p-256")
    )
    made.clock.override(Object(clock))
    return made


@pytest.fixture(params=["in memory", "files and SQLite"])
def fleet(request: pytest.FixtureRequest, container: Container) -> Iterator[Fleet]:
    if request.param == "in memory":
        container.storage.override(Object(MemoryStorage()))
        container.registry.override(Object(MemoryRegistry()))
    with open_ca(container=container) as ca:
        yield Fleet(ca)


def test_boats_are_renewed_in_time(fleet: Fleet, clock: ManualClock) -> None:
    old = fleet.add("argo")
    assert fleet.renew() == []
    clock.advance(timedelta(days=61))
    assert fleet.renew() == ["argo"]
    clock.advance(timedelta(days=30))
    assert fleet.ca.get_certificate_status(old.serial_number) is CertificateStatus.EXPIRED
    assert len(fleet.ca.list_certificates("valid", common_name="argo")) == 1


class Disconnected(MemoryRegistry):
    """A registry whose database is gone."""

    is_down = False

    def reserve(self, reservations: Sequence[object]) -> None:
        if self.is_down:
            raise RegistryError("The registry's database failed: no route to host")
        super().reserve(reservations)  # type: ignore[arg-type]


def test_nothing_is_issued_without_the_database(container: Container) -> None:
    registry, storage = Disconnected(), MemoryStorage()
    container.registry.override(Object(registry))
    container.storage.override(Object(storage))
    with open_ca(container=container) as ca:
        registry.is_down = True
        with pytest.raises(RegistryError, match="no route"):
            Fleet(ca).add("argo")
        registry.is_down = False
        assert Fleet(ca).add("argo").certificate.serial_number
