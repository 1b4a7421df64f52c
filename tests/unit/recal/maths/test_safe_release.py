"""Released harmful prompts lose refusals no more often than allowed, whatever the scores are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recal.maths.safe_release import losses_allowed, safe_release

ALPHA = 0.02
Rule = Callable[[np.ndarray, np.ndarray], float | None]


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Harmful scores, skewed; the lower one lies, the seldomer the model refuses it by itself."""
    scores = 1.0 - rng.gamma(2.0, 1.0, n)
    return scores, rng.random(n) < np.clip(0.9 + 0.1 * scores, 0.2, 1.0)


def lost_by(rule: Rule, *, n: int, draws: int = 3000) -> float:
    """Mean share of new harmful prompts that a rule loses, over draws of its rows."""
    rng = np.random.default_rng(0)
    new, refused = drawn(rng, 20_000)
    found = []
    for _ in range(draws):
        threshold = rule(*drawn(rng, n))
        found.append(0.0 if threshold is None else float((refused & (new <= threshold)).mean()))
    return float(np.mean(found))


def bounded(scores: np.ndarray, lost: np.ndarray) -> float | None:
    return safe_release(0.0, scores, lost, ALPHA)


def in_sample(scores: np.ndarray, lost: np.ndarray) -> float | None:
    """As many losses as α of the rows at hand: what a rate looks like without its noise."""
    below = np.sort(scores[lost])
    return float(np.nextafter(below[int(ALPHA * len(scores))], -np.inf))


@pytest.mark.parametrize("n", [49, 60, 120])
def test_new_prompts_are_lost_no_more_often_than_allowed(n: int) -> None:
    assert 0.0 < lost_by(bounded, n=n) <= ALPHA + 0.001


def test_without_the_bound_or_by_the_rate_at_hand_they_are() -> None:
    assert lost_by(lambda scores, lost: 0.0, n=60, draws=1) > 10 * ALPHA
    assert lost_by(in_sample, n=60) > 1.3 * ALPHA


def test_what_would_not_be_lost_holds_nothing_up() -> None:
    scores = np.linspace(-3.0, 3.0, 60)
    assert safe_release(0.5, scores, np.zeros(60, dtype=bool), ALPHA) == 0.5
    high = scores > 0.5
    assert safe_release(0.5, scores, high, ALPHA) == 0.5


def test_the_threshold_falls_to_just_below_the_first_that_may_not_be_lost() -> None:
    scores = np.arange(60.0)
    lost = scores == 10.0
    found = safe_release(30.0, scores, lost, ALPHA)
    assert found is not None
    assert found < 10.0 == np.nextafter(found, np.inf)
    # one of 99 may be lost, and the second not
    scores, lost = np.arange(99.0), np.isin(np.arange(99), (10, 20))
    found = safe_release(30.0, scores, lost, ALPHA)
    assert found is not None
    assert np.nextafter(found, np.inf) == 20.0


def test_equal_scores_are_lost_together() -> None:
    scores = np.array([5.0] * 4 + [9.0] * 95)
    found = safe_release(7.0, scores, scores == 5.0, ALPHA)
    assert found is not None
    assert found < 5.0


@pytest.mark.parametrize(("n", "allowed"), [(48, -1), (49, 0), (98, 0), (99, 1), (499, 9)])
def test_so_many_may_be_lost(n: int, allowed: int) -> None:
    assert losses_allowed(n, ALPHA) == allowed


def test_too_few_rows_release_nothing_even_if_none_was_lost() -> None:
    assert safe_release(0.0, np.zeros(48), np.zeros(48, dtype=bool), ALPHA) is None
    assert safe_release(0.0, np.zeros(49), np.zeros(49, dtype=bool), ALPHA) == 0.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_a_share_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        safe_release(0.0, np.zeros(60), np.zeros(60, dtype=bool), alpha)


def test_flags_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="60 scores and 59 of `lost`"):
        safe_release(0.0, np.zeros(60), np.zeros(59, dtype=bool), ALPHA)
