"""Conformal coverage by Monte Carlo, and the word `vacuous` where there is no bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recal.maths.estimators.conformal import Conformal, rows_needed, upper_bound
from recal.maths.evidence import Evidence
from recal.maths.metrics import threshold_at_fpr
from recal.maths.threshold import zone
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.estimators.evidences import SOURCE

DISTRIBUTIONS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape),
    "of few values": lambda rng, shape: rng.integers(0, 4, size=shape).astype(float),
}


def false_positive_rate(rows: np.ndarray, new: np.ndarray, bounds: np.ndarray) -> float:
    return float((new >= bounds).mean())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (99, 0.05), (4, 0.25), (30, 0.1)])
def test_a_new_harmless_prompt_is_steered_with_probability_alpha_at_most(
    name: str, n: int, alpha: float
) -> None:
    rng = np.random.default_rng(n)
    rows = DISTRIBUTIONS[name](rng, (8000, n))
    new = DISTRIBUTIONS[name](rng, (8000,))
    bounds = np.array([upper_bound(each, alpha) for each in rows])
    assert false_positive_rate(rows, new, bounds) <= alpha + 3 * math.sqrt(alpha / 8000)


def test_for_continuous_scores_the_bound_is_tight() -> None:
    rng = np.random.default_rng(1)
    rows, new = rng.normal(size=(8000, 19)), rng.normal(size=8000)
    bounds = np.array([upper_bound(each, 0.05) for each in rows])
    assert false_positive_rate(rows, new, bounds) == pytest.approx(0.05, abs=0.01)


def test_the_empirical_quantile_of_the_same_rows_does_not_hold_that_bound() -> None:
    rng = np.random.default_rng(2)
    rows, new = rng.normal(size=(8000, 19)), rng.normal(size=8000)
    bounds = np.array([threshold_at_fpr(each, 0.06) for each in rows])
    assert false_positive_rate(rows, new, bounds) > 0.08


@pytest.mark.parametrize(
    ("alpha", "rows"),
    [(0.05, 19), (0.01, 99), (0.5, 1), (1 / 3, 2), (0.25, 3), (0.2, 4), (0.1, 9), (1 / 49, 48)],
)
def test_the_bound_needs_one_over_alpha_less_one_rows(alpha: float, rows: int) -> None:
    assert rows_needed(alpha) == rows
    scores = np.arange(float(rows))
    assert upper_bound(scores, alpha) > scores.max()
    if rows > 1:
        assert upper_bound(scores[1:], alpha) is None


@pytest.mark.parametrize("k", [1, 4, 18])
def test_too_few_rows_are_vacuous_and_no_number(k: int) -> None:
    found = Conformal()(Evidence(np.ones(k), np.arange(float(k))), source=SOURCE)
    assert found.vacuous
    assert math.isnan(found.threshold)
    assert f"needs 19 harmless prompts, and there are {k}" in found.assumptions[0]


def test_nothing_can_be_decided_by_a_vacuous_estimate() -> None:
    found = Conformal()(Evidence([1.0], [0.0]), source=SOURCE)
    for routing in ("two_way", "three_zone"):
        with pytest.raises(ValueError, match="the estimate is vacuous .* use another estimator"):
            zone(found, routing)


def test_enough_rows_are_not_vacuous() -> None:
    found = Conformal()(Evidence([], np.arange(19.0)), source=SOURCE)
    assert not found.vacuous
    assert zone(found, "two_way").steer == np.nextafter(18.0, np.inf)


def test_no_example_at_all_is_vacuous_too() -> None:
    assert Conformal()(Evidence(), source=SOURCE).vacuous


def test_translations_stand_in_where_native_examples_are_too_few() -> None:
    translated = TwoClass(np.ones(1), np.arange(50.0))
    few = Conformal()(Evidence([1.0], [0.0], translated=translated), source=SOURCE)
    assert "50 translated ones" in few.assumptions[0]
    enough = Conformal()(Evidence([1.0], np.arange(20.0), translated=translated), source=SOURCE)
    assert "20 native ones" in enough.assumptions[0]


def test_the_spread_is_that_of_the_order_statistic() -> None:
    rng = np.random.default_rng(3)
    found = [Conformal()(Evidence([], rng.normal(size=99)), source=SOURCE) for _ in range(1500)]
    seen = np.std([one.threshold for one in found])
    assert found[0].posterior_sd == pytest.approx(seen, rel=0.07)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, np.nan])
def test_an_impossible_bound_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="`alpha` is"):
        Conformal(alpha)
