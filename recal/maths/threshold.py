"""Thresholds: estimators from a few labelled scores behind one interface, and the zones around one.

A new estimator is a callable with the signature of `Estimator` and a name in `ESTIMATORS`; one that
needs more than labelled scores is a frozen dataclass that was made with it (as `Midpoint` is).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from recal.maths.source import SourceStatistics
from recal.maths.two_class import FloatArray, checked_scores

_MARGIN = 1e-6
_MAX_LOSS = 0.01
_ABSCISSAE = np.linspace(-12.0, 12.0, 4801)


class ThresholdEstimate(NamedTuple):
    """A threshold, and how far to trust it."""

    threshold: float
    """τ̂: harmful where score >= τ̂, in the score's unit."""
    posterior_sd: float
    """s_τ, the estimate's own standard deviation under the assumptions, at least 0."""
    assumptions: tuple[str, ...]
    """What was taken for granted, one sentence each, for the calibration's record."""


class Zone(NamedTuple):
    """The two thresholds of one language; between them the model is left untouched."""

    steer: float
    """τ_hi: steered at or above it."""
    release: float
    """τ_lo, at most `steer`: released at or below it."""


class Estimator(Protocol):
    """How a language's threshold is estimated from a few of its examples."""

    def __call__(
        self, harmful_scores: ArrayLike, harmless_scores: ArrayLike, *, source: SourceStatistics
    ) -> ThresholdEstimate:
        """Estimate the threshold.

        Args:
            harmful_scores: (k,), at least one.
            harmless_scores: (m,), at least one; k and m may differ.
            source: what the source languages' scores look like.

        Raises:
            ValueError: a class is empty, or a score is not finite.
        """


def paper_f1(
    harmful_scores: ArrayLike, harmless_scores: ArrayLike, *, source: SourceStatistics
) -> ThresholdEstimate:
    """The threshold of the best in-sample F1, with both classes weighted by one half.

    Candidates are the midpoints between consecutive distinct scores, one below all, one above all;
    the first (lowest) of equally good ones wins, so inverted classes flag nearly everything. For
    separable classes that is the midpoint between the highest harmless and the lowest harmful
    score; `posterior_sd` is that statistic's under equal normal classes, which shrinks slowly in k.

    Raises:
        ValueError: a class is empty, or a score is not finite.

    Source: arXiv:2606.01196, its released code, which takes the outer two candidates in the
    scores' own precision.
    """
    sample = _Sample.of(harmful_scores, harmless_scores)
    variance = _variance_of_largest(sample.n_harmful) + _variance_of_largest(sample.n_harmless)
    return ThresholdEstimate(
        threshold=float(sample.candidates[int(np.argmax(sample.f1))]),
        posterior_sd=source.sd_within * math.sqrt(variance) / 2,
        assumptions=(
            "both classes are normal and, in these examples, do not overlap",
            f"a within-class standard deviation of {source.sd_within:.4g}, as in the source",
        ),
    )


@dataclass(frozen=True)
class Midpoint:
    """The midpoint of the class means; optimal for equal spreads, priors and costs."""

    sd_within: float | None = None
    """The target's standard deviation within a class, where known; None: the source's."""

    def __post_init__(self) -> None:
        sd = self.sd_within
        if sd is not None and not (math.isfinite(sd) and sd > 0):
            raise ValueError(f"`sd_within` is {sd}; it must be finite and above 0")

    def __call__(
        self, harmful_scores: ArrayLike, harmless_scores: ArrayLike, *, source: SourceStatistics
    ) -> ThresholdEstimate:
        """Estimate the threshold, with the standard deviation σ/√(2k) at k of each class.

        Raises:
            ValueError: a class is empty, or a score is not finite.
        """
        harmful = checked_scores("harmful_scores", harmful_scores)
        harmless = checked_scores("harmless_scores", harmless_scores)
        sd = source.sd_within if self.sd_within is None else self.sd_within
        origin = "as in the source" if self.sd_within is None else "as given"
        return ThresholdEstimate(
            threshold=float(harmful.mean() + harmless.mean()) / 2,
            posterior_sd=sd * math.sqrt(1 / len(harmful) + 1 / len(harmless)) / 2,
            assumptions=(
                "both classes are equally spread, and both mistakes cost the same",
                f"a within-class standard deviation of {sd:.4g}, {origin}",
            ),
        )


ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {"midpoint": Midpoint(), "paper_f1": paper_f1}
)
"""Every estimator by the name under which calibrations record it."""


def estimator_of(name: str) -> Estimator:
    """The estimator of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator `{name}`; choose one of {', '.join(sorted(ESTIMATORS))}")
    return ESTIMATORS[name]


def source_threshold(
    harmful_scores: ArrayLike, harmless_scores: ArrayLike, *, standard_errors: float = 1.645
) -> float:
    """The lowest threshold whose balanced accuracy cannot be told from the best one's.

    Balanced accuracy (and so Youden's J) is flat around its maximum, and which point of the flat
    part is highest is chance: so the safest of them is taken, one whose loss is within a few
    standard errors and never above 0.01. The candidates are `paper_f1`'s.

    Args:
        harmful_scores: (n,) of the source languages together; many.
        harmless_scores: (m,).
        standard_errors: of the best balanced accuracy, at least 0. The default is a one-sided test
            at 5 %; 0 takes the maximum itself, the lowest of equal ones.

    Raises:
        ValueError: a class is empty, a score is not finite, or `standard_errors` is negative.
    """
    if not standard_errors >= 0:
        raise ValueError(f"`standard_errors` is {standard_errors}; it must be at least 0")
    sample = _Sample.of(harmful_scores, harmless_scores)
    accuracy = sample.balanced_accuracy
    best = int(np.argmax(accuracy))
    loss = min(standard_errors * sample.standard_error(best), _MAX_LOSS)
    return float(sample.candidates[int(np.argmax(accuracy >= accuracy[best] - loss))])


def zone(estimate: ThresholdEstimate, routing: str, c: float = 1.0) -> Zone:
    """The steer and release thresholds around an estimate.

    Args:
        estimate: τ̂ and s_τ.
        routing: `two_way`: steer and release at τ̂, nothing is left untouched (the paper's).
            `three_zone`: steer at τ̂, release only at or below τ̂ - c·s_τ, because a harmful prompt
            that is released ends up less safe than without us.
        c: width of the untouched zone in posterior standard deviations, at least 0; unused by
            `two_way`.

    Raises:
        ValueError: an unknown routing; `c`, τ̂ or s_τ not finite, or `c` or s_τ negative.
    """
    threshold, sd = estimate.threshold, estimate.posterior_sd
    if not (math.isfinite(threshold) and math.isfinite(sd) and sd >= 0):
        raise ValueError(f"the estimate is {threshold} with a standard deviation of {sd}")
    if not (math.isfinite(c) and c >= 0):
        raise ValueError(f"`c` is {c}; it must be finite and at least 0")
    if routing == "two_way":
        return Zone(steer=threshold, release=threshold)
    if routing == "three_zone":
        return Zone(steer=threshold, release=threshold - c * sd)
    raise ValueError(f"no routing `{routing}`; choose `two_way` or `three_zone`")


class _Sample(NamedTuple):
    """Candidates with the number of each class at or above them; counts keep ties exact."""

    candidates: FloatArray
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    n_harmful: int
    n_harmless: int

    @classmethod
    def of(cls, harmful_scores: ArrayLike, harmless_scores: ArrayLike) -> _Sample:
        harmful = np.sort(checked_scores("harmful_scores", harmful_scores))
        harmless = np.sort(checked_scores("harmless_scores", harmless_scores))
        distinct = np.unique(np.concatenate([harmful, harmless]))
        between = (distinct[:-1] + distinct[1:]) / 2
        candidates = np.concatenate([distinct[:1] - _MARGIN, between, distinct[-1:] + _MARGIN])
        return cls(
            candidates=candidates,
            true_positives=len(harmful) - np.searchsorted(harmful, candidates),
            false_positives=len(harmless) - np.searchsorted(harmless, candidates),
            n_harmful=len(harmful),
            n_harmless=len(harmless),
        )

    @property
    def f1(self) -> FloatArray:
        hits = self.true_positives * self.n_harmless
        alarms = self.false_positives * self.n_harmful
        return np.asarray(2 * hits / (hits + alarms + self.n_harmful * self.n_harmless))

    @property
    def balanced_accuracy(self) -> FloatArray:
        hits = self.true_positives * self.n_harmless
        rejections = (self.n_harmless - self.false_positives) * self.n_harmful
        return np.asarray((hits + rejections) / (2 * self.n_harmful * self.n_harmless))

    def standard_error(self, index: int) -> float:
        tpr = float(self.true_positives[index]) / self.n_harmful
        fpr = float(self.false_positives[index]) / self.n_harmless
        variance = tpr * (1 - tpr) / self.n_harmful + fpr * (1 - fpr) / self.n_harmless
        return math.sqrt(variance) / 2


def _variance_of_largest(n: int) -> float:
    """Variance of the largest of n standard normal draws."""
    log_density = math.log(n) + norm.logpdf(_ABSCISSAE) + (n - 1) * norm.logcdf(_ABSCISSAE)
    density = np.exp(log_density)
    mean = np.trapezoid(_ABSCISSAE * density, _ABSCISSAE)
    return float(np.trapezoid((_ABSCISSAE - mean) ** 2 * density, _ABSCISSAE))
