"""Prometheus: counters, latencies, and gauges of what ends when."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.observer import Observation

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily, Metric

__all__ = ["PrometheusObserver"]

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: from an OCSP response out of the cache to an RSA key of 4096 bits."""


class PrometheusObserver:
    """Keeps metrics in *registry*, a `prometheus_client.CollectorRegistry` of the caller's.

    Implements `ports.observer.Observer`.  Its gauges live in this process: they are not for
    prometheus_client's multiprocess mode.  Needs the extra `[prometheus]`.  Raises
    `InvalidRequest` when prometheus_client is not installed, or *registry* has these metrics.
    """

    def __init__(self, registry: "CollectorRegistry") -> None:
        try:
            from prometheus_client import Counter, Histogram  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise InvalidRequest(
                "prometheus_client is missing: install tiny-ca[prometheus]."
            ) from error
        try:
            self._durations = Histogram(
                "tiny_ca_operation_duration_seconds",
                "How long operations took.",
                ("operation", "outcome"),
                buckets=_BUCKETS,
                registry=registry,
            )
            self._failures = Counter(
                "tiny_ca_failures",
                "Operations that raised.",
                ("operation", "error"),
                registry=registry,
            )
            self._issued = Counter(
                "tiny_ca_issued",
                "Certificates that became valid.",
                ("issuer_id", "profile"),
                registry=registry,
            )
            self._revoked = Counter(
                "tiny_ca_revoked", "Certificates that were revoked.", ("reason",), registry=registry
            )
            self._expiry = _Expiry()
            registry.register(self._expiry)
        except ValueError as error:
            raise InvalidRequest(
                f"This registry has metrics of tiny_ca: share one observer. ({error})"
            ) from error

    def begin(self, operation: str) -> Observation:
        """Begin an observation."""
        return _Observation(operation, self._durations, self._failures)

    def issued(self, issuer_id: str, profile: str | None) -> None:
        """Count a certificate."""
        self._issued.labels(issuer_id, profile or "").inc()

    def revoked(self, reason: CRLReason, count: int) -> None:
        """Count revocations."""
        self._revoked.labels(reason.value).inc(count)

    def measured(self, report: ExpiryReport) -> None:
        """Show the report from now on."""
        self._expiry.reports[report.issuer_id] = report


class _Observation:
    def __init__(self, operation: str, durations: "Histogram", failures: "Counter") -> None:
        self._operation = operation
        self._durations = durations
        self._failures = failures

    def end(self, duration: float, error: BaseException | None) -> None:
        outcome = "ok" if error is None else "error"
        self._durations.labels(self._operation, outcome).observe(duration)
        if error is not None:
            self._failures.labels(self._operation, type(error).__name__).inc()


class _Expiry:
    """A collector: what is over, or gone, has no sample any more."""

    def __init__(self) -> None:
        self.reports: dict[str, ExpiryReport] = {}

    def describe(self) -> "Iterable[Metric]":
        return _families().values()

    def collect(self) -> "Iterator[Metric]":
        families = _families()
        for report in list(self.reports.values()):
            _add(families, report)
        yield from families.values()


def _families() -> "Mapping[str, GaugeMetricFamily]":
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415  # an extra

    return {
        "ca": GaugeMetricFamily(
            "tiny_ca_ca_not_after_timestamp_seconds",
            "When the CA's certificate ends.",
            labels=("issuer_id", "common_name"),
        ),
        "crl": GaugeMetricFamily(
            "tiny_ca_crl_next_update_timestamp_seconds",
            "Until when the published CRL holds; 0: there never was one.",
            labels=("issuer_id", "crl"),
        ),
        "certificate": GaugeMetricFamily(
            "tiny_ca_certificate_not_after_timestamp_seconds",
            "When certificates end that end soon.",
            labels=("issuer_id", "serial_number", "common_name"),
        ),
    }


def _add(families: "Mapping[str, GaugeMetricFamily]", report: ExpiryReport) -> None:
    issuer_id = report.issuer_id
    families["ca"].add_metric((issuer_id, report.common_name), report.not_after.timestamp())
    for name, stamp in report.crls.items():
        until = 0 if stamp is None else stamp.next_update.timestamp()
        families["crl"].add_metric((issuer_id, name), until)
    for one in report.certificates:
        labels = (issuer_id, f"{one.serial_number:x}", one.common_name)
        families["certificate"].add_metric(labels, one.not_after.timestamp())
