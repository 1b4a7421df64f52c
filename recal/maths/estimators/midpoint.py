"""`midpoint`: halfway between the class means."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics
from recal.maths.spread import mean_variance
from recal.maths.threshold import ThresholdEstimate

NAME = "midpoint"


@dataclass(frozen=True)
class Midpoint:
    """The midpoint of the class means; optimal for equal spreads, priors and costs."""

    sd_within: float | None = None
    """The target's standard deviation within a class, where known; None: the source's."""

    def __post_init__(self) -> None:
        sd = self.sd_within
        if sd is not None and not (math.isfinite(sd) and sd > 0):
            raise ValueError(f"`sd_within` is {sd}; it must be finite and above 0")

    def __call__(self, evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
        """Estimate the threshold, with the standard deviation σ/√(2k) at k of each class.

        Raises:
            ValueError: a class has no example.
        """
        labelled = evidence.labels_for(NAME)
        sd = source.sd_within if self.sd_within is None else self.sd_within
        origin = "as in the source" if self.sd_within is None else "as given"
        return ThresholdEstimate(
            threshold=float(labelled.harmful.mean() + labelled.harmless.mean()) / 2,
            posterior_sd=sd * math.sqrt(mean_variance(labelled)),
            assumptions=(
                "both classes are equally spread, and both mistakes cost the same",
                f"a within-class standard deviation of {sd:.4g}, {origin}",
            ),
        )
