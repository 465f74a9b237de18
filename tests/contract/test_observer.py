"""Every observer keeps the contract of its port, and the suite finds those that don't."""

from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from tests.observing import ListObserver, seen_by_opentelemetry, seen_by_prometheus
from tiny_ca import NoObserver, OpenTelemetryObserver, PrometheusObserver
from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.testing import ObserverContract, Seen


class TestNoObserver(ObserverContract):
    @pytest.fixture
    def observer(self) -> NoObserver:
        return NoObserver()

    def seen(self, observer: NoObserver) -> None:
        return None


class TestListObserver(ObserverContract):
    @pytest.fixture
    def observer(self) -> ListObserver:
        return ListObserver()

    def seen(self, observer: ListObserver) -> Seen:
        return observer.seen()


class TestPrometheusObserver(ObserverContract):
    @pytest.fixture
    def observer(self) -> PrometheusObserver:
        self.registry = CollectorRegistry()
        return PrometheusObserver(self.registry)

    def seen(self, observer: PrometheusObserver) -> Seen:
        return seen_by_prometheus(self.registry)


class TestOpenTelemetryObserver(ObserverContract):
    @pytest.fixture
    def observer(self) -> OpenTelemetryObserver:
        self.reader = InMemoryMetricReader()
        return OpenTelemetryObserver(TracerProvider(), MeterProvider([self.reader]))

    def seen(self, observer: OpenTelemetryObserver) -> Seen:
        return seen_by_opentelemetry(self.reader)


@dataclass
class ForgetsFailures(ListObserver):
    def seen(self) -> Seen:
        seen = super().seen()
        return Seen({key: n for key, n in seen.ended.items() if key[1] is None}, seen.issued)


@dataclass
class CountsBeginnings(ListObserver):
    def seen(self) -> Seen:
        seen = super().seen()
        return Seen({(name, None): self.began.count(name) for name in self.began}, seen.issued)


@dataclass
class CountsOneOfABatch(ListObserver):
    def revoked(self, reason: object, count: int) -> None:
        super().revoked(reason, 1)


@dataclass
class KeepsWhatIsGone(ListObserver):
    former: dict[str, float] = field(default_factory=dict)

    def measured(self, report: ExpiryReport) -> None:
        self.former |= super().seen().ends
        super().measured(report)

    def seen(self) -> Seen:
        seen = super().seen()
        return Seen(seen.ended, seen.issued, seen.revoked, {**self.former, **seen.ends})


@dataclass
class KnowsOneCA(ListObserver):
    def measured(self, report: ExpiryReport) -> None:
        self.reports.clear()
        super().measured(report)


@pytest.mark.parametrize(
    ("faulty", "test"),
    [
        (ForgetsFailures, "test_operations"),
        (CountsBeginnings, "test_one_that_has_not_ended_has_no_outcome"),
        (CountsOneOfABatch, "test_counts"),
    ],
)
def test_a_faulty_one_is_found(faulty: type[ListObserver], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(TestListObserver(), test)(faulty())


@pytest.mark.parametrize("faulty", [KeepsWhatIsGone, KnowsOneCA])
def test_a_faulty_gauge_is_found(faulty: type[ListObserver]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        for issuer_ids in (["one"], ["one", "two"]):
            TestListObserver().test_what_ends_when(faulty(), issuer_ids)


def test_a_suite_that_reads_nothing_is_refused() -> None:
    class Unread(ObserverContract):
        pass

    with pytest.raises(TypeError, match="seen"):
        Unread()
