"""A fleet as processes export it: one language calm with a canary, one drifting, one new."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from services.drift.sources import Sample, SourceUnreachable, parsed
from services.telemetry import (
    ANSWERS,
    CALIBRATION_CREATED,
    CALIBRATION_INFO,
    CANARY_SHARE,
    DRIFT_ALARM,
    DRIFT_BAND,
    DRIFT_BASELINE_RATE,
    DRIFT_EVIDENCE,
    DRIFT_OBSERVED_RATE,
    DRIFT_OUTSIDE,
    DRIFT_PSI,
    DRIFT_READ,
    DRIFT_REQUESTS,
    DRIFT_WATCHING,
    EVERY_METRIC,
    REFUSALS_OBSERVED,
    SCORE,
    SERVING_INFO,
    SHADOW_COMPARISONS,
    THRESHOLD,
    VERDICTS,
    PrometheusMeter,
)

NOW = 1_790_000_000.0
LANGUAGES = ("am", "ar", "de", "el", "en", "es", "fa", "fr", "he", "hi", "it", "ja", "km", "ko")
ALIASES: Mapping[str, Mapping[str, int]] = {
    "readout": {"champion": 2},
    "sw": {"champion": 3, "challenger": 4, "shadow": 5},
    "yo": {"champion": 2},
}


class Fleet:
    """Counts as processes do."""

    def __init__(self, *, crowded: bool = False) -> None:
        self.meter = PrometheusMeter(CollectorRegistry(), metrics=EVERY_METRIC)
        self.rng = np.random.default_rng(23)
        self.meter.gauge(SERVING_INFO, 1, mode="split", software_version="0.1.0")
        self.meter.gauge(DRIFT_READ, NOW - 12)
        self.serves("sw", 3, steered=0.11, role="champion", observed=0.108, evidence=0.12)
        self.serves("sw", 4, steered=0.19, role="challenger", n=900)
        self.meter.gauge(CANARY_SHARE, 0.1, language="sw")
        for actions, n in ((("steer", "steer"), 700), (("none", "steer"), 41)):
            named = dict(zip(("champion_action", "shadow_action"), actions, strict=True))
            self.meter.count(
                SHADOW_COMPARISONS, n, language="sw", calibration_version="sw@5", **named
            )
        self.serves("yo", 2, steered=0.22, role="champion", observed=0.223, evidence=1.0)
        self.serves("my", 1, steered=0.06, role="champion", n=300)
        for index, language in enumerate(LANGUAGES if crowded else ()):
            share = 0.05 + 0.012 * index
            self.serves(language, 1, steered=share, role="champion", observed=share, evidence=0.2)

    def serves(
        self,
        language: str,
        number: int,
        *,
        steered: float,
        role: str,
        n: int = 8000,
        observed: float | None = None,
        evidence: float = 0.0,
    ) -> None:
        version = f"{language}@{number}"
        of = {"language": language, "calibration_version": version}
        self.meter.gauge(CALIBRATION_INFO, 1, **of, estimator="auto", role=role)
        self.meter.gauge(CALIBRATION_CREATED, NOW - 9 * 86_400, **of)
        self.meter.gauge(THRESHOLD, 0.4, language=language)
        hits = round(steered * n)
        for action, count in (("steer", hits), ("none", n - hits)):
            self.meter.count(VERDICTS, count, **of, action=action, reason="score")
            self.meter.count(ANSWERS, count, **of, action=action)
        self.meter.count(REFUSALS_OBSERVED, round(0.92 * hits), **of, action="steer")
        self.scores(of, steered)
        if observed is not None:
            self.watched(of, observed, evidence)

    def scores(self, of: Mapping[str, str], steered: float) -> None:
        harmful = self.rng.random(600) < steered
        for score in self.rng.normal(np.where(harmful, 1.6, -1.4), 1.0):
            self.meter.observe(SCORE, float(score), **of)

    def watched(self, of: Mapping[str, str], observed: float, evidence: float) -> None:
        baseline = 0.15 if evidence >= 1 else observed
        for measure in ("fired", "refused", "score"):
            labels = {**of, "measure": measure}
            here = evidence if measure == "fired" else 0.1
            self.meter.gauge(DRIFT_WATCHING, 1, **labels)
            self.meter.gauge(DRIFT_REQUESTS, 8000, **labels)
            self.meter.gauge(DRIFT_EVIDENCE, here, **labels)
            self.meter.gauge(DRIFT_ALARM, float(here >= 1), **labels)
        fired = {**of, "measure": "fired"}
        self.meter.gauge(DRIFT_OBSERVED_RATE, observed, **fired)
        self.meter.gauge(DRIFT_BASELINE_RATE, baseline, **fired)
        self.meter.gauge(DRIFT_BAND, baseline - 0.05, **fired, bound="low")
        self.meter.gauge(DRIFT_BAND, baseline + 0.05, **fired, bound="high")
        self.meter.gauge(DRIFT_PSI, 0.21 if evidence >= 1 else 0.01, **of, against="baseline")
        self.meter.gauge(DRIFT_OUTSIDE, 0, **of)


class Shown:
    """A fleet as numbers for the console."""

    over = "since each process began"

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.reads = 0
        self.is_away = False

    def read(self) -> list[Sample]:
        self.reads += 1
        if self.is_away:
            raise SourceUnreachable("`http://edge/metrics` does not answer (URLError)")
        return list(parsed(generate_latest(self.fleet.meter.registry).decode(), "edge"))
