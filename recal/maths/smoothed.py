"""The threshold of many labelled scores: where the smoothed densities of the classes cross."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from recal.maths.prior import OwnThreshold
from recal.maths.spread import mean_variance, sd_within
from recal.maths.two_class import FloatArray, TwoClass

MIN_ROWS = 50
"""Rows of each class from which smoothing beats the midpoint. On equal normal classes it costs at
most 0.6 points of J there; on the shipped organism's, whose harmful scores are skewed and twice as
spread, it gained 2.8 (the ADR on estimators has both)."""

_SILVERMAN = 1.06
_GRID = 512
_FLAT = 0.005


def crossing(labelled: TwoClass, source_sd: float) -> OwnThreshold:
    """The threshold of the highest Youden's J: smoothed from `MIN_ROWS` of each class, else midway.

    Args:
        labelled: (n,) and (m,) scores, at least one of each.
        source_sd: of the source languages within a class, above 0.
    """
    if is_smoothed(labelled):
        return smoothed_threshold(labelled)
    sd = sd_within(labelled, source_sd)
    midpoint = float(labelled.harmful.mean() + labelled.harmless.mean()) / 2
    return OwnThreshold(midpoint, sd * math.sqrt(mean_variance(labelled)))


def is_smoothed(labelled: TwoClass) -> bool:
    """True where `crossing` smooths: many rows, the right way round.

    Where harmless scores are the higher ones, J is highest where everything is on one side.
    """
    inverted = labelled.harmful.mean() <= labelled.harmless.mean()
    return min(len(labelled.harmful), len(labelled.harmless)) >= MIN_ROWS and not inverted


def crossing_assumption(labelled: TwoClass) -> str:
    """What `crossing` takes for granted, in a sentence."""
    if is_smoothed(labelled):
        return "both mistakes cost the same"
    return "both classes are equally spread, and both mistakes cost the same"


def smoothed_threshold(labelled: TwoClass) -> OwnThreshold:
    """The threshold at which Youden's J of both classes' kernel estimates is highest.

    No class needs to be normal, nor both equally spread.

    Args:
        labelled: (n,) and (m,) scores; dozens of each, that are not all the same.

    Returns:
        The threshold, in the middle of where J is highest, and its standard deviation by the delta
        method: that of the difference of both densities there, over the slope of that difference.

    Raises:
        ValueError: a class does not vary.

    Source: kernel estimate of the Youden index, Fluss, Faraggi and Reiser 2005, Biometrical
    Journal 47; Gaussian kernels of Silverman's width.
    """
    harmful, harmless = labelled
    of_harmful, of_harmless = _width("harmful", harmful), _width("harmless", harmless)
    grid = np.linspace(
        min(harmful.min(), harmless.min()), max(harmful.max(), harmless.max()), _GRID
    )
    j = _share_above(grid, harmful, of_harmful) - _share_above(grid, harmless, of_harmless)
    low, high = _plateau(grid, j)
    threshold = (low + high) / 2
    density, slope = _kernels(threshold, harmful, of_harmful)
    other_density, other_slope = _kernels(threshold, harmless, of_harmless)
    noise = math.sqrt(density.var() / len(harmful) + other_density.var() / len(harmless))
    difference = abs(float(slope.mean() - other_slope.mean()))
    # no rule knows the place better than the means know theirs; nor worse than the plateau is wide
    least = math.sqrt(harmful.var() / len(harmful) + harmless.var() / len(harmless)) / 2
    most = least + (high - low) / math.sqrt(12)
    sd = noise / difference if difference > 0 else most
    return OwnThreshold(threshold, min(max(sd, least), most))


def _plateau(grid: FloatArray, j: FloatArray) -> tuple[float, float]:
    """The ends of the stretch around the maximum on which J cannot be told from it."""
    best = int(np.argmax(j))
    below = np.flatnonzero(j < j[best] - _FLAT)
    left, right = below[below < best], below[below > best]
    return (
        float(grid[left[-1] + 1 if left.size else 0]),
        float(grid[right[0] - 1 if right.size else len(grid) - 1]),
    )


def _width(name: str, scores: FloatArray) -> float:
    quartiles = np.quantile(scores, [0.25, 0.75])
    spreads = [float(scores.std(ddof=1)), float(quartiles[1] - quartiles[0]) / 1.34]
    spread = min((s for s in spreads if s > 0), default=0.0)
    if spread <= 0:
        raise ValueError(
            f"all {len(scores)} {name} scores are {scores[0]:.4g}; give different prompts"
        )
    return float(_SILVERMAN * spread * len(scores) ** -0.2)


def _share_above(grid: FloatArray, scores: FloatArray, width: float) -> FloatArray:
    return np.asarray(norm.cdf((scores[None, :] - grid[:, None]) / width).mean(axis=1))


def _kernels(at: float, scores: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Every score's kernel at a place, and its slope there."""
    distance = (at - scores) / width
    heights = norm.pdf(distance) / width
    return np.asarray(heights), np.asarray(-distance / width * heights)
