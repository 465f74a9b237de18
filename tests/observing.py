"""What tests of observers share."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from tests.regression.world import ROOT_CONFIG
from tiny_ca import CertLifecycleManager, MemoryRegistry, MemoryStorage
from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.testing import Seen


def in_memory(*observers: Any, **arguments: Any) -> CertLifecycleManager:
    """Give a manager with a root, which tells *observers* what it does."""
    registry = arguments.pop("db_handler", None) or MemoryRegistry()
    ca = CertLifecycleManager(MemoryStorage(), db_handler=registry, observer=observers, **arguments)
    ca.create_self_signed_ca(ROOT_CONFIG)
    return ca


@dataclass
class ListObserver:
    """Keeps what it is told, in order."""

    began: list[str] = field(default_factory=list)
    ended: list[tuple[str, str | None]] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    issued_by_profile: Counter[str] = field(default_factory=Counter)
    revoked_by_reason: Counter[str] = field(default_factory=Counter)
    reports: dict[str, ExpiryReport] = field(default_factory=dict)

    def begin(self, operation: str) -> "_Observation":
        self.began.append(operation)
        return _Observation(self, operation)

    def issued(self, issuer_id: str, profile: str | None) -> None:
        self.issued_by_profile[profile or ""] += 1

    def revoked(self, reason: CRLReason, count: int) -> None:
        self.revoked_by_reason[reason.value] += count

    def measured(self, report: ExpiryReport) -> None:
        self.reports[report.issuer_id] = report

    def seen(self) -> Seen:
        ends: dict[str, float] = {}
        for report in self.reports.values():
            ends[report.issuer_id] = report.not_after.timestamp()
            for name, stamp in report.crls.items():
                ends[name] = 0 if stamp is None else stamp.next_update.timestamp()
            for one in report.certificates:
                ends[f"{one.serial_number:x}"] = one.not_after.timestamp()
        return Seen(Counter(self.ended), self.issued_by_profile, self.revoked_by_reason, ends)


@dataclass
class _Observation:
    observer: ListObserver
    operation: str

    def end(self, duration: float, error: BaseException | None) -> None:
        outcome = None if error is None else type(error).__name__
        self.observer.ended.append((self.operation, outcome))
        self.observer.durations.append(duration)


Sample = tuple[str, Mapping[str, Any], float]


def _values(samples: list[Sample], name: str, *labels: str) -> dict[Any, float]:
    """Give the values of one metric by the values of its *labels*."""
    return {
        tuple(of.get(label) for label in labels): value for one, of, value in samples if one == name
    }


def _first(samples: list[Sample], name: str, label: str) -> dict[str, float]:
    return {key: value for (key,), value in _values(samples, name, label).items()}


def seen_by_prometheus(registry: CollectorRegistry) -> Seen:
    """Read a registry as a scrape does."""
    samples: list[Sample] = [
        (one.name, one.labels, one.value) for family in registry.collect() for one in family.samples
    ]
    durations = "tiny_ca_operation_duration_seconds_count"
    outcomes = _values(samples, durations, "operation", "outcome")
    failures = _values(samples, "tiny_ca_failures_total", "operation", "error")
    for operation in {operation for operation, outcome in outcomes if outcome == "error"}:
        failed = sum(count for (name, _), count in failures.items() if name == operation)
        assert outcomes[operation, "error"] == failed
    return Seen(
        {(name, None): count for (name, outcome), count in outcomes.items() if outcome == "ok"}
        | failures,
        _first(samples, "tiny_ca_issued_total", "profile"),
        _first(samples, "tiny_ca_revoked_total", "reason"),
        _first(samples, "tiny_ca_ca_not_after_timestamp_seconds", "issuer_id")
        | _first(samples, "tiny_ca_crl_next_update_timestamp_seconds", "crl")
        | _first(samples, "tiny_ca_certificate_not_after_timestamp_seconds", "serial_number"),
    )


def seen_by_opentelemetry(reader: InMemoryMetricReader) -> Seen:
    """Read what an SDK would export."""
    data = reader.get_metrics_data()
    metrics = [] if data is None else data.resource_metrics[0].scope_metrics[0].metrics
    samples: list[Sample] = [
        (metric.name, point.attributes, getattr(point, "count", None) or getattr(point, "value", 0))
        for metric in metrics
        for point in metric.data.data_points
    ]
    return Seen(
        _values(samples, "tiny_ca.operation.duration", "tiny_ca.operation", "error.type"),
        _first(samples, "tiny_ca.issued", "tiny_ca.profile"),
        _first(samples, "tiny_ca.revoked", "tiny_ca.reason"),
        _first(samples, "tiny_ca.ca.not_after", "tiny_ca.issuer_id")
        | _first(samples, "tiny_ca.crl.next_update", "tiny_ca.crl")
        | _first(samples, "tiny_ca.certificate.not_after", "tiny_ca.serial_number"),
    )
