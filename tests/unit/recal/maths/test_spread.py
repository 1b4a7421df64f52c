from __future__ import annotations

import numpy as np
import pytest

from recal.maths.spread import mean_variance, order_variance, sd_within
from recal.maths.two_class import TwoClass


def test_one_example_a_class_says_nothing_of_the_spread() -> None:
    assert sd_within(TwoClass(np.array([9.0]), np.array([-9.0])), 1.5) == pytest.approx(1.5)


def test_many_examples_say_nearly_all_of_it() -> None:
    rng = np.random.default_rng(0)
    wide = TwoClass(rng.normal(0, 3, 400), rng.normal(0, 3, 400))
    assert sd_within(wide, 1.0) == pytest.approx(3.0, rel=0.05)


def test_four_examples_lie_between() -> None:
    rng = np.random.default_rng(1)
    found = [sd_within(TwoClass(rng.normal(0, 2, 4), rng.normal(0, 2, 4)), 1.0) for _ in range(500)]
    assert 1.3 < np.mean(found) < 1.7


def test_drawing_toward_the_source_is_nearer_the_truth_than_either() -> None:
    rng = np.random.default_rng(2)
    errors = []
    for true in rng.uniform(0.7, 1.4, size=2000):
        few = TwoClass(rng.normal(0, true, 4), rng.normal(0, true, 4))
        own = np.sqrt((few.harmful.var(ddof=1) + few.harmless.var(ddof=1)) / 2)
        errors.append([sd_within(few, 1.0) - true, own - true, 1.0 - true])
    ours, own, source = (np.array(errors) ** 2).mean(axis=0)
    assert ours < own
    assert ours < source


def test_the_midpoints_variance_falls_with_both_classes() -> None:
    assert mean_variance(TwoClass(np.zeros(4), np.zeros(4))) == pytest.approx(1 / 8)
    assert mean_variance(TwoClass(np.zeros(1), np.zeros(10**6))) == pytest.approx(1 / 4, abs=1e-5)


@pytest.mark.parametrize(("rank", "n"), [(1, 1), (4, 4), (2, 5), (19, 19), (95, 99)])
def test_the_variance_of_an_order_statistic_is_what_drawing_shows(rank: int, n: int) -> None:
    drawn = np.sort(np.random.default_rng(n).normal(size=(20_000, n)), axis=1)[:, rank - 1]
    assert order_variance(rank, n) == pytest.approx(drawn.var(), rel=0.05)


def test_the_limit_for_many_draws_joins_the_integral() -> None:
    assert order_variance(1000, 1999) == pytest.approx(order_variance(999, 1997), rel=0.01)
    assert order_variance(10**6, 2 * 10**6 - 1) == pytest.approx(np.pi / 2 / (2 * 10**6), rel=1e-3)
