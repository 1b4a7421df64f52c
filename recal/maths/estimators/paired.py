"""`paired`: class means with the examples' source translations as a control variate."""

from __future__ import annotations

import math

from recal.maths.evidence import Evidence, Sources, missing
from recal.maths.source import SourceStatistics
from recal.maths.spread import mean_variance, sd_within
from recal.maths.threshold import ThresholdEstimate
from recal.maths.two_class import FloatArray

NAME = "paired"

RHO_BEFORE_ANY = 0.3
"""Correlation of a score with its source's within a class, until it is estimated: English
translations of real prompts had .14 to .35 (`python -m benchmarks.science.thresholds`). Too high
a guess is worse than none: it adds the translations' luck to the examples' own."""


def paired(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """The midpoint of class means from which the examples' own luck is taken off.

    An example that scores high in the source language will score high in translation too, so that
    of its score c·(source score - class mean of the source) is luck of the draw, c = ρ·σ_T/σ_S.
    What is left has the variance of the midpoint times 1 - ρ².

    Raises:
        ValueError: a class has no example, or the source translations' scores are not given.

    Source: control variates, e.g. Lavenberg and Welch 1981, Management Science 27; ρ is pooled
    over other languages, never taken from these few examples.
    """
    labelled = evidence.labels_for(NAME)
    given = evidence.sources
    if given is None:
        raise missing(
            NAME,
            "scores of the examples' source translations",
            "one for each, or use `midpoint`",
        )
    rho = RHO_BEFORE_ANY if given.rho is None else given.rho
    sd = sd_within(labelled, source.sd_within)
    c = rho * sd / source.sd_within
    harmful = _controlled(labelled.harmful, given.harmful, c, _centre(given, source, harmful=True))
    harmless = _controlled(
        labelled.harmless, given.harmless, c, _centre(given, source, harmful=False)
    )
    known = given.mean_harmful is not None and given.mean_harmless is not None
    return ThresholdEstimate(
        threshold=(harmful + harmless) / 2,
        posterior_sd=sd * math.sqrt((1 - rho**2) * mean_variance(labelled)),
        assumptions=(
            "both classes are equally spread, and both mistakes cost the same",
            f"a within-class standard deviation of {sd:.4g}, of the source and these examples",
            f"a correlation of {rho:.3g} with the source's scores within a class, "
            + ("as estimated" if given.rho is not None else "not estimated yet"),
            "the source language's class means are "
            + ("those of its other prompts" if known else "those of the source languages together"),
        ),
    )


def _controlled(own: FloatArray, control: FloatArray, c: float, centre: float) -> float:
    return float((own - c * (control - centre)).mean())


def _centre(given: Sources, source: SourceStatistics, *, harmful: bool) -> float:
    mean = given.mean_harmful if harmful else given.mean_harmless
    if mean is not None:
        return mean
    return source.mean_harmful if harmful else source.mean_harmless
