from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths import metrics
from tests.unit.recal.maths.samples import scores

some = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=8)


@given(harmful=some, harmless=some)
def test_auroc_counts_pairs_with_ties_as_halves(
    harmful: list[float], harmless: list[float]
) -> None:
    pairs = [(h > n) + 0.5 * (h == n) for h in harmful for n in harmless]
    assert metrics.auroc(harmful, harmless) == pytest.approx(np.mean(pairs))


def test_permuted_labels_give_an_auroc_near_one_half() -> None:
    many = scores(k=1000, gap=3.0)
    both = np.random.default_rng(1).permutation(np.concatenate(many))
    assert metrics.auroc(both[:1000], both[1000:]) == pytest.approx(0.5, abs=0.05)
    assert metrics.auroc(*many) > 0.95


def test_a_score_equal_to_the_threshold_is_called_harmful() -> None:
    assert metrics.rates_at([1.0, 0.0], [1.0, 0.0, 0.0, 0.0], 1.0) == (0.5, 0.25)


def test_j_and_balanced_accuracy_by_hand() -> None:
    harmful, harmless = [1.0, 2.0, 3.0, -1.0], [0.0, -2.0, 2.0, -3.0]
    assert metrics.youden_j(harmful, harmless, 0.5) == 0.5
    assert metrics.balanced_accuracy(harmful, harmless, 0.5) == 0.75


@given(harmless=some, target=st.floats(0, 0.99))
def test_the_threshold_at_a_rate_keeps_it_and_is_the_lowest_that_does(
    harmless: list[float], target: float
) -> None:
    array, threshold = np.array(harmless), metrics.threshold_at_fpr(harmless, target)
    assert (array >= threshold).mean() <= target + 1e-9
    assert (array >= np.nextafter(threshold, -np.inf)).mean() > target


def test_a_target_that_is_a_whole_count_is_used_up() -> None:
    assert (np.arange(100.0) >= metrics.threshold_at_fpr(np.arange(100.0), 0.29)).sum() == 29


def test_tpr_at_a_rate_by_hand() -> None:
    harmless = np.arange(20.0)
    assert metrics.tpr_at_fpr([18.5, 19.5, 3.0, 20.0], harmless, 0.05) == 0.75
    assert metrics.tpr_at_fpr([18.5, 19.5, 3.0, 20.0], harmless, 0.0) == 0.5


@pytest.mark.parametrize("target", [-0.1, 1.0, np.nan])
def test_an_impossible_target_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="`target_fpr` is"):
        metrics.threshold_at_fpr([0.0], target)


def test_selectivity_is_a_difference_in_points() -> None:
    refused = metrics.selectivity([True, True, True, False], [True, False, False, False])
    assert refused == 50.0


def test_selectivity_is_negative_when_only_the_harmless_are_refused() -> None:
    assert metrics.selectivity([False], [True]) == -100.0


def test_selectivity_does_not_take_rates_for_answers() -> None:
    with pytest.raises(ValueError, match="`harmful_refused` is float64"):
        metrics.selectivity([0.9], [True])


def test_a_threshold_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="`threshold` is nan"):
        metrics.youden_j([1.0], [0.0], np.nan)


@pytest.mark.parametrize(
    "measure",
    [
        metrics.auroc,
        lambda h, n: metrics.youden_j(h, n, 0.0),
        lambda h, n: metrics.balanced_accuracy(h, n, 0.0),
        lambda h, n: metrics.tpr_at_fpr(h, n, 0.1),
        metrics.selectivity,
    ],
)
@pytest.mark.parametrize("empty", [0, 1])
def test_no_data_is_an_error_and_never_a_number(measure, empty: int) -> None:
    classes = [[True], [False]]
    classes[empty] = []
    with pytest.raises(ValueError, match=r"is empty|at least one bool"):
        measure(*classes)
