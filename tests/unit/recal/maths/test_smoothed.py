from __future__ import annotations

import numpy as np
import pytest

from recal.maths.metrics import youden_j
from recal.maths.smoothed import MIN_ROWS, crossing, is_smoothed, smoothed_threshold
from recal.maths.two_class import TwoClass


def skewed(rng: np.random.Generator, n: int) -> TwoClass:
    """Most harmful scores lie near the harmless ones, a few far above: as in a weak language."""
    return TwoClass(rng.exponential(2.0, size=n) - 0.5, rng.normal(-1.5, 0.6, size=n))


def mean_j(make: object, n: int) -> tuple[float, float]:
    """Of the smoothed threshold and of the midpoint, on new scores."""
    rng = np.random.default_rng(0)
    unseen = make(rng, 4000)
    found = []
    for _ in range(60):
        seen = make(rng, n)
        midpoint = (seen.harmful.mean() + seen.harmless.mean()) / 2
        found.append(
            (youden_j(*unseen, smoothed_threshold(seen).threshold), youden_j(*unseen, midpoint))
        )
    return tuple(np.mean(found, axis=0))


def test_on_skewed_scores_it_beats_the_midpoint() -> None:
    smooth, midpoint = mean_j(skewed, MIN_ROWS)
    assert smooth > midpoint + 0.03


def test_on_equal_normal_classes_it_costs_next_to_nothing() -> None:
    def normal(rng: np.random.Generator, n: int) -> TwoClass:
        return TwoClass(rng.normal(0.76, 1, n), rng.normal(-0.76, 1, n))

    smooth, midpoint = mean_j(normal, MIN_ROWS)
    assert midpoint - 0.012 < smooth <= midpoint


@pytest.mark.parametrize("gap", [1.5, 2.7])
def test_its_spread_is_what_repeating_the_draw_shows(gap: float) -> None:
    rng = np.random.default_rng(1)
    found = [
        smoothed_threshold(TwoClass(rng.normal(gap / 2, 1, 100), rng.normal(-gap / 2, 1, 100)))
        for _ in range(250)
    ]
    assert np.median([one.sd for one in found]) == pytest.approx(
        np.std([one.threshold for one in found]), rel=0.25
    )


def test_between_classes_that_lie_apart_it_stands_in_the_middle() -> None:
    rng = np.random.default_rng(2)
    apart = TwoClass(rng.normal(10, 1, 60), rng.normal(-10, 1, 60))
    assert abs(smoothed_threshold(apart).threshold) < 1.5


def test_few_rows_are_not_smoothed() -> None:
    rng = np.random.default_rng(3)
    few = skewed(rng, MIN_ROWS - 1)
    assert not is_smoothed(few)
    assert crossing(few, 1.0).threshold == pytest.approx(
        (few.harmful.mean() + few.harmless.mean()) / 2
    )


def test_scores_that_do_not_vary_are_refused() -> None:
    with pytest.raises(ValueError, match="all 60 harmless scores are 0"):
        smoothed_threshold(TwoClass(np.arange(60.0), np.zeros(60)))
