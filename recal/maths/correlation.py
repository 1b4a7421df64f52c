"""How far a prompt's score follows its source translation's, within a class."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from recal.maths.two_class import TwoClass

PRIOR_FREEDOM = 16.0
"""Degrees of freedom that the correlation before any estimate counts for."""


class Correlation(NamedTuple):
    """A correlation within a class, and how much it rests on."""

    rho: float
    """In [-1, 1]."""
    freedom: float
    """Pairs less the two class means; 0: nothing."""


def correlation_within(own: TwoClass, theirs: TwoClass) -> Correlation:
    """Correlation of paired scores once each class's means are taken off.

    Args:
        own: (k,) and (m,) scores.
        theirs: of the source translations, in the same order.

    Returns:
        Without freedom where a class mean is all that there is, or nothing varies.
    """
    centred = [
        (mine - mine.mean(), other - other.mean()) for mine, other in zip(own, theirs, strict=True)
    ]
    freedom = sum(len(mine) - 1 for mine, _ in centred)
    together = sum(float(mine @ other) for mine, other in centred)
    squares = [sum(float((pair[i] ** 2).sum()) for pair in centred) for i in (0, 1)]
    if freedom < 2 or min(squares) <= 0:
        return Correlation(0.0, 0.0)
    rho = together / math.sqrt(squares[0] * squares[1])
    return Correlation(float(np.clip(rho, -1.0, 1.0)), float(freedom))


def pooled_rho(correlations: Iterable[Correlation], *, before_any: float) -> float:
    """One correlation of several languages', drawn toward what was assumed before any.

    The mean of Fisher's z, weighed by degrees of freedom.

    Args:
        correlations: of languages that are not the one it is for.
        before_any: the correlation that `PRIOR_FREEDOM` degrees of freedom speak for, in (-1, 1).
    """
    total, weight = PRIOR_FREEDOM * math.atanh(before_any), PRIOR_FREEDOM
    for rho, freedom in correlations:
        # of a single language's handful ±1 is chance
        total += freedom * math.atanh(min(max(rho, -0.99), 0.99))
        weight += freedom
    return math.tanh(total / weight)
