"""Released harmful prompts lose refusals no more often than allowed, whatever the scores are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import beta

from recal.maths.safe_release import DOUBT, losses_allowed, rows_to_release, safe_release

ALPHA = 0.02
Rule = Callable[[np.ndarray, np.ndarray], float | None]


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Harmful scores, skewed; the lower one lies, the seldomer the model refuses it by itself."""
    scores = 1.0 - rng.gamma(2.0, 1.0, n)
    return scores, rng.random(n) < np.clip(0.9 + 0.1 * scores, 0.2, 1.0)


def too_often(rule: Rule, *, n: int, draws: int = 2000) -> float:
    """In what share of draws a rule loses more than allowed of all harmful prompts."""
    rng = np.random.default_rng(0)
    new, refused = drawn(rng, 50_000)
    lost = np.sort(new[refused])
    found = []
    for _ in range(draws):
        threshold = rule(*drawn(rng, n))
        n_lost = 0 if threshold is None else np.searchsorted(lost, threshold, side="right")
        found.append(n_lost / len(new) > ALPHA)
    return float(np.mean(found))


def bounded(scores: np.ndarray, lost: np.ndarray) -> float | None:
    return safe_release(0.0, scores, lost, ALPHA)


def in_the_mean(scores: np.ndarray, lost: np.ndarray) -> float:
    """Conformal risk control: at most α on average over draws, which promises nothing of one."""
    below = np.sort(scores[lost])
    return float(np.nextafter(below[int(ALPHA * (len(scores) + 1)) - 1], -np.inf))


@pytest.mark.parametrize("n", [149, 400])
def test_but_for_the_doubt_no_draw_loses_more_than_allowed(n: int) -> None:
    assert too_often(bounded, n=n) <= DOUBT + 0.01


def test_without_the_bound_or_by_one_in_the_mean_many_draws_do() -> None:
    assert too_often(lambda scores, lost: 0.0, n=149, draws=1) == 1.0
    assert too_often(in_the_mean, n=149) > 5 * DOUBT


def test_what_would_not_be_lost_holds_nothing_up() -> None:
    scores = np.linspace(-3.0, 3.0, 160)
    assert safe_release(0.5, scores, np.zeros(160, dtype=bool), ALPHA) == 0.5
    high = scores > 0.5
    assert safe_release(0.5, scores, high, ALPHA) == 0.5


def test_the_threshold_falls_to_just_below_the_first_that_may_not_be_lost() -> None:
    scores = np.arange(160.0)
    found = safe_release(30.0, scores, scores == 10.0, ALPHA)
    assert found is not None
    assert found < 10.0 == np.nextafter(found, np.inf)
    # one of 236 may be lost, and the second not
    scores = np.arange(236.0)
    found = safe_release(30.0, scores, np.isin(scores, (10.0, 20.0)), ALPHA)
    assert found is not None
    assert np.nextafter(found, np.inf) == 20.0


def test_equal_scores_are_lost_together() -> None:
    scores = np.array([5.0] * 4 + [9.0] * 232)
    found = safe_release(7.0, scores, scores == 5.0, ALPHA)
    assert found is not None
    assert found < 5.0


@pytest.mark.parametrize(("n", "allowed"), [(0, -1), (148, -1), (149, 0), (235, 0), (236, 1)])
def test_so_many_may_be_lost(n: int, allowed: int) -> None:
    assert losses_allowed(n, ALPHA) == allowed
    assert (n >= rows_to_release(ALPHA)) == (allowed >= 0)
    if allowed >= 0:
        # Clopper and Pearson's upper limits, of so many and of one more
        limits = [beta.ppf(1 - DOUBT, m + 1, n - m) for m in (allowed, allowed + 1)]
        assert limits[0] <= ALPHA < limits[1]


def test_too_few_rows_release_nothing_even_if_none_was_lost() -> None:
    assert safe_release(0.0, np.zeros(148), np.zeros(148, dtype=bool), ALPHA) is None
    assert safe_release(0.0, np.zeros(149), np.zeros(149, dtype=bool), ALPHA) == 0.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_a_share_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="`alpha` is .* between 0 and 1"):
        safe_release(0.0, np.zeros(60), np.zeros(60, dtype=bool), alpha)


def test_flags_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="60 scores and 59 of `lost`"):
        safe_release(0.0, np.zeros(60), np.zeros(59, dtype=bool), ALPHA)
