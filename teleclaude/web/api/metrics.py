"""Numbers in Prometheus' form, counted where they happen as plain ints and read only when somebody asks.

Imported by the first who asks: the library and the way to the cache are 5 MB of the process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from teleclaude.cache.cache_client import CacheClient
from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.paths import Places
from teleclaude.web.api.calls import CacheCalls

log = logging.getLogger(__name__)

Numbers = Mapping[str, float]


class Metrics:
    """What this process knows, with the numbers of the cache and of the sync process (`peers`) where they answer."""

    def __init__(
        self,
        place: Places,
        gauges: Callable[[], Numbers],
        counters: Callable[[], Numbers],
        peers: Callable[[], Numbers],
    ) -> None:
        self._gauges, self._counters, self._peers = gauges, counters, peers
        self._calls = CacheCalls()
        self._cache = CacheClient(place)
        self._registry = CollectorRegistry()
        self._registry.register(_Numbers(self._all_gauges, self._all_counters))
        ProcessCollector(namespace="teleclaude_web", registry=self._registry)

    def rendered(self) -> bytes:
        """Give the numbers of now."""
        return generate_latest(self._registry)

    def _all_gauges(self) -> dict[str, float]:
        return {**self._gauges(), **_named("cache", self._cache_numbers)}

    def _all_counters(self) -> dict[str, float]:
        return {**_named("peers", self._peers), **self._counters()}

    def _cache_numbers(self) -> Numbers:
        return self._calls.run(self._cache.stats, timeout=1.0)


def _named(prefix: str, numbers: Callable[[], Numbers]) -> dict[str, float]:
    """Numbers of another process; none when it does not answer."""
    try:
        return {f"{prefix}_{name}": value for name, value in numbers().items()}
    except TeleclaudeError as error:
        log.info("no numbers of another process: %s", error)
        return {}


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
