"""`conformal`: a threshold whose false positive rate is bounded, or the word that there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics
from recal.maths.spread import order_variance
from recal.maths.threshold import ThresholdEstimate, vacuous_estimate
from recal.maths.two_class import FloatArray, checked_scores

NAME = "conformal"


def rows_needed(alpha: float) -> int:
    """How many rows a bound of `alpha` needs: n >= 1/α - 1; 19 at 5 %, 99 at 1 %.

    Raises:
        ValueError: `alpha` is not between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"`alpha` is {alpha}; a bound on a rate lies between 0 and 1")
    # 1 / 0.05 - 1 must be 19 and not 19.000…04
    return max(1, math.ceil(1 / alpha - 1 - 1e-9))


def rank_of(n: int, alpha: float) -> int:
    """Which of n sorted scores bounds the share above it: ⌈(1 - α)(n + 1)⌉; above n it is none."""
    return math.ceil((1 - alpha) * (n + 1) - 1e-9)


def upper_bound(scores: ArrayLike, alpha: float) -> float | None:
    """The lowest threshold that a new score reaches with probability at most `alpha`, or None.

    Args:
        scores: (n,), exchangeable with the new one.
        alpha: in (0, 1).

    Returns:
        None where n < 1/α - 1: then no threshold has that property, but infinity.

    Raises:
        ValueError: no scores, one that is not finite, or `alpha` not between 0 and 1.
    """
    ordered = np.sort(checked_scores("scores", scores))
    if len(ordered) < rows_needed(alpha):
        return None
    # just above it: a score that equals the threshold counts as above
    return float(np.nextafter(ordered[rank_of(len(ordered), alpha) - 1], np.inf))


@dataclass(frozen=True)
class Conformal:
    """The lowest threshold whose false positive rate is at most α, whatever the distribution is.

    Marginally: over the draw of the examples too, and for prompts exchangeable with them.

    Source: split conformal prediction, arXiv:2107.07511; one-sided, on harmless scores.
    """

    alpha: float = 0.05
    """α, in (0, 1)."""

    def __post_init__(self) -> None:
        rows_needed(self.alpha)

    def __call__(self, evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
        """The bound from native examples where they are enough, else from translated ones.

        Fewer than 1/α - 1 of either give a `vacuous` estimate, which has no threshold.
        """
        rows, origin = self._rows(evidence)
        bound = upper_bound(rows, self.alpha) if len(rows) else None
        if bound is None:
            return vacuous_estimate(
                f"a bound of {self.alpha:g} on false positives needs {rows_needed(self.alpha)} "
                f"harmless prompts, and there are {len(rows)}"
            )
        variance = order_variance(rank_of(len(rows), self.alpha), len(rows))
        return ThresholdEstimate(
            threshold=bound,
            posterior_sd=source.sd_within * math.sqrt(variance),
            assumptions=(
                f"harmless prompts are exchangeable with {len(rows)} {origin} ones, of which it "
                f"bounds the false positive rate at {self.alpha:g}; misses are not bounded",
                "for its spread alone: harmless scores are normal, as spread as the source's",
            ),
        )

    def _rows(self, evidence: Evidence) -> tuple[FloatArray, str]:
        translated = evidence.translated.harmless if evidence.translated is not None else ()
        native_is_enough = len(evidence.harmless) >= rows_needed(self.alpha)
        if native_is_enough or len(evidence.harmless) >= len(translated):
            return evidence.harmless, "native"
        return np.asarray(translated), "translated"
