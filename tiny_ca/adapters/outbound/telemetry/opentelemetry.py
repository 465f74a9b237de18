"""OpenTelemetry: a span an operation, counters, latencies, and gauges of what ends when."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.observer import Observation

if TYPE_CHECKING:
    from opentelemetry import metrics
    from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OpenTelemetryObserver"]

_Sample = tuple[float, dict[str, str]]


class OpenTelemetryObserver:
    """Makes spans and metrics by OpenTelemetry's API; the process's SDK sends them, or nobody.

    Without *tracer_provider* and *meter_provider*: the global ones.  Implements
    `ports.observer.Observer`.  Needs the extra `[otel]`.  Raises `InvalidRequest` when
    opentelemetry-api is not installed.
    """

    def __init__(
        self,
        tracer_provider: "TracerProvider | None" = None,
        meter_provider: "MeterProvider | None" = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise InvalidRequest("opentelemetry is missing: install tiny-ca[otel].") from error
        self._tracer = trace.get_tracer("tiny_ca", tracer_provider=tracer_provider)
        meter = metrics.get_meter("tiny_ca", meter_provider=meter_provider)
        self._durations = meter.create_histogram(
            "tiny_ca.operation.duration", "s", "How long operations took."
        )
        self._issued = meter.create_counter(
            "tiny_ca.issued", "{certificate}", "Certificates that became valid."
        )
        self._revoked = meter.create_counter(
            "tiny_ca.revoked", "{certificate}", "Certificates that were revoked."
        )
        self._reports: dict[str, ExpiryReport] = {}
        for name, description, samples in _GAUGES:
            meter.create_observable_gauge(name, [self._callback(samples)], "s", description)

    def begin(self, operation: str) -> Observation:
        """Start a span, and make it the current one."""
        from opentelemetry import context, trace  # noqa: PLC0415  # an extra

        span = self._tracer.start_span(
            f"tiny_ca.{operation}", attributes={"tiny_ca.operation": operation}
        )
        token = context.attach(trace.set_span_in_context(span))
        return _Observation(operation, span, lambda: context.detach(token), self._durations)

    def issued(self, issuer_id: str, profile: str | None) -> None:
        """Count a certificate."""
        attributes = {"tiny_ca.issuer_id": issuer_id, "tiny_ca.profile": profile or ""}
        self._issued.add(1, attributes)

    def revoked(self, reason: CRLReason, count: int) -> None:
        """Count revocations."""
        self._revoked.add(count, {"tiny_ca.reason": reason.value})

    def measured(self, report: ExpiryReport) -> None:
        """Show the report from now on."""
        self._reports[report.issuer_id] = report

    def _callback(
        self, samples: "Callable[[ExpiryReport], Iterator[_Sample]]"
    ) -> "Callable[[CallbackOptions], Iterable[metrics.Observation]]":
        from opentelemetry.metrics import Observation as Sample  # noqa: PLC0415  # an extra

        def observe(_options: "CallbackOptions") -> "Iterable[metrics.Observation]":
            for report in list(self._reports.values()):
                for value, attributes in samples(report):
                    yield Sample(value, {"tiny_ca.issuer_id": report.issuer_id, **attributes})

        return observe


class _Observation:
    def __init__(
        self, operation: str, span: "Span", leave: Callable[[], None], durations: "Histogram"
    ) -> None:
        self._operation = operation
        self._span = span
        self._leave = leave
        self._durations = durations

    def end(self, duration: float, error: BaseException | None) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  # an extra

        attributes = {"tiny_ca.operation": self._operation}
        if error is not None:
            attributes["error.type"] = type(error).__name__
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(StatusCode.ERROR, str(error))
        # While the span is current, so that an exemplar can point at it.
        self._durations.record(duration, attributes)
        self._leave()
        self._span.end()


def _of_ca(report: ExpiryReport) -> Iterator[_Sample]:
    yield report.not_after.timestamp(), {"tiny_ca.common_name": report.common_name}


def _of_crls(report: ExpiryReport) -> Iterator[_Sample]:
    for name, stamp in report.crls.items():
        until = 0 if stamp is None else stamp.next_update.timestamp()
        yield until, {"tiny_ca.crl": name}


def _of_certificates(report: ExpiryReport) -> Iterator[_Sample]:
    for one in report.certificates:
        yield (
            one.not_after.timestamp(),
            {
                "tiny_ca.serial_number": f"{one.serial_number:x}",
                "tiny_ca.common_name": one.common_name,
            },
        )


_GAUGES = (
    ("tiny_ca.ca.not_after", "When the CA's certificate ends, since 1970.", _of_ca),
    (
        "tiny_ca.crl.next_update",
        "Until when the published CRL holds, since 1970; 0: there never was one.",
        _of_crls,
    ),
    (
        "tiny_ca.certificate.not_after",
        "When certificates end that end soon, since 1970.",
        _of_certificates,
    ),
)
