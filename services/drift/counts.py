"""What was added to counters since the last look, also across restarts; and what it is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from services.domain import Action, Reason
from services.drift.cusum import FloatArray
from services.drift.plan import FIRED, REFUSED, SCORE
from services.drift.sources import Sample
from services.telemetry import ANSWERS, NO_VERSION, OTHER_LANGUAGE, REFUSALS_OBSERVED, VERDICTS
from services.telemetry import SCORE as SCORE_METRIC

BOUNDARIES = tuple(SCORE_METRIC.buckets)
_KEPT_S = 86_400.0
"""A series that was not seen for so long is forgotten."""
_VERDICTS, _ANSWERS = f"{VERDICTS.name}_total", f"{ANSWERS.name}_total"
_REFUSALS, _BUCKET = f"{REFUSALS_OBSERVED.name}_total", f"{SCORE_METRIC.name}_bucket"
WANTED = frozenset({_VERDICTS, _ANSWERS, _REFUSALS, _BUCKET})
_STOPS = frozenset({Action.STEER.value, Action.REFUSE.value})


class Last(BaseModel):
    """A series as it was seen last."""

    value: float
    seen_at: float


class Counters(BaseModel):
    """The last value of every counter."""

    last: dict[str, Last] | None = None
    """By series; None before the first look, whose values say nothing of when they were counted."""

    def added(self, samples: Iterable[Sample], now: float) -> list[tuple[Sample, float]]:
        """What each counter grew by since the last look.

        One that is lower than it was has begun anew, with its process: then all of it is new. So is
        all of a series that was not there before.
        """
        begins = self.last is None
        last = self.last or {}
        grown = []
        for sample in samples:
            if sample.name not in WANTED:
                continue
            before = last.get(sample.key)
            if before is None:
                more = 0.0 if begins else sample.value
            else:
                more = sample.value - before.value if sample.value >= before.value else sample.value
            last[sample.key] = Last(value=sample.value, seen_at=now)
            if more > 0:
                grown.append((sample, more))
        self.last = {key: each for key, each in last.items() if now - each.seen_at < _KEPT_S}
        return grown


class Served(NamedTuple):
    """Whose requests are counted together."""

    language: str
    calibration_version: str


class Count(BaseModel):
    """Requests of one measure, and how many of them are of each kind (columns)."""

    n: float = 0.0
    hits: list[float] = Field(default_factory=list)


def tallied(added: Iterable[tuple[Sample, float]]) -> dict[Served, dict[str, Count]]:
    """Requests by language and version, for each measure.

    Requests without a calibration are left out: no version answers for them.
    """
    found: dict[Served, dict[str, Count]] = {}
    for sample, more in added:
        served = Served(sample.label("language"), sample.label("calibration_version"))
        if served.language in ("", OTHER_LANGUAGE) or served.calibration_version in (
            "",
            NO_VERSION,
        ):
            continue
        _count(found.setdefault(served, _nothing()), sample, more)
    for counts in found.values():
        for count in counts.values():
            # counters of one process are not written in the same instant
            count.hits = np.minimum(count.hits, count.n).tolist()
    return found


def _nothing() -> dict[str, Count]:
    columns = {FIRED: 1, REFUSED: 1, SCORE: len(BOUNDARIES)}
    return {name: Count(hits=[0.0] * n) for name, n in columns.items()}


def _count(counts: Mapping[str, Count], sample: Sample, more: float) -> None:
    if sample.name == _VERDICTS and sample.label("reason") == Reason.SCORE.value:
        counts[FIRED].n += more
        counts[FIRED].hits[0] += more * (sample.label("action") in _STOPS)
    elif sample.name == _ANSWERS:
        counts[REFUSED].n += more
    elif sample.name == _REFUSALS:
        counts[REFUSED].hits[0] += more
    elif sample.name == _BUCKET:
        _count_scores(counts[SCORE], float(sample.label("le") or "nan"), more)


def _count_scores(scores: Count, boundary: float, more: float) -> None:
    if boundary == float("inf"):
        scores.n += more
    elif boundary in BOUNDARIES:
        scores.hits[BOUNDARIES.index(boundary)] += more


def cells(cumulative: FloatArray, n: float) -> FloatArray:
    """(boundaries + 1,) counts between boundaries, of counts at or below each."""
    counts: FloatArray = np.diff(np.concatenate([[0.0], cumulative, [n]]))
    return np.maximum(counts, 0.0)
