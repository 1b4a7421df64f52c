"""How widely scores and their order statistics spread: what an estimate's certainty is made of."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln
from scipy.stats import norm

from recal.maths.two_class import TwoClass

PRIOR_FREEDOM = 6.0
"""Degrees of freedom that the source's spread counts for beside a language's own examples."""

_ABSCISSAE = np.linspace(-12.0, 12.0, 4801)
_FAR_FROM_BOTH_ENDS = 1000


def sd_within(labelled: TwoClass, source_sd: float) -> float:
    """A language's standard deviation within a class: its own, drawn toward the source's.

    Two examples of a class say next to nothing of their spread, thirty say most of it.

    Args:
        labelled: (k,) and (m,) scores, at least one of each.
        source_sd: of the source languages, above 0.

    Returns:
        √((ν₀·source² + Σ squares) / (ν₀ + k + m - 2)), the posterior mode of an inverse gamma
        but for a constant.
    """
    squares = sum(float(((scores - scores.mean()) ** 2).sum()) for scores in labelled)
    freedom = sum(len(scores) - 1 for scores in labelled)
    return math.sqrt((PRIOR_FREEDOM * source_sd**2 + squares) / (PRIOR_FREEDOM + freedom))


def mean_variance(labelled: TwoClass) -> float:
    """Variance of the class midpoint in units of the variance within a class: (1/k + 1/m) / 4."""
    return (1 / len(labelled.harmful) + 1 / len(labelled.harmless)) / 4


def order_variance(rank: int, n: int) -> float:
    """Variance of the `rank`-th smallest of n standard normal draws.

    Args:
        rank: from 1 to n.
        n: at least 1.
    """
    if min(rank, n + 1 - rank) >= _FAR_FROM_BOTH_ENDS:
        # the density becomes narrower than the abscissae, and the limit for many draws holds
        share = rank / (n + 1)
        return float(share * (1 - share) / n / norm.pdf(norm.ppf(share)) ** 2)
    log_density = (
        gammaln(n + 1)
        - gammaln(rank)
        - gammaln(n - rank + 1)
        + norm.logpdf(_ABSCISSAE)
        + (rank - 1) * norm.logcdf(_ABSCISSAE)
        + (n - rank) * norm.logsf(_ABSCISSAE)
    )
    density = np.exp(log_density)
    mean = np.trapezoid(_ABSCISSAE * density, _ABSCISSAE)
    return float(np.trapezoid((_ABSCISSAE - mean) ** 2 * density, _ABSCISSAE))
