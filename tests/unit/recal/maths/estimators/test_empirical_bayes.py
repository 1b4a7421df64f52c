"""Shrinking toward other languages: never worse than the prior, or than the labels, on average."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.estimators.empirical_bayes import empirical_bayes
from recal.maths.estimators.midpoint import Midpoint
from recal.maths.evidence import Evidence
from recal.maths.prior import Prior
from tests.unit.recal.maths.estimators.evidences import SOURCE, labelled

MEAN, SD = -1.0, 0.5


def squared_errors(k: int, prior: Prior, *, n: int = 3000) -> dict[str, float]:
    """Mean squared error of the prior alone, the labels alone and both, over languages."""
    rng = np.random.default_rng(k)
    errors = []
    for shift in rng.normal(MEAN, SD, size=n):
        evidence = labelled(k, rng, shift=shift)
        with_prior = Evidence(evidence.harmful, evidence.harmless, prior=prior)
        errors.append(
            (
                prior.mean - shift,
                Midpoint()(evidence, source=SOURCE).threshold - shift,
                empirical_bayes(with_prior, source=SOURCE).threshold - shift,
            )
        )
    return dict(zip(("prior", "labels", "both"), (np.array(errors) ** 2).mean(axis=0), strict=True))


@pytest.mark.parametrize("k", [1, 2, 4, 16])
def test_it_is_never_worse_than_its_prior_nor_than_its_labels_in_expectation(k: int) -> None:
    error = squared_errors(k, Prior(MEAN, SD))
    assert error["both"] < error["prior"]
    assert error["both"] < error["labels"]


def test_with_a_prior_that_is_wrong_it_is_worse_than_its_labels() -> None:
    error = squared_errors(4, Prior(MEAN + 2.0, SD / 4))
    assert error["both"] > error["labels"]


@pytest.mark.parametrize("k", [1, 4])
def test_its_spread_is_the_error_that_it_makes(k: int) -> None:
    rng = np.random.default_rng(0)
    said = []
    for _ in range(300):
        evidence = labelled(k, rng)
        with_prior = Evidence(evidence.harmful, evidence.harmless, prior=Prior(MEAN, SD))
        said.append(empirical_bayes(with_prior, source=SOURCE).posterior_sd ** 2)
    assert np.mean(said) == pytest.approx(squared_errors(k, Prior(MEAN, SD))["both"], rel=0.1)


def test_by_hand_at_k_2() -> None:
    evidence = Evidence([1.0, 1.0], [-1.0, -1.0], prior=Prior(2.0, 0.5))
    # spread of these examples: √(6 · 1 / (6 + 2)); midpoint 0 with variance 0.75 / 4
    own, prior = 0.75 / 4, 0.25
    found = empirical_bayes(evidence, source=SOURCE)
    assert found.threshold == pytest.approx(2.0 * own / (own + prior))
    assert found.posterior_sd == pytest.approx((own * prior / (own + prior)) ** 0.5)


def test_the_prior_is_named_with_its_languages() -> None:
    evidence = Evidence([1.0], [-1.0], prior=Prior(0.3, 0.5, ("am", "yo")))
    assumptions = empirical_bayes(evidence, source=SOURCE).assumptions
    assert any("of am, yo" in sentence and "0.3 ± 0.5" in sentence for sentence in assumptions)
