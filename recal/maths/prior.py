"""What other languages' thresholds say of a language's own, before any of its examples is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

SD_BEFORE_ANY = 2.0
"""Spread of thresholds over languages as one language's worth of knowledge, in the score's unit.

Wide on purpose: where languages lie far apart, a prior of three others that is too sure of itself
is worse than none, and where they lie together a wide one costs little (the ADR on estimators)."""


class OwnThreshold(NamedTuple):
    """A language's threshold from its own evidence alone, without any prior."""

    threshold: float
    sd: float
    """Of its sampling, above 0."""


@dataclass(frozen=True)
class Prior:
    """A normal distribution of a language's threshold, from languages that are not it."""

    mean: float
    """μ_b."""
    sd: float
    """σ_b, with the uncertainty of μ_b itself."""
    languages: tuple[str, ...] = ()
    """Whose thresholds it was made from."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean):
            raise ValueError(f"the prior's mean is {self.mean}; it must be finite")
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise ValueError(f"the prior's standard deviation is {self.sd}; it must be above 0")


def prior_of(thresholds: Mapping[str, OwnThreshold]) -> Prior:
    """The prior that some languages' thresholds make for one that is not among them.

    The spread between languages is what is left of the thresholds' variance once their sampling is
    taken off: σ_b² with Σ (x - μ_b)² / (σ_b² + v) equal to its degrees of freedom, languages
    weighed by 1 / (σ_b² + v) (Paule and Mandel 1982). One more language, at `SD_BEFORE_ANY`, is
    counted in: from three languages σ_b² alone is often 0, and such a prior is worse than none.
    What is returned is the distribution of the *next* language: σ_b² and the variance of μ_b.

    Args:
        thresholds: by language, at least one; each from its own evidence alone.

    Raises:
        ValueError: no language, or a threshold that is not finite, or one without a spread.
    """
    if not thresholds:
        raise ValueError("no other languages' thresholds were given; a prior needs at least one")
    for language, own in thresholds.items():
        if not (math.isfinite(own.threshold) and math.isfinite(own.sd) and own.sd > 0):
            raise ValueError(
                f"the threshold of `{language}` is {own.threshold} with a standard deviation of "
                f"{own.sd}; both must be finite, the second above 0"
            )
    values = np.array([own.threshold for own in thresholds.values()])
    variances = np.array([own.sd**2 for own in thresholds.values()])
    between = _variance_between(values, variances)
    weights = 1 / (between + variances)
    return Prior(
        mean=float(weights @ values / weights.sum()),
        sd=math.sqrt(between + 1 / float(weights.sum())),
        languages=tuple(thresholds),
    )


def prior_without(language: str, thresholds: Mapping[str, OwnThreshold]) -> Prior:
    """`prior_of` all languages but one: that one must not be its own prior.

    Raises:
        ValueError: as `prior_of`.
    """
    return prior_of({la: own for la, own in thresholds.items() if la != language})


def _variance_between(values: np.ndarray, variances: np.ndarray) -> float:
    typical = float(variances.mean())

    def excess(between: float) -> float:
        weights = 1 / (between + variances)
        mean = weights @ values / weights.sum()
        before_any = (SD_BEFORE_ANY**2 + typical) / (between + typical)
        return float(weights @ (values - mean) ** 2) + before_any - len(values)

    if excess(0.0) <= 0:
        return 0.0
    # at this much the squares make less than one, and so does the language that is counted in
    most = 2 * (float(((values - values.mean()) ** 2).sum()) + SD_BEFORE_ANY**2)
    return float(brentq(excess, 0.0, most))
