"""The meter inside Serve replicas: Ray collects it and adds application, deployment, replica."""

from __future__ import annotations

import math
from collections import defaultdict

from ray.serve import metrics

from services.telemetry import CATALOGUE, Kind, Metric, label_values


class SignedHistogram:
    """A histogram whose boundaries may lie below zero, which Ray 2.60 refuses.

    Written as gauges that only grow, under the names and with the label `le` that a Prometheus
    histogram has, so that queries need not know the difference.
    """

    def __init__(self, metric: Metric) -> None:
        """Declare the three families of a histogram."""
        name, labels = metric.name, metric.labels
        self._boundaries = (*metric.buckets, math.inf)
        self._bucket = metrics.Gauge(f"{name}_bucket", metric.help, (*labels, "le"))
        self._count = metrics.Gauge(f"{name}_count", metric.help, labels)
        self._sum = metrics.Gauge(f"{name}_sum", metric.help, labels)
        self._totals: dict[tuple[str, ...], list[float]] = defaultdict(
            lambda: [0.0] * (len(self._boundaries) + 1)
        )

    def observe(self, value: float, tags: dict[str, str]) -> None:
        """Add one observation."""
        totals = self._totals[tuple(tags.values())]
        for index, boundary in enumerate(self._boundaries):
            if value <= boundary:
                totals[index] += 1
                le = "+Inf" if boundary == math.inf else str(boundary)
                self._bucket.set(totals[index], tags={**tags, "le": le})
        totals[-1] += value
        self._count.set(totals[-2], tags=tags)
        self._sum.set(totals[-1], tags=tags)


class RayMeter:
    """A meter over ray.serve.metrics. Exported as `ray_<name>`, counters with `_total`."""

    def __init__(self) -> None:
        """Declare every metric of the catalogue."""
        self._counters: dict[str, metrics.Counter] = {}
        self._gauges: dict[str, metrics.Gauge] = {}
        self._histograms: dict[str, metrics.Histogram] = {}
        self._signed: dict[str, SignedHistogram] = {}
        for metric in CATALOGUE:
            self._declare(metric)

    def _declare(self, metric: Metric) -> None:
        name, labels = metric.name, metric.labels
        if metric.kind is Kind.COUNTER:
            self._counters[name] = metrics.Counter(name, metric.help, labels)
        elif metric.kind is Kind.GAUGE:
            self._gauges[name] = metrics.Gauge(name, metric.help, labels)
        elif min(metric.buckets) <= 0:
            self._signed[name] = SignedHistogram(metric)
        else:
            self._histograms[name] = metrics.Histogram(
                name, metric.help, boundaries=list(metric.buckets), tag_keys=labels
            )

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        label_values(metric, labels)
        self._counters[metric.name].inc(amount, tags=labels)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""
        label_values(metric, labels)
        if metric.name in self._signed:
            self._signed[metric.name].observe(value, labels)
        else:
            self._histograms[metric.name].observe(value, tags=labels)

    def gauge(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        label_values(metric, labels)
        self._gauges[metric.name].set(value, tags=labels)

    def forget(self, metric: Metric, **labels: str) -> None:
        """Set a gauge to 0: Ray cannot drop a series."""
        label_values(metric, labels)
        if metric.name in self._gauges:
            self._gauges[metric.name].set(0.0, tags=labels)
