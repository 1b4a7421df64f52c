"""`auto`: all that is known of a language, weighed by its precision; the default of users."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recal.maths.estimators.empirical_bayes import prior_assumption
from recal.maths.estimators.fusion import PRIOR, WEAK_PRIOR, fuse, limited
from recal.maths.estimators.paired import paired
from recal.maths.estimators.parallel import parallel
from recal.maths.estimators.translate_train import translate_train
from recal.maths.estimators.unlabelled import unlabelled
from recal.maths.evidence import Evidence
from recal.maths.smoothed import crossing, crossing_assumption, is_smoothed
from recal.maths.source import SourceStatistics
from recal.maths.threshold import Estimator, Part, ThresholdEstimate

NAME = "auto"
LABELS = "labels"


@dataclass(frozen=True)
class Auto:
    """Labels, other languages, unlabelled, parallel and translated prompts: whichever are given.

    Labels count with the control variate where their source translations are given. Where no other
    language is known, the source's threshold takes the prior's place, with a spread so wide that
    it matters to a single example only. A part that disagrees with the labels by more than chance
    would have it is weighed as less certain than it says. Inverted labels weigh as any: the
    midpoint of the class means does not depend on which is higher.

    The labels' variance is of the spread of the source and these examples together; from 50
    examples a class their smoothed densities decide, and no class need be normal.
    """

    limit: float = 2.0
    """By how many standard deviations another part may differ from the labels at its own word."""
    weak_sd: float = 2.0
    """Spread of the source's threshold as a prior, in standard deviations within a class."""

    def __post_init__(self) -> None:
        for name in ("limit", "weak_sd"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"`{name}` is {value}; it must be finite and above 0")

    def __call__(self, evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
        """The precision-weighted mean of the parts.

        Raises:
            ValueError: nothing at all is known of the language, or a part of it cannot be used.
        """
        parts, taken = _without_labels(evidence, source)
        if evidence.has_labels:
            labels, of_labels = _labels(evidence, source)
            weak = [] if evidence.prior is not None else [self._weak(source)]
            parts = [labels, *(limited(p, labels, at=self.limit) for p in (*parts, *weak))]
            taken = [*of_labels, *taken]
        if not parts:
            raise ValueError(
                "nothing is known of the language: no examples of both classes, no unlabelled, "
                "parallel or translated prompts, no other language's threshold; give one of them"
            )
        found = fuse(parts)
        return ThresholdEstimate(found.threshold, found.sd, tuple(taken), tuple(parts))

    def _weak(self, source: SourceStatistics) -> Part:
        return Part(WEAK_PRIOR, source.threshold, self.weak_sd * source.sd_within)


def _labels(evidence: Evidence, source: SourceStatistics) -> tuple[Part, tuple[str, ...]]:
    labelled = evidence.labels_for(NAME)
    if evidence.sources is not None and not is_smoothed(labelled):
        found = paired(evidence, source=source)
        return Part(LABELS, found.threshold, found.posterior_sd), found.assumptions
    own = crossing(labelled, source.sd_within)
    return Part(LABELS, own.threshold, own.sd), (crossing_assumption(labelled),)


def _without_labels(evidence: Evidence, source: SourceStatistics) -> tuple[list[Part], list[str]]:
    given: dict[str, tuple[object, Estimator]] = {
        "unlabelled": (evidence.unlabelled, unlabelled),
        "parallel": (evidence.parallel, parallel),
        "translated": (evidence.translated, translate_train),
    }
    parts, taken = [], []
    if evidence.prior is not None:
        parts.append(Part(PRIOR, evidence.prior.mean, evidence.prior.sd))
        taken.append(prior_assumption(evidence.prior))
    for name, (scores, estimator) in given.items():
        if scores is not None:
            estimate = estimator(evidence, source=source)
            parts.append(Part(name, estimate.threshold, estimate.posterior_sd))
            taken.extend(estimate.assumptions)
    return parts, list(dict.fromkeys(taken))
