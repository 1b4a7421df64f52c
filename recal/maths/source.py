"""The source languages' scores in a few numbers: their class means, spread and threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from recal.maths.two_class import TwoClass, checked_scores


@dataclass(frozen=True)
class SourceStatistics:
    """What the source languages' scores look like; every threshold estimator may use it."""

    mean_harmful: float
    """Mean over languages of the harmful mean."""
    mean_harmless: float
    """Mean over languages of the harmless mean."""
    sd_within: float
    """Pooled standard deviation within a class of a language; 1.0 in the project's score unit."""
    threshold: float
    """The source languages' own threshold, τ₀."""

    def __post_init__(self) -> None:
        for name in ("mean_harmful", "mean_harmless", "sd_within", "threshold"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"`{name}` of the source is {getattr(self, name)}, not finite")
        if self.sd_within <= 0:
            raise ValueError(f"`sd_within` of the source is {self.sd_within}; it must be above 0")
        if self.mean_harmful <= self.mean_harmless:
            raise ValueError(
                f"the source's harmful mean {self.mean_harmful:.4g} is not above its harmless "
                f"mean {self.mean_harmless:.4g}; the readout is inverted, fit it again"
            )

    @property
    def midpoint(self) -> float:
        """Halfway between the class means."""
        return (self.mean_harmful + self.mean_harmless) / 2


def source_statistics(scores: Mapping[str, TwoClass], *, threshold: float) -> SourceStatistics:
    """Statistics of source scores; every language weighs the same in the means.

    Args:
        scores: by language, (n,) and (m,).
        threshold: τ₀, in the scores' unit.

    Raises:
        ValueError: scores are empty, not finite, without spread, or inverted; or no language.
    """
    sd = pooled_within_sd(scores)
    return SourceStatistics(
        mean_harmful=float(np.mean([np.mean(pair.harmful) for pair in scores.values()])),
        mean_harmless=float(np.mean([np.mean(pair.harmless) for pair in scores.values()])),
        sd_within=sd,
        threshold=threshold,
    )


def pooled_within_sd(scores: Mapping[str, TwoClass]) -> float:
    """The standard deviation within a class of a language, pooled by degrees of freedom.

    Differences between languages do not count: they are what recalibration takes away.

    Args:
        scores: by language, (n,) and (m,).

    Raises:
        ValueError: scores are empty or not finite, no class of a language has two scores, or
            there is no spread.
    """
    cells = list(_cells(scores))
    freedom = sum(len(cell) - 1 for cell in cells)
    squares = sum(float(((cell - cell.mean()) ** 2).sum()) for cell in cells)
    if freedom < 1 or squares <= 0:
        raise ValueError(
            f"{len(cells)} class(es) with {freedom} degrees of freedom and a sum of squares of "
            f"{squares:.3g} have no standard deviation; give at least two different scores"
        )
    return math.sqrt(squares / freedom)


def _cells(scores: Mapping[str, TwoClass]) -> Iterable[np.ndarray]:
    for language, pair in scores.items():
        yield checked_scores(f"harmful of `{language}`", pair.harmful)
        yield checked_scores(f"harmless of `{language}`", pair.harmless)
