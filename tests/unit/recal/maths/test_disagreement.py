"""How often two readouts decide differently."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.disagreement import disagreement
from recal.maths.interval import rate_interval


def scores(n: int, seed: int, *, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Two readouts of the same prompts, half of them harmful, each with noise of its own."""
    rng = np.random.default_rng(seed)
    along = np.repeat([0.0, 4.0], n // 2)
    return along + rng.normal(0, noise, n), along + rng.normal(0, noise, n)


def test_prompts_are_counted_by_which_readout_alone_steers() -> None:
    found = disagreement([0, 1, 2, 3, 4], 2.0, [9, 9, 7, 9, 7], 8.0)
    assert (found.n, found.first_only, found.second_only) == (5, 2, 2)
    assert (found.n_apart, found.share) == (4, 0.8)
    assert found.interval() == rate_interval(4, 5)


def test_a_score_at_the_threshold_is_steered() -> None:
    assert disagreement([1.0], 1.0, [2.0], 3.0).first_only == 1
    assert disagreement([1.0], 1.0, [3.0], 3.0).n_apart == 0


def test_a_unit_of_its_own_changes_nothing() -> None:
    one, two = scores(200, 0, noise=1.5)
    assert disagreement(one, 2.0, two, 2.0) == disagreement(one, 2.0, 7 * two - 5, 7 * 2.0 - 5)


def test_readouts_that_disagree_err_at_least_half_as_often() -> None:
    """The theorem: where two differ, one of them is wrong."""
    for seed in range(20):
        one, two = scores(400, seed, noise=3.0)
        labels = np.repeat([False, True], 200)
        errors = [float(np.mean((each >= 2.0) != labels)) for each in (one, two)]
        assert sum(errors) >= disagreement(one, 2.0, two, 2.0).share
        assert disagreement(one, 2.0, two, 2.0).share > 0.1


def test_readouts_that_agree_may_both_be_wrong() -> None:
    """The negative control: agreement says nothing of what both get wrong."""
    labels = np.repeat([False, True], 200)
    inverted = np.where(labels, -1.0, 1.0)
    assert disagreement(inverted, 0.0, inverted, 0.0).n_apart == 0
    assert np.mean((inverted >= 0) == labels) == 0


def test_one_threshold_that_is_off_makes_equal_readouts_disagree() -> None:
    one, _ = scores(400, 0, noise=1.0)
    assert disagreement(one, 2.0, one, 2.0).share == 0
    assert disagreement(one, 2.0, one, 4.0).share > 0.2


def test_the_interval_covers_the_true_share() -> None:
    rng = np.random.default_rng(0)
    one = np.where(rng.random((400, 100)) < 0.3, 1.0, -1.0)
    found = [disagreement(each, 0.0, -np.ones(100), 0.0).interval() for each in one]
    covered = np.mean([each.low <= 0.3 <= each.high for each in found])
    elsewhere = np.mean([each.low <= 0.5 <= each.high for each in found])
    assert 0.92 <= covered <= 0.98
    assert elsewhere < 0.1


@pytest.mark.parametrize(
    ("first", "at", "second", "other", "words"),
    [
        ([], 0.0, [], 0.0, "empty"),
        ([1.0], 0.0, [1.0, 2.0], 0.0, "1 and 2 scores are not of the same prompts"),
        ([np.nan], 0.0, [1.0], 0.0, "`first` holds nan"),
        ([1.0], np.nan, [1.0], 0.0, "`first_threshold` is nan"),
        ([1.0], 0.0, [1.0], np.inf, "`second_threshold` is inf"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    first: list[float], at: float, second: list[float], other: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        disagreement(first, at, second, other)
