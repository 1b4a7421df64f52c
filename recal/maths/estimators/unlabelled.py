"""`unlabelled`: the source's class midpoint, at the same place among unlabelled scores."""

from __future__ import annotations

import math

from recal.maths.evidence import Evidence, missing
from recal.maths.source import SourceStatistics
from recal.maths.threshold import ThresholdEstimate

NAME = "unlabelled"


def unlabelled(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """Equalise z: τ = μ_T + σ_T z₀, with z₀ = (m - μ_S) / σ_S and μ, σ over both classes.

    m is the midpoint of the source's class means. Not its threshold: that is the safest one of a
    flat stretch, which lies on the slope of a language whose classes lie closer together. μ_S and
    σ_S are what the source's scores would have with the share of harmful prompts that is expected
    here. If the language's scores are the source's, stretched and moved, and that share is right, τ
    is the language's own midpoint. A share that is wrong by δ moves τ by δ times the distance of
    the class means, so the share's uncertainty goes into the spread.

    Raises:
        ValueError: there are no unlabelled scores, or they do not vary.
    """
    given = evidence.unlabelled
    if given is None:
        raise missing(NAME, "scores of unlabelled prompts", "at least 100 if possible")
    mean, sd = float(given.scores.mean()), float(given.scores.std())
    if sd <= 0:
        raise ValueError(
            f"all {len(given.scores)} unlabelled scores are {mean:.4g}; give different prompts"
        )
    share = given.harmful_share
    gap = source.mean_harmful - source.mean_harmless
    source_mean = source.mean_harmless + share * gap
    source_sd = math.sqrt(source.sd_within**2 + share * (1 - share) * gap**2)
    z = (source.midpoint - source_mean) / source_sd
    sampling = sd**2 / len(given.scores) * (1 + z**2 / 2)
    of_share = gap * sd / source_sd * given.share_sd
    return ThresholdEstimate(
        threshold=mean + sd * z,
        posterior_sd=math.sqrt(sampling + of_share**2),
        assumptions=(
            f"{share:.0%} of the unlabelled prompts are harmful, give or take {given.share_sd:.0%}",
            "the language's scores are the source's, stretched and moved as a whole",
        ),
    )
