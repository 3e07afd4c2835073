"""Numbers in Prometheus' form, counted where they happen as plain ints and read only when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Numbers = Mapping[str, float]


class _Numbers(Collector):
    def __init__(self, gauges: Callable[[], Numbers], counters: Callable[[], Numbers]) -> None:
        self._gauges, self._counters = gauges, counters

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"teleclaude_{name}", name.replace("_", " "), value=value)
        for name, value in self._counters().items():
            yield CounterMetricFamily(f"teleclaude_{name}", name.replace("_", " "), value=value)


def metrics(gauges: Callable[[], Numbers], counters: Callable[[], Numbers]) -> Callable[[], bytes]:
    """Give the function that renders the numbers of now, in a registry of their own."""
    registry = CollectorRegistry()
    registry.register(_Numbers(gauges, counters))
    ProcessCollector(namespace="teleclaude_web", registry=registry)
    return lambda: generate_latest(registry)
