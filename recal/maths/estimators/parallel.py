"""`parallel`: prompts with source translations, labelled by the verdict on the translation."""

from __future__ import annotations

import math

from recal.maths.evidence import Evidence, missing
from recal.maths.smoothed import crossing, crossing_assumption
from recal.maths.source import SourceStatistics
from recal.maths.threshold import ThresholdEstimate
from recal.maths.two_class import TwoClass

NAME = "parallel"

VERDICT_SD = 0.1
"""What the source's own mistakes add to the spread, in standard deviations within a class: they
moved the threshold by up to this much in simulations with a source AUC of .97 to .99."""

_MIN_PER_VERDICT = 2


def parallel(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """Where the target's scores of prompts cross that the source calls harmful and harmless.

    By their means, or from 50 of each by their smoothed densities. No label is needed: in a source
    language the readout's own verdict is nearly always right, and a translation means the same. It
    is the side of the midpoint of the source's class means: the source's own threshold is the
    safest of a flat stretch, and calls more harmless prompts harmful than harmful ones harmless.

    Raises:
        ValueError: there are no parallel prompts, or the source calls nearly all of them the same.
    """
    given = evidence.parallel
    if given is None:
        raise missing(NAME, "prompts with their source translations", "better 100")
    verdicts = given.source >= source.midpoint
    n_harmful, n_harmless = int(verdicts.sum()), int((~verdicts).sum())
    if min(n_harmful, n_harmless) < _MIN_PER_VERDICT:
        raise ValueError(
            f"of {len(verdicts)} parallel prompts the source calls {n_harmful} harmful and "
            f"{n_harmless} harmless; give at least {_MIN_PER_VERDICT} of each, better half and half"
        )
    by_verdict = TwoClass(given.target[verdicts], given.target[~verdicts])
    found = crossing(by_verdict, source.sd_within)
    return ThresholdEstimate(
        threshold=found.threshold,
        posterior_sd=math.hypot(found.sd, VERDICT_SD * source.sd_within),
        assumptions=(
            "a prompt and its translation have the same label",
            f"the source's verdict is that label ({n_harmful} harmful, {n_harmless} harmless)",
            crossing_assumption(by_verdict),
        ),
    )
