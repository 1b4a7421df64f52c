"""The monitor as a process: looks at counters at intervals, and is itself scraped."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.composition import bundle_source
from services.drift.monitor import Monitor, References
from services.drift.plan import plans
from services.drift.sources import Pages, Prometheus, Source
from services.edge.metrics import MetricsEndpoint
from services.settings import Settings, SettingsError
from services.telemetry import MONITORED, PrometheusMeter

log = logging.getLogger(__name__)

_RANGES = {
    "interval_s": (1, 3600),
    "shift": (0.005, 0.5),
    "false_alarms": (0.01, 100),
    "baseline_hours": (1, 720),
    "port": (0, 65535),
}


@dataclass(frozen=True)
class MonitorOptions:
    """How the monitor runs; where calibrations lie, the settings say."""

    prometheus: str = ""
    """Address of the Prometheus that scrapes the replicas; empty: their pages are read."""
    pages: tuple[str, ...] = ()
    """Metrics pages; empty: the one of the edge on this machine."""
    host: str = "127.0.0.1"
    port: int = 9465
    """Where the monitor is scraped; 0 takes a free one."""
    interval_s: float = 30.0
    """Between two looks."""
    state: Path = field(default=Path("var/monitor.json"))
    shift: float = 0.05
    """That is looked for, as a share."""
    false_alarms: float = 1.0
    """A month and language."""
    baseline_hours: float = 24.0
    """A baseline lasts at least so long."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"`{name}` is {value}; give {low} to {high}")
        if self.prometheus and self.pages:
            raise ValueError("counts come from Prometheus or from metrics pages; give one of them")


def source_of(options: MonitorOptions, settings: Settings) -> Source:
    """Where counts come from.

    Raises:
        ValueError: an address is none.
    """
    if options.prometheus:
        return Prometheus(options.prometheus)
    own = f"http://127.0.0.1:{settings.edge.metrics_port or 9464}/metrics"
    return Pages(options.pages or (own,))


class MonitorProcess:
    """Looks and is scraped, from `start` to `stop`."""

    def __init__(self, options: MonitorOptions, settings: Settings) -> None:
        """Take up the state; nothing is opened yet.

        Raises:
            ValueError: the state on disk is none, or an address is none.
        """
        self._options = options
        meter = PrometheusMeter(CollectorRegistry(), metrics=MONITORED)
        self._registry = meter.registry
        self.monitor = Monitor(
            source_of(options, settings),
            options.state,
            meter,
            plans(options.shift, options.false_alarms, options.baseline_hours * 3600),
            references=References(bundle_source(settings, None)),
        )
        self._endpoint: MetricsEndpoint | None = None

    @property
    def port(self) -> int:
        """Of the metrics page, once started."""
        return 0 if self._endpoint is None else self._endpoint.port

    def start(self) -> None:
        """Open the metrics page.

        Raises:
            SettingsError: the port is taken.
        """
        host, port = self._options.host, self._options.port
        try:
            self._endpoint = MetricsEndpoint(self._registry, host, port)
        except OSError:
            raise SettingsError(
                f"cannot listen on `{host}:{port}`; free the port, or give another with `--port`"
            ) from None
        log.info("drift is shown on http://%s:%d/metrics", host, self.port)

    async def watch(self) -> None:
        """Look at intervals until told to stop; the last state is on disk."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, done.set)
        while not done.is_set():
            await asyncio.to_thread(self.monitor.try_look)
            try:
                await asyncio.wait_for(done.wait(), self._options.interval_s)
            except TimeoutError:
                continue

    def run(self) -> None:
        """Look and be scraped until the process is told to stop.

        Raises:
            SettingsError: the port is taken.
        """
        self.start()
        try:
            asyncio.run(self.watch())
        finally:
            self.stop()

    def stop(self) -> None:
        """Close the metrics page."""
        if self._endpoint is not None:
            self._endpoint.stop()
