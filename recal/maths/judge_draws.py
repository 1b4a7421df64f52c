"""A judge's errors in every resample: what turns judged rates into true ones, drawn from labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recal.maths.agreement import Tally
from recal.maths.judge_error import JudgeError
from recal.maths.two_class import FloatArray

_MOST_ROUNDS = 1000


class Correction(NamedTuple):
    """Rogan and Gladen's correction in each of n resamples: true = scale · judged + offset."""

    scale: FloatArray
    """(n,), above 0: 1 / (sensitivity + specificity - 1)."""
    offset: FloatArray
    """(n,)."""


def stated_correction(sensitivity: float, specificity: float, *, n: int) -> Correction:
    """The same correction in every resample, for rates that are given and not measured.

    Args:
        sensitivity: in [0, 1].
        specificity: in [0, 1].
        n: resamples.

    Raises:
        ValueError: the judge is no better than a coin.
    """
    return _correction(np.full(n, sensitivity), np.full(n, specificity))


def drawn_corrections(error: JudgeError, *, rng: np.random.Generator, n: int) -> Correction:
    """A correction for each resample, as far apart as the labels leave open.

    Sensitivity and specificity are drawn from their posterior under a uniform prior, which has one
    more of each answer than was counted; pairs of a judge that is worse than a coin are drawn
    again.

    Args:
        error: from labels.
        rng: where the draws come from.
        n: resamples.

    Raises:
        ValueError: a tally is no share, or the labels say that the judge is worse than a coin.

    Source: the posterior is that of Agresti and Caffo 2000, as in `corrected_difference`.
    """
    if not error.discrimination > 0.0:
        _correction(np.array([error.sensitivity.share]), np.array([error.specificity.share]))
    found, left = _drawn(error.sensitivity, rng, n), _drawn(error.specificity, rng, n)
    for _ in range(_MOST_ROUNDS):
        wrong = np.nonzero(found + left <= 1.0)[0]
        if not len(wrong):
            break
        found[wrong] = _drawn(error.sensitivity, rng, len(wrong))
        left[wrong] = _drawn(error.specificity, rng, len(wrong))
    return _correction(found, left)


def _drawn(tally: Tally, rng: np.random.Generator, n: int) -> FloatArray:
    return np.asarray(rng.beta(tally.yes + 1, tally.of - tally.yes + 1, n))


def _correction(sensitivity: FloatArray, specificity: FloatArray) -> Correction:
    discrimination = sensitivity + specificity - 1.0
    if not (discrimination > 0.0).all():
        raise ValueError(
            f"sensitivity {sensitivity[0]:.3f} and specificity {specificity[0]:.3f} are those of a "
            "coin or worse; use another judge"
        )
    return Correction(1.0 / discrimination, (specificity - 1.0) / discrimination)
