from __future__ import annotations

import numpy as np
import pytest

from recal.maths.logistic import Logistic, fit_logistic, fold, logits, score
from recal.maths.metrics import auroc
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import residuals


def orthonormal(d: int = 12, rank: int = 3, seed: int = 1) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, rank)))[0]


def projected(rows: dict[str, TwoClass], columns: np.ndarray) -> dict[str, TwoClass]:
    return {
        name: TwoClass(pair.harmful @ columns, pair.harmless @ columns)
        for name, pair in rows.items()
    }


def loss(found: Logistic, rows: dict[str, TwoClass], c: float = 1.0) -> float:
    """The objective, written down once more and plainly, for equal classes and languages."""
    cells = [(pair.harmful, 1) for pair in rows.values()]
    cells += [(pair.harmless, -1) for pair in rows.values()]
    n = sum(len(cell) for cell, _ in cells)
    means = [np.logaddexp(0, -sign * logits(found, cell)).mean() for cell, sign in cells]
    return 0.5 * found.weights @ found.weights + c * n * float(np.mean(means))


def test_folded_scores_equal_unfolded_logits_in_the_unit() -> None:
    rows, columns = residuals(), orthonormal()
    fitted = fit_logistic(projected(rows, columns))
    folded = fold(columns, fitted, unit=2.5)
    for pair in rows.values():
        unfolded = logits(fitted, pair.harmful @ columns) / 2.5
        np.testing.assert_allclose(score(folded, pair.harmful), unfolded, atol=1e-10)


def test_a_fold_that_forgot_the_scaler_would_be_seen() -> None:
    rows, columns = residuals(), orthonormal()
    fitted = fit_logistic(projected(rows, columns))
    unscaled = fold(columns, fitted._replace(scale=np.ones(3)), unit=1.0)
    residual = rows["l0"].harmful
    assert np.abs(score(unscaled, residual) - logits(fitted, residual @ columns)).max() > 0.1


def test_folded_scores_ignore_what_is_orthogonal_to_the_basis() -> None:
    rows, columns = residuals(), orthonormal()
    folded = fold(columns, fit_logistic(projected(rows, columns)), unit=1.0)
    residual = rows["l0"].harmful
    outside = residual - residual @ columns @ columns.T
    np.testing.assert_allclose(score(folded, residual + 7 * outside), score(folded, residual))
    assert np.abs(score(folded, residual + columns[:, 0]) - score(folded, residual)).max() > 0.01


def held_out_auroc(rows: TwoClass) -> float:
    half = len(rows.harmful) // 2
    fitted = fit_logistic({"en": TwoClass(*(part[:half] for part in rows))})
    return auroc(*(logits(fitted, part[half:]) for part in rows))


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_no_step_away_from_the_solution_lowers_the_objective(c: float) -> None:
    rows = projected(residuals(), orthonormal())
    found = fit_logistic(rows, c=c)
    at_solution = loss(found, rows, c)
    for i, sign in np.ndindex(4, 2):
        step = (2 * sign - 1) * 1e-2 * np.eye(4)[i]
        moved = found._replace(weights=found.weights + step[:3], bias=found.bias + step[3])
        assert loss(moved, rows, c) > at_solution


def test_the_scaler_is_the_population_mean_and_deviation() -> None:
    found = fit_logistic({"en": TwoClass(np.array([[1.0], [3.0]]), np.array([[1.0], [-1.0]]))})
    assert (found.centre, found.scale) == (1.0, np.sqrt(2.0))


def test_rows_of_a_language_count_the_same_however_often_they_are_repeated() -> None:
    rows = projected(residuals(n=15), orthonormal())
    repeated = rows | {"l0": TwoClass(*(np.repeat(part, 20, axis=0) for part in rows["l0"]))}
    weights = [fit_logistic(r, c=1e6, equal_languages=True) for r in (rows, repeated)]
    unequal = fit_logistic(repeated, c=1e6, equal_languages=False)
    test = rows["l1"].harmful
    equal, again = (logits(w, test) for w in weights)
    np.testing.assert_allclose(equal, again, rtol=1e-3, atol=1e-3)
    assert np.abs(logits(unequal, test) - equal).max() > 0.05


def test_classes_weigh_the_same_however_many_rows_they_have() -> None:
    rng = np.random.default_rng(0)
    harmful, harmless = rng.normal(1, 1, size=(2000, 1)), rng.normal(-1, 1, size=(100, 1))
    found = fit_logistic({"en": TwoClass(harmful, harmless)})
    middle = logits(found, np.array([[(harmful.mean() + harmless.mean()) / 2]]))
    assert abs(middle[0]) < 0.2


def test_permuted_labels_are_not_learned() -> None:
    rng = np.random.default_rng(5)
    rows = projected(residuals(n=1000), orthonormal())["l0"]
    mixed = TwoClass(*np.split(rng.permutation(np.concatenate(rows)), 2))
    assert held_out_auroc(mixed) == pytest.approx(0.5, abs=0.06)
    assert held_out_auroc(rows) > 0.7


def test_a_solution_that_is_not_reached_is_an_error() -> None:
    with pytest.raises(ValueError, match="the logistic did not converge: its gradient is"):
        fit_logistic(projected(residuals(), orthonormal()), max_iterations=1)


def test_separable_classes_still_have_a_finite_solution() -> None:
    found = fit_logistic({"en": TwoClass(np.full((5, 1), 9.0), np.full((5, 1), -9.0))})
    assert np.isfinite(found.weights).all()


@pytest.mark.parametrize("c", [0.0, -1.0, np.nan, np.inf])
def test_a_penalty_that_is_none_is_refused(c: float) -> None:
    with pytest.raises(ValueError, match="`c` is"):
        fit_logistic({"en": TwoClass(np.ones((2, 1)), np.zeros((2, 1)))}, c=c)


def test_a_projection_that_never_varies_is_named() -> None:
    rows = np.array([[1.0, 7.3], [2.0, 7.3]])
    with pytest.raises(ValueError, match=r"projection\(s\) \[1\] do not vary over 4 rows"):
        fit_logistic({"en": TwoClass(rows, np.add(rows, [1.0, 0.0]))})


@pytest.mark.parametrize("unit", [0.0, -1.0, np.nan])
def test_a_unit_that_is_none_is_refused(unit: float) -> None:
    fitted = fit_logistic(projected(residuals(), orthonormal()))
    with pytest.raises(ValueError, match="`unit` is"):
        fold(orthonormal(), fitted, unit=unit)


def test_basis_and_logistic_of_other_ranks_do_not_fold() -> None:
    fitted = fit_logistic(projected(residuals(), orthonormal()))
    with pytest.raises(ValueError, match="the basis has rank 2, the logistic 3"):
        fold(orthonormal(rank=2), fitted, unit=1.0)
