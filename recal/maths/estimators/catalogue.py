"""Every estimator by the name under which calibrations record it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from recal.maths.estimators import (
    auto,
    bias_only,
    conformal,
    empirical_bayes,
    midpoint,
    paired,
    paper,
    parallel,
    translate_train,
    unlabelled,
)
from recal.maths.threshold import Estimator

ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        auto.NAME: auto.Auto(),
        bias_only.NAME: bias_only.bias_only,
        conformal.NAME: conformal.Conformal(),
        empirical_bayes.NAME: empirical_bayes.empirical_bayes,
        midpoint.NAME: midpoint.Midpoint(),
        paired.NAME: paired.paired,
        paper.NAME: paper.paper_f1,
        parallel.NAME: parallel.parallel,
        translate_train.NAME: translate_train.translate_train,
        unlabelled.NAME: unlabelled.unlabelled,
    }
)
"""A new estimator is a callable with the signature of `Estimator`, in a file of its own, and a line
here; one with settings is a frozen dataclass that was made with them."""


def estimator_of(name: str) -> Estimator:
    """The estimator of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator `{name}`; choose one of {', '.join(sorted(ESTIMATORS))}")
    return ESTIMATORS[name]
