"""The real SDK of OpenTelemetry, with everything kept in memory."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["Collected"]


class Collected:
    """Providers, and what came of them."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._exporter = InMemorySpanExporter()
        self.meters = MeterProvider([self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))

    def metrics(self) -> dict[str, Any]:
        """All metrics by name, as of now."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[tuple[Mapping[str, Any], Any]]:
        """Attributes and value of each point: a sum, or the count of a histogram."""
        metric = self.metrics().get(name)
        points = [] if metric is None else metric.data.data_points
        return [(dict(each.attributes), getattr(each, "value", None) or getattr(each, "count", 0)) for each in points]

    def value(self, name: str, **attributes: object) -> Any:  # noqa: ANN401 - a number of any kind
        """The sum of all points with these attributes; dots are written as two underscores."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return sum(value for found, value in self.points(name) if wanted.items() <= found.items())

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that are over, in the order of their ends."""
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The only one with this name."""
        (span,) = [each for each in self.spans if each.name == name]
        return span
