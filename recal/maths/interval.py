"""How sure a rate, or a difference of two rates, is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from recal.maths.two_class import checked_flags

_METHODS = {"wilson": "wilson", "clopper_pearson": "exact"}


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def rate_interval(
    successes: int, n: int, *, level: float = 0.95, method: str = "wilson"
) -> Interval:
    """Interval of a rate, in [0, 1].

    Args:
        successes: how many of `n`.
        n: at least 1.
        level: coverage, in (0, 1).
        method: `wilson` covers `level` on average; `clopper_pearson` at least `level`, always.

    Raises:
        ValueError: `n` is 0, `successes` is not within 0..n, or an unknown method.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no rate; give 0 <= successes <= n, n at least 1")
    if method not in _METHODS:
        raise ValueError(f"no method `{method}`; choose one of {', '.join(_METHODS)}")
    _check_level(level)
    interval = binomtest(successes, n).proportion_ci(level, method=_METHODS[method])
    return Interval(float(interval.low), float(interval.high))


def difference_interval(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Interval:
    """Interval of rate(first) - rate(second) of two independent groups, in [-1, 1].

    Newcombe's hybrid of two Wilson intervals; unlike a bootstrap it keeps a width where a rate is
    0 or 1.

    Args:
        first: (n,) bool.
        second: (m,) bool.
        level: coverage, in (0, 1).

    Raises:
        ValueError: a group is empty or not of booleans.

    Source: Newcombe 1998, Statistics in Medicine 17, method 10.
    """
    one, two = checked_flags("first", first), checked_flags("second", second)
    p, q = float(one.mean()), float(two.mean())
    of_p = rate_interval(int(one.sum()), len(one), level=level)
    of_q = rate_interval(int(two.sum()), len(two), level=level)
    below = math.hypot(p - of_p.low, of_q.high - q)
    above = math.hypot(of_p.high - p, q - of_q.low)
    return Interval(p - q - below, p - q + above)


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    paired: bool = False,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of rate(first) - rate(second), in [-1, 1].

    Has no width where both rates are 0 or 1: use `difference_interval` there.

    Args:
        first: (n,) bool.
        second: (m,) bool; with `paired`, the same n prompts in the same order.
        rng: where the resamples come from; the same state gives the same interval.
        paired: resample prompts, not each group for itself.
        n_resamples: at least 100.
        level: coverage, in (0, 1).

    Raises:
        ValueError: a group is empty or not of booleans, paired groups differ in length, or too
            few resamples.
    """
    one, two = checked_flags("first", first), checked_flags("second", second)
    if paired and len(one) != len(two):
        raise ValueError(f"paired groups have {len(one)} and {len(two)} answers; give the same")
    if n_resamples < 100:
        raise ValueError(f"`n_resamples` is {n_resamples}; give at least 100")
    _check_level(level)
    draw = _paired_differences if paired else _independent_differences
    differences = draw(one, two, rng, n_resamples)
    tail = (1 - level) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return Interval(float(low), float(high))


def error_bound_after_no_errors(n: int, *, level: float = 0.95) -> float:
    """Upper bound of an error rate of which n tries have shown none: 1 - (1 - level)^(1/n).

    At 1, 2 and 4 tries that is 95, 78 and 53 %: say it beside every claim from so few.

    Raises:
        ValueError: `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"`n` is {n}; no tries show nothing")
    _check_level(level)
    return float(1 - (1 - level) ** (1 / n))


def _independent_differences(
    one: np.ndarray, two: np.ndarray, rng: np.random.Generator, n_resamples: int
) -> np.ndarray:
    # the number of successes in a resample is binomial; no need to draw its members
    first = rng.binomial(len(one), one.mean(), n_resamples) / len(one)
    return np.asarray(first - rng.binomial(len(two), two.mean(), n_resamples) / len(two))


def _paired_differences(
    one: np.ndarray, two: np.ndarray, rng: np.random.Generator, n_resamples: int
) -> np.ndarray:
    n = len(one)
    shares = [float((one & ~two).mean()), float((two & ~one).mean())]
    counts = rng.multinomial(n, [*shares, max(0.0, 1.0 - sum(shares))], n_resamples)
    return np.asarray((counts[:, 0] - counts[:, 1]) / n)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` is {level}; it lies between 0 and 1")
