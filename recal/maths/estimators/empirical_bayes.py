"""`empirical_bayes`: the class midpoint, shrunk toward where other languages' thresholds lie."""

from __future__ import annotations

import math

from recal.maths.estimators.fusion import PRIOR, fuse
from recal.maths.evidence import Evidence, missing
from recal.maths.prior import Prior
from recal.maths.source import SourceStatistics
from recal.maths.spread import mean_variance, sd_within
from recal.maths.threshold import Part, ThresholdEstimate

NAME = "empirical_bayes"


def empirical_bayes(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """The posterior mean of τ ~ N(μ_b, σ_b²) given the midpoint of the class means.

    τ̂ = μ_b + w (midpoint - μ_b) with w = σ_b² / (σ_b² + v), v the midpoint's own variance. The
    prior's two numbers come from the other languages' midpoints (`recal.maths.prior`).

    Raises:
        ValueError: a class has no example, or there is no prior.
    """
    labelled = evidence.labels_for(NAME)
    if evidence.prior is None:
        raise missing(
            NAME,
            "thresholds of other languages",
            "recalibrating some of them first, or use `midpoint`",
        )
    sd = sd_within(labelled, source.sd_within)
    prior = Part(PRIOR, evidence.prior.mean, evidence.prior.sd)
    midpoint = float(labelled.harmful.mean() + labelled.harmless.mean()) / 2
    parts = (Part("labels", midpoint, sd * math.sqrt(mean_variance(labelled))), prior)
    found = fuse(parts)
    return ThresholdEstimate(
        threshold=found.threshold,
        posterior_sd=found.sd,
        assumptions=(
            "both classes are equally spread, and both mistakes cost the same",
            f"a within-class standard deviation of {sd:.4g}, of the source and these examples",
            prior_assumption(evidence.prior),
        ),
        parts=parts,
    )


def prior_assumption(prior: Prior) -> str:
    """What is taken for granted with a prior, in a sentence."""
    of = f" (of {', '.join(prior.languages)})" if prior.languages else ""
    return (
        f"the language is one like the others{of}, whose thresholds lie at {prior.mean:.4g} ± "
        f"{prior.sd:.4g}"
    )
