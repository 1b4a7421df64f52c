"""`paper_f1`: the released rule of the paper, kept to compare with."""

from __future__ import annotations

import math

import numpy as np

from recal.maths.candidates import Candidates
from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics
from recal.maths.spread import order_variance
from recal.maths.threshold import ThresholdEstimate

NAME = "paper_f1"


def paper_f1(evidence: Evidence, *, source: SourceStatistics) -> ThresholdEstimate:
    """The threshold of the best in-sample F1, with both classes weighted by one half.

    Candidates are the midpoints between consecutive distinct scores, one below all, one above all;
    the first (lowest) of equally good ones wins, so inverted classes flag nearly everything. For
    separable classes that is the midpoint between the highest harmless and the lowest harmful
    score; `posterior_sd` is that statistic's under equal normal classes, which shrinks slowly in k.

    Raises:
        ValueError: a class has no example.

    Source: arXiv:2606.01196, its released code, which takes the outer two candidates in the
    scores' own precision.
    """
    candidates = Candidates.of(*evidence.labels_for(NAME))
    variance = sum(order_variance(n, n) for n in (candidates.n_harmful, candidates.n_harmless))
    return ThresholdEstimate(
        threshold=float(candidates.thresholds[int(np.argmax(candidates.f1))]),
        posterior_sd=source.sd_within * math.sqrt(variance) / 2,
        assumptions=(
            "both classes are normal and, in these examples, do not overlap",
            f"a within-class standard deviation of {source.sd_within:.4g}, as in the source",
        ),
    )
