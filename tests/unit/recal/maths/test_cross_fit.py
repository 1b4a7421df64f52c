"""Cross-fitting: no row is scored by a fit that has seen it, or its group."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.cross_fit import best_of, by_class, cross_fitted, folds_of
from recal.maths.logistic import Folded, score
from recal.maths.metrics import auroc
from recal.maths.readout import fit_wide
from recal.maths.two_class import BoolArray, FloatArray, TwoClass

N, D = 60, 40


def labels(n: int = N) -> BoolArray:
    return np.arange(n) < n // 2


def groups(n: int = N) -> list[str]:
    return [f"meaning {i}" for i in range(n)]


def wide(rows: FloatArray, harmful: BoolArray, c: float = 1.0):
    return lambda seen: fit_wide(TwoClass(rows[seen & harmful], rows[seen & ~harmful]), c=c)


def noise(seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(N, D))


def test_every_fold_holds_its_share_of_each_class() -> None:
    folds = folds_of(groups(), labels())
    for label in (True, False):
        assert np.bincount(folds[labels() == label]).tolist() == [6] * 5


def test_a_group_is_never_torn_apart_whatever_its_labels() -> None:
    paired = [f"meaning {i % 30}" for i in range(N)]
    folds = folds_of([*paired, *groups(N)], np.concatenate([labels(), labels()]))
    assert np.array_equal(folds[:30], folds[30:60])
    assert np.array_equal(folds[:30], folds[60:90])


def test_folds_do_not_depend_on_the_order_of_the_rows() -> None:
    order = np.random.default_rng(1).permutation(N)
    mixed = folds_of([groups()[i] for i in order], labels()[order])
    assert np.array_equal(mixed, folds_of(groups(), labels())[order])


def test_fewer_prompts_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="4 different harmful prompts make no 5 folds"):
        folds_of([*["a", "b", "c", "d"] * 2, *groups()], np.arange(8 + N) < 8)


def test_no_fit_has_seen_the_rows_that_it_scores() -> None:
    folds = folds_of(groups(), labels())
    seen_by: list[BoolArray] = []

    def learn(seen: BoolArray) -> Folded:
        seen_by.append(seen)
        return Folded(np.zeros(D), float(len(seen_by)))

    scores = cross_fitted(noise(), folds, learn)
    assert len(seen_by) == 5
    for row, number in enumerate(scores):
        assert not seen_by[int(number) - 1][row]
    assert all(seen.sum() == N - 12 for seen in seen_by)


def test_noise_that_a_fit_ranks_perfectly_is_worth_nothing_unseen() -> None:
    rows, harmful = noise(), labels()
    learn = wide(rows, harmful)
    in_sample = score(learn(np.ones(N, dtype=bool)), rows)
    unseen = cross_fitted(rows, folds_of(groups(), harmful), learn)
    assert auroc(*by_class(in_sample, harmful)) > 0.99
    assert auroc(*by_class(unseen, harmful)) < 0.7


def test_copies_in_one_group_do_not_make_noise_look_learned() -> None:
    """The negative control: torn apart, each copy gives the other's label away."""
    rows, harmful = np.concatenate([noise(), noise()]), np.concatenate([labels(), labels()])
    together, apart = groups() * 2, groups(2 * N)
    found = {
        name: auroc(*by_class(cross_fitted(rows, folds, wide(rows, harmful)), harmful))
        for name, folds in (
            ("together", folds_of(together, harmful)),
            ("apart", folds_of(apart, harmful)),
        )
    }
    assert found["together"] < 0.7
    assert found["apart"] > found["together"] + 0.2


def test_the_way_that_ranks_unseen_rows_best_is_taken_and_the_first_of_equal_ones() -> None:
    rows, harmful = noise(), labels()
    rows[harmful, 0] += 1.5
    rows[:, 1] *= 30
    folds = folds_of(groups(), harmful)

    def along(coordinate: int, sign: float = 1.0):
        weight = np.zeros(D)
        weight[coordinate] = sign
        return lambda seen: Folded(weight, 0.0)

    good = best_of(rows, harmful, folds, [along(1), along(0), along(0), along(0, -1.0)])
    assert good.number == 1
    assert np.array_equal(good.scores, rows[:, 0])
