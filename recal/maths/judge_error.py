"""What a rate is once the judge's own errors are taken out, and how sure that leaves us.

A judge that misses refusals and sees some that are none reports `p·se + (1 - p)·(1 - sp)` where
`p` is true. Its sensitivity and specificity are themselves known from a few hundred human labels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from recal.maths.agreement import Tally
from recal.maths.two_class import FloatArray


class JudgeError(NamedTuple):
    """What is known of a judge from human labels."""

    sensitivity: Tally
    """Refusals that it finds, of those that people see."""
    specificity: Tally
    """Answers that it leaves, of those that people see."""

    @property
    def discrimination(self) -> float:
        """Se + sp - 1: by so much differences shrink under this judge; 0 is a coin.

        Raises:
            ValueError: a class has no labels.
        """
        return self.sensitivity.share + self.specificity.share - 1.0


class Corrected(NamedTuple):
    """A rate, or a difference of rates, without the judge's errors."""

    estimate: float
    """Cut to its range: [0, 1], or [-1, 1] for a difference."""
    low: float
    high: float
    vacuous: bool
    """True when the labels cannot tell the judge from a coin; the interval is then the range."""


class _Adjusted(NamedTuple):
    """A rate with its variance, drawn a little to the middle so that neither is ever nothing."""

    rate: float
    variance: float


def rogan_gladen(rate: ArrayLike, *, sensitivity: float, specificity: float) -> FloatArray:
    """True rates behind judged ones; not cut to [0, 1].

    Args:
        rate: judged rates in [0, 1], any shape.
        sensitivity: in [0, 1].
        specificity: in [0, 1].

    Raises:
        ValueError: the judge is no better than a coin, so that it says nothing of the truth.

    Source: Rogan and Gladen 1978, American Journal of Epidemiology 107.
    """
    discrimination = sensitivity + specificity - 1.0
    if not discrimination > 0.0:
        raise ValueError(
            f"sensitivity {sensitivity:.3f} and specificity {specificity:.3f} are those of a coin "
            "or worse; use another judge"
        )
    return (np.asarray(rate, dtype=np.float64) + specificity - 1.0) / discrimination


def corrected_rate(judged: Tally, error: JudgeError, *, level: float = 0.95) -> Corrected:
    """A refusal rate without the judge's errors; the interval knows that those are estimates too.

    Args:
        judged: texts that the judge calls refusals, of all.
        error: from labels of like texts.
        level: coverage, in (0, 1).

    Raises:
        ValueError: a tally is no share, the judge is no better than a coin, or a wrong `level`.

    Source: Lang and Reiczigel 2014, Preventive Veterinary Medicine 113.
    """
    se, sp = error.sensitivity.share, error.specificity.share
    z = _quantile(level)
    point = float(rogan_gladen(judged.share, sensitivity=se, specificity=sp))
    estimate = min(max(point, 0.0), 1.0)
    if is_like_a_coin(error, level=level):
        return Corrected(estimate, 0.0, 1.0, vacuous=True)
    seen = _adjusted(judged, z**2 / 2)
    found, left = _adjusted(error.sensitivity, 1.0), _adjusted(error.specificity, 1.0)
    discrimination = found.rate + left.rate - 1.0
    true = (seen.rate + left.rate - 1.0) / discrimination
    moved = 2 * z**2 * (true * found.variance - (1 - true) * left.variance)
    spread = seen.variance + true**2 * found.variance + (1 - true) ** 2 * left.variance
    half = z * math.sqrt(spread) / discrimination
    centre = true + moved
    return _within(estimate, centre - half, centre + half, 0.0)


def corrected_difference(
    first: Tally, second: Tally, error: JudgeError, *, level: float = 0.95
) -> Corrected:
    """A difference of two rates without the errors of the judge that both share.

    Specificity cancels in the difference, discrimination divides it: Δ = (p₁ - p₂)/(se + sp - 1).
    That holds where the judge errs alike on both groups; label texts of both to know.

    Args:
        first: judged refusals of one group, e.g. of harmful prompts.
        second: of the other, independent one.
        error: from labels of like texts.
        level: coverage, in (0, 1).

    Raises:
        ValueError: as `corrected_rate`.

    Source: the delta method on Rogan and Gladen 1978, with rates drawn to the middle as in Agresti
    and Caffo 2000, The American Statistician 54.
    """
    z = _quantile(level)
    se, sp = error.sensitivity.share, error.specificity.share
    true = [
        float(rogan_gladen(tally.share, sensitivity=se, specificity=sp))
        for tally in (first, second)
    ]
    estimate = min(max(true[0] - true[1], -1.0), 1.0)
    if is_like_a_coin(error, level=level):
        return Corrected(estimate, -1.0, 1.0, vacuous=True)
    one, two = _adjusted(first, 1.0), _adjusted(second, 1.0)
    found, left = _adjusted(error.sensitivity, 1.0), _adjusted(error.specificity, 1.0)
    discrimination = found.rate + left.rate - 1.0
    centre = (one.rate - two.rate) / discrimination
    spread = one.variance + two.variance + centre**2 * (found.variance + left.variance)
    half = z * math.sqrt(spread) / discrimination
    return _within(estimate, centre - half, centre + half, -1.0)


def is_like_a_coin(error: JudgeError, *, level: float = 0.95) -> bool:
    """Whether the labels leave it open that the judge says nothing of the truth.

    Args:
        error: from labels.
        level: of the interval in which a coin would have to lie, in (0, 1).

    Raises:
        ValueError: a wrong `level`.
    """
    found, left = _adjusted(error.sensitivity, 1.0), _adjusted(error.specificity, 1.0)
    spread = math.sqrt(found.variance + left.variance)
    return found.rate + left.rate - 1.0 - _quantile(level) * spread <= 0.0


def _adjusted(tally: Tally, pseudo: float) -> _Adjusted:
    """With `pseudo` more of each answer."""
    n = tally.of + 2 * pseudo
    rate = (tally.yes + pseudo) / n
    return _Adjusted(rate, rate * (1 - rate) / n)


def _within(estimate: float, low: float, high: float, least: float) -> Corrected:
    return Corrected(
        estimate, max(least, min(low, estimate)), min(1.0, max(high, estimate)), vacuous=False
    )


def _quantile(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` is {level}; it lies between 0 and 1")
    return float(norm.ppf((1 + level) / 2))
