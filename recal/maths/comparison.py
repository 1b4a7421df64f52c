"""Whether two methods differ: McNemar's test, a bootstrap's p-value, and Holm over many."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from recal.maths.two_class import FloatArray, checked_flags, checked_scores


class McNemar(NamedTuple):
    """Where two methods part on the same prompts."""

    first_only: int
    """Prompts that only the first method gets right."""
    second_only: int
    p: float
    """Exact, two-sided; 1.0 where they part nowhere."""


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Test whether two methods are right equally often on the same, independent prompts.

    Args:
        first: (n,) bool, right or not.
        second: (n,) bool, the same prompts in the same order.

    Raises:
        ValueError: not vectors of booleans, empty, or of other lengths.

    Source: McNemar 1947, Psychometrika 12; exact binomial form.
    """
    one, two = checked_flags("first", first), checked_flags("second", second)
    if len(one) != len(two):
        raise ValueError(f"{len(one)} and {len(two)} prompts cannot be paired; give the same ones")
    first_only, second_only = int((one & ~two).sum()), int((two & ~one).sum())
    parted = first_only + second_only
    p = float(binomtest(first_only, parted).pvalue) if parted else 1.0
    return McNemar(first_only, second_only, p)


def bootstrap_p(differences: ArrayLike) -> float:
    """Two-sided p-value of resampled differences against 0: twice the smaller tail.

    Never 0: with R resamples the least is 2 / (R + 1).

    Args:
        differences: (n_resamples,), of a paired statistic.

    Raises:
        ValueError: empty or not finite.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, 4.4.
    """
    values = checked_scores("differences", differences)
    tail = min(int((values <= 0).sum()), int((values >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(values) + 1))


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjusted p-values: calling those under α significant errs at all with probability <= α.

    Args:
        p_values: (n,) of one family, in [0, 1].

    Returns:
        (n,), in the same order, at most 1.

    Raises:
        ValueError: empty, or a value is outside [0, 1].

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    p = checked_scores("p_values", p_values)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p-values lie between 0 and 1, not {p.min():g} to {p.max():g}")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
