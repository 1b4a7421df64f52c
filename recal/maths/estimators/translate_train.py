"""`translate_train`: the threshold of labelled source prompts that were translated."""

from __future__ import annotations

import math

from recal.maths.evidence import Evidence, missing
from recal.maths.smoothed import crossing, crossing_assumption
from recal.maths.source import SourceStatistics
from recal.maths.threshold import ThresholdEstimate

NAME = "translate_train"

TRANSLATION_SD = 0.2
"""How far translated prompts may lie from a user's own, in standard deviations within a class.
An assumption, not a measurement: what is native is not known before it is collected."""


def translate_train(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """Where the scores of translated harmful and harmless prompts cross.

    By the class means, or from 50 rows of each by their smoothed densities. The threshold alone; a
    readout that is fitted on translations is another readout, see `recal.maths.translations`.

    Raises:
        ValueError: there are no translated scores.
    """
    given = evidence.translated
    if given is None:
        raise missing(NAME, "scores of translated labelled prompts", "a hundred a class")
    found = crossing(given, source.sd_within)
    return ThresholdEstimate(
        threshold=found.threshold,
        posterior_sd=math.hypot(found.sd, TRANSLATION_SD * source.sd_within),
        assumptions=(
            "users write as the translator does, give or take "
            f"{TRANSLATION_SD:g} standard deviations within a class",
            crossing_assumption(given),
        ),
    )
