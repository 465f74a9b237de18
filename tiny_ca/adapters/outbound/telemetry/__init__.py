"""Observers: OpenTelemetry, Prometheus, or none."""

from tiny_ca.adapters.outbound.telemetry.absent import NoObserver
from tiny_ca.adapters.outbound.telemetry.opentelemetry import OpenTelemetryObserver
from tiny_ca.adapters.outbound.telemetry.prometheus import PrometheusObserver

__all__ = ["NoObserver", "OpenTelemetryObserver", "PrometheusObserver"]
