"""What a calibration says its language is like: steered shares and scores of either class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from services.drift.counts import BOUNDARIES
from services.drift.cusum import FloatArray
from services.readout.bundle import Calibration
from services.readout.references import ScoreHistogram

_ROUNDS = 50
_SIGMAS = 4.0
_LEAST_N = 500.0
_GROUP = 0.1
"""A group of the stability index holds a tenth of what is expected."""


class Reference(BaseModel):
    """Of one version, from prompts that were held out when it was made."""

    harmful: float
    """Share of harmful prompts that it steers."""
    harmless: float
    n_harmful: float
    """Prompts that this share was counted over."""
    n_harmless: float
    harmful_scores: list[float] = Field(default_factory=list)
    """Counts between the boundaries of the score's histogram; empty where there is none."""
    harmless_scores: list[float] = Field(default_factory=list)

    @classmethod
    def of(cls, calibration: Calibration) -> Reference | None:
        """A calibration's own; None where it was made without held-out prompts."""
        metrics, rates = calibration.metrics, calibration.reference_refusal
        harmful = rates.get("harmful", metrics.get("tpr"))
        harmless = rates.get("harmless", metrics.get("fpr"))
        if harmful is None or harmless is None:
            return None
        histogram = calibration.histogram
        return cls(
            harmful=harmful,
            harmless=harmless,
            n_harmful=metrics.get("n_harmful", 1.0),
            n_harmless=metrics.get("n_harmless", 1.0),
            harmful_scores=_between(histogram, "harmful"),
            harmless_scores=_between(histogram, "harmless"),
        )

    def contains(self, share: float, n: float) -> bool:
        """Whether some mix of both classes is steered as often as `n` requests were.

        Within four standard deviations of the request's share and of the class' own; true where
        there are too few requests to tell.
        """
        if n < _LEAST_N:
            return True
        ends = sorted([(self.harmless, self.n_harmless), (self.harmful, self.n_harmful)])
        (low, n_low), (high, n_high) = ends
        spread = share * (1 - share) / n
        return bool(
            share >= low - _SIGMAS * np.sqrt(spread + _variance(low, n_low))
            and share <= high + _SIGMAS * np.sqrt(spread + _variance(high, n_high))
        )


class Mix(NamedTuple):
    """The mix of a calibration's classes that live scores look like most."""

    harmful: float
    """Share of harmful prompts in it."""
    scores: FloatArray
    """Shares between boundaries."""


def mix_of(reference: Reference, counts: FloatArray) -> Mix | None:
    """The likeliest mix by expectation and maximisation; None without histograms or scores."""
    if not reference.harmful_scores or counts.sum() <= 0:
        return None
    harmful, harmless = (
        (np.asarray(each) + 1 / len(each)) / (np.sum(each) + 1)
        for each in (reference.harmful_scores, reference.harmless_scores)
    )
    share = 0.5
    for _ in range(_ROUNDS):
        of_harmful = share * harmful / (share * harmful + (1 - share) * harmless)
        share = float(np.clip(counts @ of_harmful / counts.sum(), 1e-6, 1 - 1e-6))
    return Mix(share, share * harmful + (1 - share) * harmless)


def stability_index(expected: FloatArray, counts: FloatArray) -> float:
    """PSI: how far counts are from what is expected, over groups of a tenth of it each.

    By convention below 0.1 nothing has moved, above 0.25 much has. That is a habit and no test: it
    knows neither how many requests there are nor how often one looks.

    Args:
        expected: (cells,) shares or counts.
        counts: (cells,) counts.
    """
    share = expected / expected.sum()
    groups = np.clip(np.ceil(np.cumsum(share) / _GROUP - 1e-9) - 1, 0, None)
    n_groups = int(groups.max()) + 1
    before = np.bincount(groups.astype(int), share, n_groups)
    now = np.bincount(groups.astype(int), counts, n_groups)
    filled = before > 0
    before, now = before[filled], (now[filled] + 0.5) / (now.sum() + 0.5 * filled.sum())
    return float(np.sum((now - before) * np.log(now / before)))


def _variance(share: float, n: float) -> float:
    """Of a class' share, which may be 0 or 1 over a few prompts (Agresti and Coull)."""
    kept = (share * n + 2) / (n + 4)
    return kept * (1 - kept) / (n + 4)


def _between(histogram: ScoreHistogram | None, of: str) -> list[float]:
    if histogram is None:
        return []
    counts = np.asarray(getattr(histogram, of), dtype=np.float64)
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    below = np.interp(BOUNDARIES, histogram.edges, cumulative)
    between: list[float] = np.diff(np.concatenate([[0.0], below, [counts.sum()]])).tolist()
    return between
