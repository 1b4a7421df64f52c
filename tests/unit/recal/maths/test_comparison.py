from __future__ import annotations

import numpy as np
import pytest

from recal.maths.comparison import bootstrap_p, holm, mcnemar


def flags(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Prompts that both, only the first, only the second and neither get right."""
    first = np.repeat([True, True, False, False], counts)
    return first, np.repeat([True, False, True, False], counts)


def test_mcnemar_counts_only_where_the_two_part() -> None:
    found = mcnemar(*flags(50, 10, 2, 30))
    assert (found.first_only, found.second_only) == (10, 2)
    assert found.p == pytest.approx(0.0386, abs=1e-4)  # 2 · P(X ≤ 2 of 12)
    assert found.p == mcnemar(*flags(0, 10, 2, 0)).p


def test_methods_that_part_nowhere_do_not_differ() -> None:
    assert mcnemar(*flags(5, 0, 0, 5)) == (0, 0, 1.0)


def test_mcnemar_errs_no_oftener_than_it_says_and_sees_a_difference_that_is_there() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random((400, 100))
    same = [mcnemar(h + rng.normal(0, 0.2, 100) > 0.5, h > 0.5).p < 0.05 for h in hard]
    better = [mcnemar(h + 0.3 > 0.5, h > 0.5).p < 0.05 for h in hard]
    assert np.mean(same) <= 0.07
    assert np.mean(better) > 0.95


@pytest.mark.parametrize(("first", "second"), [([True], [True, False]), ([], []), ([0.5], [True])])
def test_answers_that_cannot_be_paired_are_refused(first: list[bool], second: list[bool]) -> None:
    with pytest.raises(ValueError, match="paired|at least one bool"):
        mcnemar(first, second)


def test_a_bootstrap_p_is_twice_the_smaller_tail() -> None:
    assert bootstrap_p(np.arange(-10.0, 89.0)) == pytest.approx(2 * 12 / 100)
    assert bootstrap_p(-np.arange(-10.0, 89.0)) == pytest.approx(2 * 12 / 100)


def test_a_bootstrap_p_is_never_nothing_and_never_above_one() -> None:
    assert bootstrap_p(np.ones(99)) == pytest.approx(0.02)
    assert bootstrap_p(np.zeros(99)) == 1.0


def test_a_p_of_no_differences_is_an_error() -> None:
    with pytest.raises(ValueError, match="is empty"):
        bootstrap_p([])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_never_orders_anew_and_never_passes_one() -> None:
    p = np.random.default_rng(1).random(20)
    adjusted = holm(p)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (adjusted >= p).all()
    assert adjusted.max() == 1.0


def test_holm_keeps_the_chance_of_any_error_and_no_correction_would_not() -> None:
    rng = np.random.default_rng(2)
    families = rng.random((2000, 8))
    assert np.mean([(holm(p) < 0.05).any() for p in families]) < 0.065
    assert np.mean((families < 0.05).any(axis=1)) > 0.25


@pytest.mark.parametrize("p", [[], [1.1], [-0.1], [np.nan]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match="is empty|between 0 and 1|non-finite"):
        holm(p)
