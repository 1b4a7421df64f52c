"""Gauges that are set anew at each look: what is not set again is gone."""

from __future__ import annotations

from services.telemetry import Meter, Metric

_Series = tuple[Metric, tuple[tuple[str, str], ...]]


class Gauges:
    """Remembers which series there are, so that a version that is gone leaves none behind."""

    def __init__(self, meter: Meter) -> None:
        """Write to `meter`."""
        self._meter = meter
        self._shown: set[_Series] = set()
        self._old: set[_Series] = set()

    def begin(self) -> None:
        """From now on series are set anew."""
        self._old, self._shown = self._shown, set()

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set one."""
        self._meter.gauge(metric, value, **labels)
        self._shown.add((metric, tuple(labels.items())))

    def end(self) -> None:
        """Drop those that were not set."""
        for metric, labels in self._old - self._shown:
            if labels:
                self._meter.forget(metric, **dict(labels))
