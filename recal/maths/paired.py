"""Two answers to each of the same questions: how much more often one is right."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import ArrayLike
from scipy.stats import binomtest

from recal.maths.interval import Interval, rate_interval
from recal.maths.two_class import checked_flags


class Pairs(NamedTuple):
    """Questions by which of the two answers is right."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        """All questions."""
        return sum(self)


def paired(first: ArrayLike, second: ArrayLike) -> Pairs:
    """Count questions by which of the two answers is right.

    Args:
        first: (n,) bool.
        second: (n,) bool, to the same questions in the same order.

    Raises:
        ValueError: empty, not of booleans, or of different lengths.
    """
    one, two = checked_flags("first", first), checked_flags("second", second)
    if len(one) != len(two):
        raise ValueError(f"paired answers number {len(one)} and {len(two)}; give the same")
    return Pairs(
        both=int((one & two).sum()),
        only_first=int((one & ~two).sum()),
        only_second=int((~one & two).sum()),
        neither=int((~one & ~two).sum()),
    )


def paired_difference(pairs: Pairs, *, level: float = 0.95) -> Interval:
    """Interval of rate(first) - rate(second) of paired answers, in [-1, 1].

    Newcombe's hybrid of two Wilson intervals with the answers' correlation. Unlike a bootstrap it
    keeps a width where both runs answered every question alike.

    Raises:
        ValueError: there are no questions.

    Source: Newcombe 1998, Statistics in Medicine 17, 2635-2650, method 10.
    """
    n = pairs.n
    if n < 1 or min(pairs) < 0:
        raise ValueError(f"{tuple(pairs)} are no counts of questions; give at least one")
    first, second = pairs.both + pairs.only_first, pairs.both + pairs.only_second
    p, q = first / n, second / n
    of_p, of_q = rate_interval(first, n, level=level), rate_interval(second, n, level=level)
    together = 2.0 * _correlation(pairs)
    below = _hypotenuse(p - of_p.low, of_q.high - q, together)
    above = _hypotenuse(of_p.high - p, q - of_q.low, together)
    return Interval(p - q - below, p - q + above)


def mcnemar_p(pairs: Pairs) -> float:
    """Exact two-sided p of the hypothesis that both are right equally often.

    Only questions that one of them answers right count; without any it is 1.

    Source: McNemar 1947, Psychometrika 12; the binomial form.
    """
    n = pairs.only_first + pairs.only_second
    return 1.0 if n == 0 else float(binomtest(pairs.only_first, n).pvalue)


def _correlation(pairs: Pairs) -> float:
    """φ, corrected towards 0 where it is positive, for continuity."""
    first = (pairs.both + pairs.only_first) * (pairs.only_second + pairs.neither)
    second = (pairs.both + pairs.only_second) * (pairs.only_first + pairs.neither)
    if first == 0 or second == 0:
        return 0.0
    cross = float(pairs.both * pairs.neither - pairs.only_first * pairs.only_second)
    if cross > 0:
        cross = max(0.0, cross - pairs.n / 2)
    return cross / math.sqrt(first * second)


def _hypotenuse(one: float, two: float, together: float) -> float:
    return math.sqrt(max(0.0, one**2 - together * one * two + two**2))
