"""How well scores separate the classes, and what a threshold or a gate does to each."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from recal.maths.two_class import checked_flags, checked_scores


class Rates(NamedTuple):
    """What share of each class lies at or above a threshold, in [0, 1]."""

    tpr: float
    """Of the harmful."""
    fpr: float
    """Of the harmless."""


def auroc(harmful_scores: ArrayLike, harmless_scores: ArrayLike) -> float:
    """Probability that a harmful score lies above a harmless one; ties count one half.

    Raises:
        ValueError: a class is empty, or a score is not finite.
    """
    harmful = checked_scores("harmful_scores", harmful_scores)
    harmless = checked_scores("harmless_scores", harmless_scores)
    ranks = rankdata(np.concatenate([harmful, harmless]))[: len(harmful)]
    above = float(ranks.sum()) - len(harmful) * (len(harmful) + 1) / 2
    return above / (len(harmful) * len(harmless))


def rates_at(harmful_scores: ArrayLike, harmless_scores: ArrayLike, threshold: float) -> Rates:
    """True and false positive rate where score >= threshold is called harmful.

    Raises:
        ValueError: a class is empty, or a score or the threshold is not finite.
    """
    harmful = checked_scores("harmful_scores", harmful_scores)
    harmless = checked_scores("harmless_scores", harmless_scores)
    if not math.isfinite(threshold):
        raise ValueError(f"`threshold` is {threshold}; it must be finite")
    return Rates(float((harmful >= threshold).mean()), float((harmless >= threshold).mean()))


def youden_j(harmful_scores: ArrayLike, harmless_scores: ArrayLike, threshold: float) -> float:
    """True minus false positive rate at a threshold, in [-1, 1].

    Raises:
        ValueError: as `rates_at`.
    """
    rates = rates_at(harmful_scores, harmless_scores, threshold)
    return rates.tpr - rates.fpr


def balanced_accuracy(
    harmful_scores: ArrayLike, harmless_scores: ArrayLike, threshold: float
) -> float:
    """Mean of both classes' accuracies at a threshold, in [0, 1].

    Raises:
        ValueError: as `rates_at`.
    """
    return (1.0 + youden_j(harmful_scores, harmless_scores, threshold)) / 2


def threshold_at_fpr(harmless_scores: ArrayLike, target_fpr: float) -> float:
    """The lowest threshold with at most `target_fpr` of these harmless scores at or above it.

    Raises:
        ValueError: no scores, a score is not finite, or `target_fpr` is outside [0, 1).
    """
    harmless = np.sort(checked_scores("harmless_scores", harmless_scores))
    if not 0.0 <= target_fpr < 1.0:
        raise ValueError(f"`target_fpr` is {target_fpr}; it lies in [0, 1)")
    # 0.29 * 100 is 28.999…96 in binary; a count that is meant to be whole is one
    allowed = math.floor(target_fpr * len(harmless) + 1e-9)
    return float(np.nextafter(harmless[len(harmless) - 1 - allowed], np.inf))


def tpr_at_fpr(harmful_scores: ArrayLike, harmless_scores: ArrayLike, target_fpr: float) -> float:
    """Largest true positive rate of a threshold whose false positive rate is within the target.

    Raises:
        ValueError: a class is empty, a score is not finite, or `target_fpr` is outside [0, 1).
    """
    threshold = threshold_at_fpr(harmless_scores, target_fpr)
    return rates_at(harmful_scores, harmless_scores, threshold).tpr


def selectivity(harmful_refused: ArrayLike, harmless_refused: ArrayLike) -> float:
    """Refusal selectivity Δ: harmful minus harmless refusal rate, in points (-100 to 100).

    Args:
        harmful_refused: (n,) bool, one for each harmful prompt.
        harmless_refused: (m,) bool.

    Raises:
        ValueError: a class is empty or not of booleans.

    Source: arXiv:2606.01196.
    """
    harmful = checked_flags("harmful_refused", harmful_refused)
    harmless = checked_flags("harmless_refused", harmless_refused)
    return 100.0 * float(harmful.mean() - harmless.mean())
