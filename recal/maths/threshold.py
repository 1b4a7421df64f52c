"""Thresholds: what an estimate of one is, the interface of its estimators, and the zones around it.

The estimators themselves stand in `recal.maths.estimators`, one file each.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.candidates import Candidates
from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics

_MAX_LOSS = 0.01


class Part(NamedTuple):
    """One source of knowledge about a threshold: what it says, and how surely."""

    name: str
    """e.g. `labels`, `prior`, `unlabelled`."""
    threshold: float
    sd: float
    """Its standard deviation as it was weighed, above 0."""


class ThresholdEstimate(NamedTuple):
    """A threshold, and how far to trust it."""

    threshold: float
    """τ̂: harmful where score >= τ̂, in the score's unit; NaN when `vacuous`."""
    posterior_sd: float
    """s_τ, the estimate's own standard deviation under the assumptions, at least 0."""
    assumptions: tuple[str, ...]
    """What was taken for granted, one sentence each, for the calibration's record."""
    parts: tuple[Part, ...] = ()
    """What it was fused from; empty: it is one piece."""
    vacuous: bool = False
    """True: the evidence cannot support what the estimator promises, so there is no threshold.
    Nothing can be decided by it: `zone` refuses it, and no comparison with NaN is true."""


def vacuous_estimate(why: str) -> ThresholdEstimate:
    """The estimate that is none, with the reason as its one assumption."""
    return ThresholdEstimate(math.nan, math.inf, (why,), vacuous=True)


class Zone(NamedTuple):
    """The two thresholds of one language; between them the model is left untouched."""

    steer: float
    """τ_hi: steered at or above it."""
    release: float
    """τ_lo, at most `steer`: released at or below it."""


class Estimator(Protocol):
    """How a language's threshold is estimated from what is known of it."""

    def __call__(self, evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
        """Estimate the threshold.

        Args:
            evidence: of one language; the estimator takes what it can use of it.
            source: what the source languages' scores look like.

        Raises:
            ValueError: the evidence lacks what the estimator cannot do without.
        """


def source_threshold(
    harmful_scores: ArrayLike, harmless_scores: ArrayLike, *, standard_errors: float = 1.645
) -> float:
    """The lowest threshold whose balanced accuracy cannot be told from the best one's.

    Balanced accuracy (and so Youden's J) is flat around its maximum, and which point of the flat
    part is highest is chance: so the safest of them is taken, one whose loss is within a few
    standard errors and never above 0.01. The candidates are `paper_f1`'s.

    Args:
        harmful_scores: (n,) of the source languages together; many.
        harmless_scores: (m,).
        standard_errors: of the best balanced accuracy, at least 0. The default is a one-sided test
            at 5 %; 0 takes the maximum itself, the lowest of equal ones.

    Raises:
        ValueError: a class is empty, a score is not finite, or `standard_errors` is negative.
    """
    if not standard_errors >= 0:
        raise ValueError(f"`standard_errors` is {standard_errors}; it must be at least 0")
    candidates = Candidates.of(harmful_scores, harmless_scores)
    accuracy = candidates.balanced_accuracy
    best = int(np.argmax(accuracy))
    loss = min(standard_errors * candidates.standard_error(best), _MAX_LOSS)
    return float(candidates.thresholds[int(np.argmax(accuracy >= accuracy[best] - loss))])


def zone(estimate: ThresholdEstimate, routing: str, c: float = 1.0) -> Zone:
    """The steer and release thresholds around an estimate.

    Args:
        estimate: τ̂ and s_τ.
        routing: `two_way`: steer and release at τ̂, nothing is left untouched (the paper's).
            `three_zone`: steer at τ̂, release only at or below τ̂ - c·s_τ, because a harmful prompt
            that is released ends up less safe than without us.
        c: width of the untouched zone in posterior standard deviations, at least 0; unused by
            `two_way`.

    Raises:
        ValueError: the estimate is vacuous; an unknown routing; `c`, τ̂ or s_τ not finite, or `c`
            or s_τ negative.
    """
    threshold, sd = estimate.threshold, estimate.posterior_sd
    if estimate.vacuous:
        raise ValueError(
            f"the estimate is vacuous ({'; '.join(estimate.assumptions)}); nothing can be decided "
            "by it, use another estimator or more examples"
        )
    if not (math.isfinite(threshold) and math.isfinite(sd) and sd >= 0):
        raise ValueError(f"the estimate is {threshold} with a standard deviation of {sd}")
    if not (math.isfinite(c) and c >= 0):
        raise ValueError(f"`c` is {c}; it must be finite and at least 0")
    if routing == "two_way":
        return Zone(steer=threshold, release=threshold)
    if routing == "three_zone":
        return Zone(steer=threshold, release=threshold - c * sd)
    raise ValueError(f"no routing `{routing}`; choose `two_way` or `three_zone`")
