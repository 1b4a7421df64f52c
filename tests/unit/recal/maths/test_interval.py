from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.interval import (
    bootstrap_difference,
    difference_interval,
    error_bound_after_no_errors,
    rate_interval,
)

YES, NO = np.ones(30, dtype=bool), np.zeros(30, dtype=bool)


def answers(n: int, yes: int) -> np.ndarray:
    return np.arange(n) < yes


@given(n=st.integers(1, 200), data=st.data())
def test_every_interval_holds_its_rate_and_stays_within_zero_and_one(
    n: int, data: st.DataObject
) -> None:
    successes = data.draw(st.integers(0, n))
    for method in ("wilson", "clopper_pearson"):
        low, high = rate_interval(successes, n, method=method)
        assert 0.0 <= low <= successes / n + 1e-12
        assert successes / n - 1e-12 <= high <= 1.0
        assert low < high


def test_wilson_by_the_textbook() -> None:
    assert rate_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_clopper_pearson_of_no_errors_is_the_rule_of_three() -> None:
    low, high = rate_interval(0, 100, method="clopper_pearson", level=0.90)
    assert (low, high) == pytest.approx((0.0, 0.0295), abs=1e-4)


def test_a_higher_level_is_wider() -> None:
    assert rate_interval(5, 10, level=0.99).low < rate_interval(5, 10, level=0.9).low


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_a_count_that_is_no_rate_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} of {n} is no rate"):
        rate_interval(successes, n)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no method `wald`"):
        rate_interval(1, 2, method="wald")


@pytest.mark.parametrize("level", [0.0, 1.0, 95, np.nan])
def test_an_impossible_level_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="`level` is"):
        rate_interval(1, 2, level=level)


def test_the_difference_keeps_a_width_where_a_rate_is_certain() -> None:
    low, high = difference_interval(YES, NO)
    assert 0.7 < low < 0.9
    assert high == 1.0


def test_newcombes_own_example() -> None:
    found = difference_interval(answers(70, 56), answers(80, 48))
    assert found == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_difference_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    draws = ((rng.random(60) < 0.9, rng.random(50) < 0.3) for _ in range(400))
    intervals = [difference_interval(one, two) for one, two in draws]
    assert np.mean([low <= 0.6 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.03)


def test_the_bootstrap_agrees_with_newcombe_on_many_answers() -> None:
    one, two = answers(400, 300), answers(300, 100)
    found = bootstrap_difference(one, two, rng=np.random.default_rng(0))
    assert found == pytest.approx(difference_interval(one, two), abs=0.01)


def test_the_bootstrap_equals_resampling_the_answers_one_by_one() -> None:
    one, two = answers(40, 30), answers(30, 10)
    rng = np.random.default_rng(1)
    plain = [rng.choice(one, 40).mean() - rng.choice(two, 30).mean() for _ in range(4000)]
    found = bootstrap_difference(one, two, rng=rng, n_resamples=4000)
    assert found == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    def draw(seed: int) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        return bootstrap_difference(answers(97, 60), answers(89, 20), rng=rng)

    assert draw(3) == draw(3)
    assert len({draw(seed) for seed in range(8)}) > 1


def test_pairing_takes_away_what_prompts_share() -> None:
    hard = np.random.default_rng(0).random(200) < 0.5
    other = hard.copy()
    other[:10] = ~other[:10]
    paired, loose = (
        bootstrap_difference(hard, other, rng=np.random.default_rng(0), paired=paired)
        for paired in (True, False)
    )
    assert paired.high - paired.low < (loose.high - loose.low) / 2


def test_paired_groups_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="have 2 and 3 answers"):
        bootstrap_difference(YES[:2], NO[:3], rng=np.random.default_rng(0), paired=True)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="`n_resamples` is 99"):
        bootstrap_difference(YES, NO, rng=np.random.default_rng(0), n_resamples=99)


def test_an_empty_group_has_no_difference() -> None:
    with pytest.raises(ValueError, match="`second`"):
        difference_interval(YES, NO[:0])


@pytest.mark.parametrize(("k", "bound"), [(1, 0.95), (2, 0.7764), (4, 0.5271)])
def test_no_errors_in_a_few_tries_prove_little(k: int, bound: float) -> None:
    assert error_bound_after_no_errors(k) == pytest.approx(bound, abs=1e-4)


def test_no_tries_prove_nothing() -> None:
    with pytest.raises(ValueError, match="`n` is 0"):
        error_bound_after_no_errors(0)
