"""Counts in, drift out: what each look at the counters changes, and what is shown of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from services.drift.counts import Served, cells, tallied
from services.drift.measure import Measure, Plan
from services.drift.plan import FIRED, SCORE
from services.drift.reference import Reference, mix_of, stability_index
from services.drift.shown import Gauges
from services.drift.sources import Source, SourceUnreachable
from services.drift.state import State, Watched, load, save
from services.errors import ServiceError
from services.readout.store import BundleSource
from services.telemetry import (
    DRIFT_ALARM,
    DRIFT_BAND,
    DRIFT_BASELINE_RATE,
    DRIFT_EVIDENCE,
    DRIFT_HARMFUL_SHARE,
    DRIFT_OBSERVED_RATE,
    DRIFT_OUTSIDE,
    DRIFT_PSI,
    DRIFT_READ,
    DRIFT_REQUESTS,
    DRIFT_SERIES,
    DRIFT_WATCHING,
    Meter,
)

log = logging.getLogger(__name__)

BASELINE, CALIBRATION = "baseline", "calibration"
"""What live scores are held against."""
_LEAST_FOR_PSI = 500.0


class References:
    """What calibrations say of themselves, from where the replicas take them."""

    def __init__(self, source: BundleSource) -> None:
        """Ask `source`, the registry or a directory."""
        self._source = source
        self._fingerprint = ""
        self._trouble = ""

    def look(self) -> Mapping[str, Reference]:
        """References of what was promoted since the last look, by version; empty when nothing was.

        A registry that is away changes nothing: what was read before is in the monitor's state.
        """
        try:
            fingerprint = self._source.fingerprint()
            if fingerprint == self._fingerprint:
                return {}
            bundle = self._source.fetch()
        except ServiceError as error:
            self._note(str(error))
            return {}
        self._fingerprint = fingerprint
        self._note("")
        found = {c.version: Reference.of(c) for c in bundle.calibrations.values()}
        return {version: each for version, each in found.items() if each is not None}

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning("calibrations cannot be read: %s", trouble)
        self._trouble = trouble


class Monitor:
    """Holds the state, and writes it down at each look."""

    def __init__(
        self,
        source: Source,
        path: Path,
        meter: Meter,
        plans: Mapping[str, Plan],
        *,
        references: References | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Go on from the state that lies at `path`, or begin.

        Args:
            source: of the counts.
            path: of the state.
            meter: where drift is shown.
            plans: by measure.
            references: what calibrations say of themselves; None: unknown.
            clock: seconds since 1970.

        Raises:
            ValueError: what lies at `path` is no state.
        """
        self._source, self._path, self._plans = source, path, plans
        self._references, self._clock = references, clock
        self._gauges = Gauges(meter)
        self.state: State = load(path)
        self._show(clock())

    def forget(self, language: str) -> None:
        """Learn a language's baselines anew: what it is now is what it is held against.

        Raises:
            ValueError: nothing is known of it.
        """
        kept = [each for each in self.state.watched if each.language != language]
        if len(kept) == len(self.state.watched):
            known = ", ".join(sorted({each.language for each in kept})) or "none"
            raise ValueError(f"nothing is watched of `{language}`, only of: {known}")
        self.state.watched = kept
        save(self.state, self._path)

    def look(self) -> None:
        """Read the counters once; take in what was added, show it and write it down.

        Raises:
            SourceUnreachable: they cannot be read; nothing has changed, and the next look takes in
                what came meanwhile.
            OSError: the state cannot be written.
        """
        samples = self._source.read()
        now = self._clock()
        state = self.state
        begun = state.read_at if state.read_at is not None else now
        for served, counts in tallied(state.counters.added(samples, now)).items():
            watched = state.of(served, begun)
            watched.seen_at = now
            for name, count in counts.items():
                hits = np.asarray(count.hits)
                watched.measures[name].add(count.n, hits, now, self._plans[name])
        state.read_at = now
        if self._references is not None:
            state.references |= self._references.look()
        state.forget_old(now)
        self._show(now, n_series=len(samples))
        save(state, self._path)

    def try_look(self) -> bool:
        """Look; what goes wrong outside is logged, and shows as a last reading that grows old."""
        try:
            self.look()
        except (SourceUnreachable, OSError) as error:
            log.warning("drift is not watched: %s", error)
            return False
        return True

    def _show(self, now: float, n_series: int | None = None) -> None:
        self._gauges.begin()
        for watched in self.state.shown(now):
            self._show_one(watched)
        if self.state.read_at is not None:
            self._gauges.set(DRIFT_READ, self.state.read_at)
        if n_series is not None:
            self._gauges.set(DRIFT_SERIES, float(n_series))
        self._gauges.end()

    def _show_one(self, watched: Watched) -> None:
        of = Served(watched.language, watched.calibration_version)._asdict()
        for name, measure in watched.measures.items():
            labels = {**of, "measure": name}
            self._gauges.set(DRIFT_REQUESTS, measure.seen, **labels)
            self._gauges.set(DRIFT_WATCHING, float(measure.chart is not None), **labels)
            self._gauges.set(DRIFT_EVIDENCE, measure.evidence, **labels)
            self._gauges.set(DRIFT_ALARM, float(measure.alarm), **labels)
            if name != SCORE:
                self._show_rates(measure, self._plans[name].shift, labels)
        self._show_scores(
            watched.measures[SCORE], self.state.references.get(of["calibration_version"]), of
        )
        reference = self.state.references.get(of["calibration_version"])
        if reference is not None:
            fired = watched.measures[FIRED]
            n = sum(part.n for part in fired.recent)
            outside = n > 0 and not reference.contains(float(fired.observed[0]), n)
            self._gauges.set(DRIFT_OUTSIDE, float(outside), **of)

    def _show_rates(self, measure: Measure, shift: float, labels: dict[str, str]) -> None:
        if measure.recent:
            self._gauges.set(DRIFT_OBSERVED_RATE, float(measure.observed[0]), **labels)
        if measure.chart is None:
            return
        [rate] = measure.chart.rates
        self._gauges.set(DRIFT_BASELINE_RATE, rate, **labels)
        self._gauges.set(DRIFT_BAND, max(0.0, rate - shift), **labels, bound="low")
        self._gauges.set(DRIFT_BAND, min(1.0, rate + shift), **labels, bound="high")

    def _show_scores(
        self, scores: Measure, reference: Reference | None, of: dict[str, str]
    ) -> None:
        n = sum(part.n for part in scores.recent)
        if n < _LEAST_FOR_PSI:
            return
        recent = cells(scores.recent_hits, n)
        if scores.chart is not None:
            before = cells(np.asarray(scores.baseline.hits), scores.baseline.n)
            self._gauges.set(DRIFT_PSI, stability_index(before, recent), **of, against=BASELINE)
        mix = mix_of(reference, recent) if reference is not None else None
        if mix is not None:
            self._gauges.set(
                DRIFT_PSI, stability_index(mix.scores, recent), **of, against=CALIBRATION
            )
            self._gauges.set(DRIFT_HARMFUL_SHARE, mix.harmful, **of)
