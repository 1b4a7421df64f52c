"""The one list of metric names, and the meter that services write to. Never holds a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram


class Kind(Enum):
    """The three kinds of instrument."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One instrument. Names are base units; counters are exported with `_total` appended."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = tuple(
    n * power for power in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0) for n in (1.0, 2.5, 5.0)
)
"""0.1 ms, which language identification takes, to 50 s."""
_SCORES = tuple(x / 2 for x in range(-12, 13))

REQUESTS = Metric(
    "recal_requests",
    Kind.COUNTER,
    "Finished calls, by method and gRPC status.",
    ("method", "status"),
)
VERDICTS = Metric(
    "recal_verdicts",
    Kind.COUNTER,
    "Verdicts, by language, action, reason and calibration version.",
    ("language", "action", "reason", "calibration_version"),
)
ABSTENTIONS = Metric(
    "recal_language_abstentions",
    Kind.COUNTER,
    "Texts for which language identification named no language.",
    ("abstention",),
)
BYPASSES = Metric(
    "recal_bypasses",
    Kind.COUNTER,
    "Requests that a looser policy let through where the strict one would have stopped them.",
    ("language", "reason"),
)
ANSWERS = Metric(
    "recal_answers",
    Kind.COUNTER,
    "Answers whose text was generated to its end, by language, action and calibration version.",
    ("language", "action", "calibration_version"),
)
REFUSALS_OBSERVED = Metric(
    "recal_refusals_observed",
    Kind.COUNTER,
    "Those of them whose text is a refusal.",
    ("language", "action", "calibration_version"),
)
MONITOR_STOPS = Metric(
    "recal_monitor_stops",
    Kind.COUNTER,
    "Answers that the response-side monitor withdrew, by language and why.",
    ("language", "reason"),
)
SCORE = Metric(
    "recal_score",
    Kind.HISTOGRAM,
    "Scores that decided, in standard deviations within a class: of source languages or its own.",
    ("language", "calibration_version"),
    _SCORES,
)
REQUEST_SECONDS = Metric(
    "recal_request_seconds",
    Kind.HISTOGRAM,
    "Time of finished calls, by method; at the edge and again at each service behind it.",
    ("method",),
    _SECONDS,
)
INNER_STAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gate": ("gate_queue", "gate_pass", "verdict"),
        "generation": ("generation_queue", "prefill", "decode"),
    }
)
"""What gate and generation time themselves, by the stage that the front door sees around them."""
STAGES = (
    "language_id",
    "gate",
    *INNER_STAGES["gate"],
    "first_token",
    "generation",
    *INNER_STAGES["generation"],
    "transport",
    "total",
)
"""Every value of the label `stage`, in the order in which they are shown."""
STAGE_SECONDS = Metric(
    "recal_stage_seconds",
    Kind.HISTOGRAM,
    "Time by stage of an answer, as the front door, the gate and generation each see it.",
    ("stage",),
    _SECONDS,
)
QUEUE_DEPTH = Metric(
    "recal_queue_depth", Kind.GAUGE, "Requests waiting for a batch, by service.", ("service",)
)
THRESHOLD = Metric(
    "recal_threshold", Kind.GAUGE, "Steer threshold of each loaded calibration.", ("language",)
)
CALIBRATION_INFO = Metric(
    "recal_calibration_info",
    Kind.GAUGE,
    "1 for each loaded calibration; role is champion, challenger or shadow.",
    ("language", "calibration_version", "estimator", "role"),
)
CANARY_SHARE = Metric(
    "recal_canary_share",
    Kind.GAUGE,
    "Share of a language's requests that its challenger decides.",
    ("language",),
)
SHADOW_COMPARISONS = Metric(
    "recal_shadow_comparisons",
    Kind.COUNTER,
    "Requests that a shadow scored too, by its version, the champion's action and its own.",
    ("language", "calibration_version", "champion_action", "shadow_action"),
)
CALIBRATION_CREATED = Metric(
    "recal_calibration_created_timestamp_seconds",
    Kind.GAUGE,
    "When each loaded calibration was made, in seconds since 1970; its age is `time()` minus this.",
    ("language", "calibration_version"),
)
SERVING_INFO = Metric(
    "recal_serving_info",
    Kind.GAUGE,
    "1 for each door; labels say in which mode it serves, and which build it is.",
    ("mode", "software_version"),
)
RELOADS = Metric(
    "recal_reloads",
    Kind.COUNTER,
    "Looks at the registry, by outcome: unchanged, swapped, refused, unreachable.",
    ("outcome",),
)
REGISTRY_AGE_SECONDS = Metric(
    "recal_registry_age_seconds",
    Kind.GAUGE,
    "Time since the registry last answered; the last good set serves meanwhile.",
)

AUDIT_DROPPED = Metric(
    "recal_audit_dropped",
    Kind.COUNTER,
    "Verdicts whose line of the audit could not be written: a full disk, or one that is too slow.",
)
THREADS = Metric(
    "recal_threads",
    Kind.GAUGE,
    "Threads that the process computes with, as its libraries say, by pool.",
    ("pool",),
)

NO_VERSION = "none"
"""The label `calibration_version` where no calibration decided."""
OTHER_LANGUAGE = "other"
"""The label `language` where none is named, and at the gate where the named one is not loaded."""

CATALOGUE: tuple[Metric, ...] = (
    REQUESTS,
    REQUEST_SECONDS,
    VERDICTS,
    ABSTENTIONS,
    BYPASSES,
    ANSWERS,
    REFUSALS_OBSERVED,
    MONITOR_STOPS,
    SCORE,
    STAGE_SECONDS,
    QUEUE_DEPTH,
    THRESHOLD,
    CALIBRATION_INFO,
    CALIBRATION_CREATED,
    SERVING_INFO,
    CANARY_SHARE,
    SHADOW_COMPARISONS,
    RELOADS,
    REGISTRY_AGE_SECONDS,
    THREADS,
    AUDIT_DROPPED,
)

_WATCHED = ("language", "calibration_version", "measure")
DRIFT_REQUESTS = Metric(
    "recal_drift_requests",
    Kind.GAUGE,
    "Requests that the monitor has counted under a calibration, by what it measures of them.",
    _WATCHED,
)
DRIFT_WATCHING = Metric(
    "recal_drift_watching",
    Kind.GAUGE,
    "1 once the baseline is learned and shifts from it are looked for.",
    _WATCHED,
)
DRIFT_EVIDENCE = Metric(
    "recal_drift_evidence",
    Kind.GAUGE,
    "The strongest evidence for a shift, as a part of what an alarm takes.",
    _WATCHED,
)
DRIFT_ALARM = Metric(
    "recal_drift_alarm", Kind.GAUGE, "1 from an alarm until no evidence is left.", _WATCHED
)
DRIFT_BASELINE_RATE = Metric(
    "recal_drift_baseline_rate", Kind.GAUGE, "The share while the version was new.", _WATCHED
)
DRIFT_OBSERVED_RATE = Metric(
    "recal_drift_observed_rate", Kind.GAUGE, "The share of the last 2,000 requests.", _WATCHED
)
DRIFT_BAND = Metric(
    "recal_drift_band",
    Kind.GAUGE,
    "How far the share may be from its baseline before it is a shift, by bound.",
    (*_WATCHED, "bound"),
)
DRIFT_PSI = Metric(
    "recal_drift_psi",
    Kind.GAUGE,
    "Stability index of the last 2,000 scores, against the baseline or the calibration's own.",
    ("language", "calibration_version", "against"),
)
DRIFT_HARMFUL_SHARE = Metric(
    "recal_drift_harmful_share",
    Kind.GAUGE,
    "Share of harmful prompts in the mix of the calibration's scores that live ones look like.",
    ("language", "calibration_version"),
)
DRIFT_OUTSIDE = Metric(
    "recal_drift_outside_calibration",
    Kind.GAUGE,
    "1 while a share is steered that no mix of the calibration's own prompts would give.",
    ("language", "calibration_version"),
)
DRIFT_READ = Metric(
    "recal_drift_read_timestamp_seconds",
    Kind.GAUGE,
    "When the monitor last read the counters, in seconds since 1970.",
)
DRIFT_SERIES = Metric(
    "recal_drift_series", Kind.GAUGE, "Series that the monitor read; 0 is a wrong address."
)

MONITORED: tuple[Metric, ...] = (
    DRIFT_REQUESTS,
    DRIFT_WATCHING,
    DRIFT_EVIDENCE,
    DRIFT_ALARM,
    DRIFT_BASELINE_RATE,
    DRIFT_OBSERVED_RATE,
    DRIFT_BAND,
    DRIFT_PSI,
    DRIFT_HARMFUL_SHARE,
    DRIFT_OUTSIDE,
    DRIFT_READ,
    DRIFT_SERIES,
)
"""What `recal monitor` exports, and nobody else."""
EVERY_METRIC = (*CATALOGUE, *MONITORED)


class Meter(Protocol):
    """Where services write their numbers. Every label of the metric must be given."""

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""

    def gauge(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""

    def forget(self, metric: Metric, **labels: str) -> None:
        """Drop one labelled series, e.g. a calibration that is no longer loaded."""


def label_values(metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
    """The labels' values in the metric's own order.

    Raises:
        ValueError: a label is missing or unknown.
    """
    if set(labels) != set(metric.labels):
        raise ValueError(f"`{metric.name}` takes the labels {metric.labels}, not {tuple(labels)}")
    return tuple(labels[name] for name in metric.labels)


class PrometheusMeter:
    """A meter over prometheus-client, for processes outside Ray."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        metrics: tuple[Metric, ...] = CATALOGUE,
    ) -> None:
        """Declare every one of `metrics`, so that a scrape shows all names."""
        self.registry = registry if registry is not None else CollectorRegistry()
        self._counters: dict[str, PrometheusCounter] = {}
        self._gauges: dict[str, PrometheusGauge] = {}
        self._histograms: dict[str, PrometheusHistogram] = {}
        for metric in metrics:
            self._declare(metric)

    def _declare(self, metric: Metric) -> None:
        if metric.kind is Kind.COUNTER:
            self._counters[metric.name] = PrometheusCounter(
                metric.name, metric.help, metric.labels, registry=self.registry
            )
        elif metric.kind is Kind.GAUGE:
            self._gauges[metric.name] = PrometheusGauge(
                metric.name, metric.help, metric.labels, registry=self.registry
            )
        else:
            self._histograms[metric.name] = PrometheusHistogram(
                metric.name,
                metric.help,
                metric.labels,
                buckets=metric.buckets,
                registry=self.registry,
            )

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        counter = self._counters[metric.name]
        values = label_values(metric, labels)
        (counter.labels(*values) if values else counter).inc(amount)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""
        histogram = self._histograms[metric.name]
        values = label_values(metric, labels)
        (histogram.labels(*values) if values else histogram).observe(value)

    def gauge(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[metric.name]
        values = label_values(metric, labels)
        (gauge.labels(*values) if values else gauge).set(value)

    def forget(self, metric: Metric, **labels: str) -> None:
        """Drop one labelled series; nothing happens when it is not there."""
        values = label_values(metric, labels)
        for family in (self._counters, self._gauges, self._histograms):
            if metric.name in family:
                family[metric.name].remove(*values)
