"""The control variate: source translations take their share of luck out of the class means."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.estimators.midpoint import Midpoint
from recal.maths.estimators.paired import paired
from recal.maths.evidence import Evidence, Sources
from tests.unit.recal.maths.estimators.evidences import SOURCE, paired_with_sources


def variances(rho: float, said: float, *, k: int = 30, n: int = 3000) -> tuple[float, float]:
    """Of the midpoint, without and with the control."""
    rng = np.random.default_rng(int(100 * rho))
    draws = [paired_with_sources(k, rng, rho=rho, said=said) for _ in range(n)]
    plain = [Midpoint()(each, source=SOURCE).threshold for each in draws]
    controlled = [paired(each, source=SOURCE).threshold for each in draws]
    return float(np.var(plain)), float(np.var(controlled))


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.9])
def test_the_variance_falls_to_one_less_rho_squared(rho: float) -> None:
    plain, controlled = variances(rho, rho)
    assert controlled / plain == pytest.approx(1 - rho**2, abs=0.04)


def test_a_correlation_that_is_not_there_makes_it_worse() -> None:
    plain, controlled = variances(0.0, 0.8)
    assert controlled > 1.4 * plain


def test_the_spread_that_it_says_is_the_one_that_it_has() -> None:
    rng = np.random.default_rng(0)
    found = [
        paired(paired_with_sources(4, rng, rho=0.6, said=0.6), source=SOURCE) for _ in range(2000)
    ]
    seen = np.std([one.threshold for one in found])
    assert np.mean([one.posterior_sd for one in found]) == pytest.approx(seen, rel=0.1)


def test_by_hand() -> None:
    # one example a class; the spread is the source's, so c = ρ
    sources = Sources([3.0], [-2.0], rho=0.5)
    evidence = Evidence([1.5], [-0.5], sources=sources)
    found = paired(evidence, source=SOURCE)
    assert found.threshold == pytest.approx(((1.5 - 0.5 * (3.0 - 2.0)) + (-0.5)) / 2)
    assert found.posterior_sd == pytest.approx((0.75 / 2) ** 0.5)


def test_a_source_language_with_means_of_its_own_is_held_against_those() -> None:
    # the source language lies 1 above the others: nothing of that is the examples' luck
    evidence = Evidence(
        [1.0], [-1.0], sources=Sources([3.0], [-1.0], mean_harmful=3.0, mean_harmless=-1.0)
    )
    assert paired(evidence, source=SOURCE).threshold == 0.0
    others = Evidence([1.0], [-1.0], sources=Sources([3.0], [-1.0], rho=0.5))
    assert paired(others, source=SOURCE).threshold == pytest.approx(-0.5)


def test_it_says_whether_the_correlation_was_estimated() -> None:
    for rho, words in ((None, "not estimated yet"), (0.7, "0.7 with")):
        evidence = Evidence([1.0], [-1.0], sources=Sources([2.0], [-2.0], rho=rho))
        assert any(words in a for a in paired(evidence, source=SOURCE).assumptions)
