"""What the console shows, as plain numbers: made of series and of the registry's aliases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from recal.maths.interval import rate_interval
from services.domain import Action, Reason
from services.drift.counts import BOUNDARIES
from services.drift.plan import FIRED
from services.drift.sources import Sample
from services.readout.naming import CHALLENGER, CHAMPION, SHADOW
from services.telemetry import NO_VERSION, OTHER_LANGUAGE

_STOPS = (Action.STEER.value, Action.REFUSE.value)
ROLES = (CHAMPION, CHALLENGER, SHADOW)


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    hits: int
    n: int

    @property
    def rate(self) -> float | None:
        """In [0, 1]; None of nothing."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's, of 95 %."""
        if not self.n:
            return None
        found = rate_interval(self.hits, self.n)
        return found.low, found.high


@dataclass(frozen=True)
class Drift:
    """What the monitor says of one version."""

    alarms: tuple[str, ...] = ()
    """Measures that have one."""
    watching: bool = False
    """Whether the steered share's baseline is learned."""
    evidence: float = 0.0
    """The strongest, of an alarm's."""
    observed: float | None = None
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    psi: float | None = None
    harmful_share: float | None = None
    outside: bool = False


@dataclass(frozen=True)
class VersionFigures:
    """One calibration version of a language."""

    version: str
    roles: tuple[str, ...]
    steered: Share
    """Verdicts that a score decided."""
    refused: Share
    """Generated answers that read as a refusal."""
    scores: np.ndarray
    """(boundaries + 1,) scores between the boundaries of the histogram."""
    created: float | None
    """Seconds since 1970."""
    estimator: str
    drift: Drift | None


@dataclass(frozen=True)
class LanguageFigures:
    """One language."""

    language: str
    versions: tuple[VersionFigures, ...]
    threshold: float | None
    canary_share: float | None
    verdicts: int
    """All of them, also those that no score decided."""
    without_score: int
    bypasses: int
    shadow: Share | None
    """Requests on which the shadow would have done something else."""

    @property
    def champion(self) -> VersionFigures | None:
        """The version that serves; where nothing says so, the one with most verdicts."""
        named = [each for each in self.versions if CHAMPION in each.roles]
        ranked = sorted(named or self.versions, key=lambda each: -each.steered.n)
        return ranked[0] if ranked else None

    @property
    def alarms(self) -> tuple[str, ...]:
        """Measures that drift, of any version."""
        return tuple(
            sorted({name for each in self.versions if each.drift for name in each.drift.alarms})
        )


@dataclass(frozen=True)
class FleetFigures:
    """Everything."""

    languages: tuple[LanguageFigures, ...]
    modes: tuple[str, ...]
    builds: tuple[str, ...]
    registry_age_s: float | None
    bypasses: int
    drift_read_at: float | None
    """Seconds since 1970; None where no monitor is read."""
    n_series: int
    aliases: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of the registry, by language; empty where it was not read."""

    def language(self, tag: str) -> LanguageFigures | None:
        """One language; None where nothing is known of it."""
        return next((each for each in self.languages if each.language == tag), None)


class _Series:
    """Sums and picks over samples."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_name: dict[str, list[Sample]] = defaultdict(list)
        self.n = 0
        for sample in samples:
            self._by_name[sample.name].append(sample)
            self.n += 1

    def matching(self, name: str, **labels: str | tuple[str, ...]) -> list[Sample]:
        wanted = {k: v if isinstance(v, tuple) else (v,) for k, v in labels.items()}
        return [
            sample
            for sample in self._by_name[name]
            if all(sample.label(key) in values for key, values in wanted.items())
        ]

    def total(self, name: str, **labels: str | tuple[str, ...]) -> int:
        return round(sum(sample.value for sample in self.matching(name, **labels)))

    def newest(self, name: str, **labels: str | tuple[str, ...]) -> float | None:
        values = [sample.value for sample in self.matching(name, **labels)]
        return max(values) if values else None

    def values(self, name: str, label: str) -> tuple[str, ...]:
        found = {sample.label(label) for sample in self._by_name[name] if sample.value}
        return tuple(sorted(found - {""}))


def figures(
    samples: Iterable[Sample], aliases: Mapping[str, Mapping[str, int]] | None = None
) -> FleetFigures:
    """Everything that the console shows.

    Args:
        samples: of what serves and of the monitor.
        aliases: version numbers by alias and language, of the registry; None: not known.
    """
    series, known = _Series(samples), aliases or {}
    languages = {*series.values("recal_calibration_info", "language"), *known}
    languages |= set(series.values("recal_verdicts_total", "language"))
    languages -= {OTHER_LANGUAGE, "readout"}
    return FleetFigures(
        tuple(_language(series, tag, known.get(tag, {})) for tag in sorted(languages)),
        series.values("recal_serving_info", "mode"),
        series.values("recal_serving_info", "software_version"),
        series.newest("recal_registry_age_seconds"),
        series.total("recal_bypasses_total"),
        series.newest("recal_drift_read_timestamp_seconds") or None,
        series.n,
        known,
    )


def _language(series: _Series, tag: str, aliases: Mapping[str, int]) -> LanguageFigures:
    shadow = series.total("recal_shadow_comparisons_total", language=tag)
    agreed = sum(
        round(sample.value)
        for sample in series.matching("recal_shadow_comparisons_total", language=tag)
        if sample.label("champion_action") == sample.label("shadow_action")
    )
    verdicts = series.total("recal_verdicts_total", language=tag)
    scored = series.total("recal_verdicts_total", language=tag, reason=Reason.SCORE.value)
    return LanguageFigures(
        tag,
        _versions(series, tag, aliases),
        series.newest("recal_threshold", language=tag),
        series.newest("recal_canary_share", language=tag) or None,
        verdicts,
        verdicts - scored,
        series.total("recal_bypasses_total", language=tag),
        Share(shadow - agreed, shadow) if shadow else None,
    )


def _versions(series: _Series, tag: str, aliases: Mapping[str, int]) -> tuple[VersionFigures, ...]:
    roles: dict[str, set[str]] = defaultdict(set)
    for alias, number in aliases.items():
        roles[f"{tag}@{number}"].add(alias)
    for sample in series.matching("recal_calibration_info", language=tag):
        if sample.value:
            roles[sample.label("calibration_version")].add(sample.label("role") or CHAMPION)
    for sample in series.matching("recal_verdicts_total", language=tag):
        if sample.value:
            roles[sample.label("calibration_version")] |= set()
    known = sorted(set(roles) - {"", NO_VERSION})
    ordered = sorted(known, key=lambda version: min(map(_rank, roles[version]), default=len(ROLES)))
    return tuple(_version(series, tag, version, roles[version]) for version in ordered)


def _rank(role: str) -> int:
    return ROLES.index(role) if role in ROLES else len(ROLES)


def _version(series: _Series, tag: str, version: str, roles: set[str]) -> VersionFigures:
    of = {"language": tag, "calibration_version": version}
    n = series.total("recal_verdicts_total", **of, reason=Reason.SCORE.value)
    steered = series.total("recal_verdicts_total", **of, reason=Reason.SCORE.value, action=_STOPS)
    answers = series.total("recal_answers_total", **of)
    refused = series.total("recal_refusals_observed_total", **of)
    info = series.matching("recal_calibration_info", **of)
    return VersionFigures(
        version,
        tuple(sorted(roles, key=_rank)),
        Share(min(steered, n), n),
        Share(min(refused, answers), answers),
        _scores(series, of),
        series.newest("recal_calibration_created_timestamp_seconds", **of) or None,
        next((sample.label("estimator") for sample in info), ""),
        _drift(series, of),
    )


def _scores(series: _Series, of: Mapping[str, str]) -> np.ndarray:
    at_most = dict.fromkeys((*BOUNDARIES, float("inf")), 0.0)
    for sample in series.matching("recal_score_bucket", **of):
        boundary = float(sample.label("le") or "nan")
        if boundary in at_most:
            at_most[boundary] += sample.value
    cumulative = np.array([at_most[b] for b in (*BOUNDARIES, float("inf"))])
    return np.maximum(np.diff(np.concatenate([[0.0], cumulative])), 0.0)


def _drift(series: _Series, of: Mapping[str, str]) -> Drift | None:
    if not series.matching("recal_drift_watching", **of):
        return None
    fired = {**of, "measure": FIRED}
    alarms = [s.label("measure") for s in series.matching("recal_drift_alarm", **of) if s.value]
    return Drift(
        tuple(sorted(alarms)),
        bool(series.newest("recal_drift_watching", **fired)),
        series.newest("recal_drift_evidence", **of) or 0.0,
        series.newest("recal_drift_observed_rate", **fired),
        series.newest("recal_drift_baseline_rate", **fired),
        series.newest("recal_drift_band", **fired, bound="low"),
        series.newest("recal_drift_band", **fired, bound="high"),
        series.newest("recal_drift_psi", **of, against="baseline"),
        series.newest("recal_drift_harmful_share", **of),
        bool(series.newest("recal_drift_outside_calibration", **of)),
    )
