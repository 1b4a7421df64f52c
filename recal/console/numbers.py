"""Numbers for the console, from Prometheus over a window or from metrics pages as they stand."""

from __future__ import annotations

from typing import Protocol

from services.drift.sources import Pages, Prometheus, Sample
from services.telemetry import EVERY_METRIC, Kind

_GROWS = tuple(
    f"{metric.name}_total" if metric.kind is Kind.COUNTER else f"{metric.name}_{part}"
    for metric in EVERY_METRIC
    if metric.kind is not Kind.GAUGE
    for part in (("",) if metric.kind is Kind.COUNTER else ("bucket", "count"))
)
_STANDS = tuple(metric.name for metric in EVERY_METRIC if metric.kind is Kind.GAUGE)


class Numbers(Protocol):
    """Gives every series: counters over some time, gauges as they are."""

    @property
    def over(self) -> str:
        """Over which time counters were counted, in words."""

    def read(self) -> list[Sample]:
        """Read all.

        Raises:
            SourceUnreachable: there is no answer, or none that can be read.
        """


class SinceStart:
    """Metrics pages of processes; counters count from when each began."""

    over = "since each process began"

    def __init__(self, pages: Pages) -> None:
        """Read `pages`: of what serves and, for drift, of the monitor."""
        self._pages = pages

    def read(self) -> list[Sample]:
        """Read all; errors as `Numbers`."""
        return self._pages.read()


class Window:
    """Prometheus; counters over the last hours, also across restarts."""

    def __init__(self, prometheus: Prometheus, hours: int) -> None:
        """Ask `prometheus` for the last `hours`."""
        self._prometheus = prometheus
        self._hours = hours
        self.over = f"in the last {hours} hours" if hours > 1 else "in the last hour"

    def read(self) -> list[Sample]:
        """Read all; errors as `Numbers`."""
        found = []
        for names, form in ((_GROWS, f"increase({{}}[{self._hours}h])"), (_STANDS, "{}")):
            for name in names:
                selector = f'{{__name__=~"(ray_)?{name}"}}'
                rows = self._prometheus.query(form.format(selector))
                # a function takes the name away
                found += [Sample(name, row.labels, row.value) for row in rows]
        return found
