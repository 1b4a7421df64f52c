"""`bias_only`: a logistic regression with the source's slope; an outlier's weight has a bound."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit

from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics
from recal.maths.threshold import ThresholdEstimate
from recal.maths.two_class import TwoClass

NAME = "bias_only"

_STEPS = 100
_CONVERGED = 1e-10
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


def bias_only(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """The τ that minimises Σ log(1 + e^(-y a (s - τ))), plus (τ - μ_b)²/2σ_b² with a prior.

    y is ±1, a = D/σ² of the source; the slope is never fitted on a handful of examples. Both
    classes weigh the same, however many examples each has. On normal classes it is a little worse
    than the midpoint, and where the classes lie far apart one wrong label draws it to the edge of a
    class, but never beyond.

    Raises:
        ValueError: a class has no example.

    Source: Platt scaling with its slope fixed; the spread is the sandwich estimate's, with the
    source's normal classes in place of these few examples.
    """
    labelled = evidence.labels_for(NAME)
    slope = (source.mean_harmful - source.mean_harmless) / source.sd_within**2
    n = len(labelled.harmful) + len(labelled.harmless)
    prior = evidence.prior
    precision = 0.0 if prior is None else prior.sd**-2
    centre = 0.0 if prior is None else prior.mean
    threshold = _minimum(labelled, slope, n / 2, precision, centre)
    curvature, noise = _expected(slope, source)
    found = n * curvature + precision
    effective = n / 4 * (1 / len(labelled.harmful) + 1 / len(labelled.harmless))
    return ThresholdEstimate(
        threshold=threshold,
        posterior_sd=math.sqrt(n * noise * effective + precision) / found,
        assumptions=(
            "both classes lie about the threshold as the source's do, and both mistakes cost the "
            "same",
            f"a slope of {slope:.4g}, as in the source",
        ),
    )


def _minimum(
    labelled: TwoClass, slope: float, weight: float, precision: float, centre: float
) -> float:
    """The root of the gradient, which rises in τ: Newton's steps, kept inside a bracket."""
    low = float(min(scores.min() for scores in labelled)) - 50 / slope
    high = float(max(scores.max() for scores in labelled)) + 50 / slope
    if precision:
        low, high = min(low, centre), max(high, centre)
    threshold = (float(labelled.harmful.mean()) + float(labelled.harmless.mean())) / 2
    for _ in range(_STEPS):
        missed = expit(slope * (threshold - labelled.harmful))
        alarmed = expit(slope * (labelled.harmless - threshold))
        gradient = weight * slope * float(missed.mean() - alarmed.mean())
        gradient += precision * (threshold - centre)
        low, high = (low, threshold) if gradient > 0 else (threshold, high)
        curvature = (
            weight
            * slope**2
            * float((missed * (1 - missed)).mean() + (alarmed * (1 - alarmed)).mean())
        )
        curvature += precision
        step = gradient / curvature if curvature > 0 else math.inf
        following = threshold - step
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - threshold) <= _CONVERGED * max(1.0, abs(threshold)):
            return following
        threshold = following
    return threshold


def _expected(slope: float, source: SourceStatistics) -> tuple[float, float]:
    """Mean curvature, and variance of the gradient, of one example at the source's midpoint."""
    half = (source.mean_harmful - source.mean_harmless) / 2
    share = _WEIGHTS / _WEIGHTS.sum()
    missed = expit(-slope * (half + source.sd_within * _NODES))
    curvature = slope**2 * float(share @ (missed * (1 - missed)))
    mean = float(share @ missed)
    return curvature, slope**2 * float(share @ (missed - mean) ** 2)
