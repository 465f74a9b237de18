"""Observers: for Prometheus and OpenTelemetry, and how one gets them."""

import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from tests.observing import ListObserver, in_memory, seen_by_opentelemetry, seen_by_prometheus
from tests.regression.world import leaf
from tiny_ca import (
    AsyncCertLifecycleManager,
    Container,
    NoObserver,
    OpenTelemetryObserver,
    PrometheusObserver,
    Settings,
    open_async_ca,
    open_ca,
)
from tiny_ca.domain.errors import (
    CertNotFound,
    InvalidRequest,
    NotUniqueCertOwner,
)


@pytest.fixture
def observer() -> ListObserver:
    return ListObserver()


class TestPrometheus:
    def test_a_scrape(self) -> None:
        registry = CollectorRegistry()
        ca = in_memory(PrometheusObserver(registry))
        cert, _, _ = ca.issue_certificate(leaf(days_valid=5))
        ca.generate_crl()
        ca.revoke_certificate(cert.serial_number)
        with pytest.raises(CertNotFound):
            ca.rotate_certificate(12345, leaf())
        issuer_id = ca.factory.issuer_id
        ca.issue_certificate(leaf("b.internal", days_valid=5))
        report = ca.measure_expiry()
        text = generate_latest(registry).decode()
        for line in (
            'duration_seconds_count{operation="issue_certificate",outcome="ok"} 2.0',
            'tiny_ca_failures_total{error="CertNotFound",operation="rotate_certificate"} 1.0',
            'tiny_ca_revoked_total{reason="unspecified"} 1.0',
            f'tiny_ca_crl_next_update_timestamp_seconds{{crl="crl",issuer_id="{issuer_id}"}} ',
            f'{{common_name="Test Root",issuer_id="{issuer_id}"}} ',
            f'serial_number="{report.certificates[0].serial_number:x}"}} ',
        ):
            assert line in text
        assert seen_by_prometheus(registry).issued == {"": 3}

    def test_two_in_one_registry(self) -> None:
        registry = CollectorRegistry()
        PrometheusObserver(registry)
        with pytest.raises(InvalidRequest, match="share one observer"):
            PrometheusObserver(registry)


class TestOpenTelemetry:
    @pytest.fixture
    def spans(self) -> InMemorySpanExporter:
        return InMemorySpanExporter()

    @pytest.fixture
    def reader(self) -> InMemoryMetricReader:
        return InMemoryMetricReader()

    @pytest.fixture
    def telemetry(
        self, spans: InMemorySpanExporter, reader: InMemoryMetricReader
    ) -> tuple[TracerProvider, MeterProvider]:
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        return tracers, MeterProvider([reader])

    def test_spans(self, spans: InMemorySpanExporter, telemetry: Any) -> None:
        ca = in_memory(OpenTelemetryObserver(*telemetry))
        spans.clear()
        ca.issue_certificate(leaf())
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())
        good, bad = spans.get_finished_spans()
        assert good.name == bad.name == "tiny_ca.issue_certificate"
        assert good.status.is_ok
        assert dict(good.attributes or {}) == {"tiny_ca.operation": "issue_certificate"}
        assert not bad.status.is_ok
        assert (bad.attributes or {})["error.type"] == "NotUniqueCertOwner"
        assert trace.get_current_span() is trace.INVALID_SPAN

    def test_a_handlers_spans_are_the_deliverys_children(
        self, spans: InMemorySpanExporter, telemetry: Any
    ) -> None:
        ca = in_memory(OpenTelemetryObserver(*telemetry))
        ca.subscribe("billing", lambda event: ca.get_certificate_status(event.serial_number))
        ca.issue_certificate(leaf())
        spans.clear()
        ca.deliver_events()
        inner, outer = spans.get_finished_spans()
        assert (inner.name, outer.name) == (
            "tiny_ca.get_certificate_status",
            "tiny_ca.deliver_events",
        )
        assert inner.parent is not None
        assert inner.parent.span_id == outer.context.span_id

    @pytest.mark.anyio
    async def test_the_callers_span_is_the_parent_across_the_thread(
        self, spans: InMemorySpanExporter, telemetry: Any
    ) -> None:
        blocking = in_memory(OpenTelemetryObserver(*telemetry))
        ca = AsyncCertLifecycleManager.wrapping(blocking)
        with telemetry[0].get_tracer("web").start_as_current_span("request") as request:
            await ca.issue_certificate(leaf())
        one = next(each for each in spans.get_finished_spans() if "issue" in each.name)
        assert one.parent is not None
        assert one.parent.span_id == request.get_span_context().span_id

    def test_metrics(self, reader: InMemoryMetricReader, telemetry: Any) -> None:
        ca = in_memory(OpenTelemetryObserver(*telemetry))
        ca.issue_certificate(leaf(days_valid=5))
        report = ca.measure_expiry()
        seen = seen_by_opentelemetry(reader)
        assert seen.ended["issue_certificate", None] == 1
        assert seen.issued == {"": 2}
        assert seen.ends == {
            report.issuer_id: report.not_after.timestamp(),
            "crl": 0,
            f"{report.certificates[0].serial_number:x}": (
                report.certificates[0].not_after.timestamp()
            ),
        }

    def test_without_an_sdk_nothing_happens(self) -> None:
        ca = in_memory(OpenTelemetryObserver())
        ca.issue_certificate(leaf())
        ca.measure_expiry()


class TestComposition:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(base_folder=tmp_path, common_name="Root", key_algorithm="p-256")

    def test_open_ca(self, tmp_path: Path, observer: ListObserver) -> None:
        with open_ca(tmp_path, common_name="Root", key_algorithm="p-256", observer=observer) as ca:
            ca.issue_certificate(leaf())
        assert ("create_self_signed_ca", None) in observer.ended

    def test_open_ca_of_a_container(self, settings: Settings, observer: ListObserver) -> None:
        container = Container(settings=settings)
        with open_ca(container=container, observer=[observer, NoObserver()]):
            assert observer.ended

    @pytest.mark.anyio
    async def test_open_async_ca(self, tmp_path: Path, observer: ListObserver) -> None:
        async with open_async_ca(
            tmp_path, common_name="Root", key_algorithm="p-256", observer=observer
        ) as ca:
            await ca.plan(leaf())
        assert observer.ended[-1] == ("plan", None)

    def test_a_setting(self, settings: Settings) -> None:
        assert Container(settings=settings).observer() is None
        wanted = settings.model_copy(update={"opentelemetry": True})
        assert isinstance(Container(settings=wanted).observer(), OpenTelemetryObserver)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extras."""
    for name, make in (
        ("opentelemetry", OpenTelemetryObserver),
        ("prometheus_client", lambda: PrometheusObserver(CollectorRegistry())),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(InvalidRequest, match=r"install tiny-ca\["):
                make()
