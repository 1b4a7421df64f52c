from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.direction import (
    difference_in_means,
    directions_by_language,
    pooled_direction,
    projection_gap,
    projection_statistics,
    surgical_direction,
)
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import residuals, unit

HARMFUL = np.array([[2.0, 1.0], [4.0, 1.0]])
HARMLESS = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
ROUNDED = np.array([[0.1], [0.2], [0.3]])  # their sum depends on the order, in the last bit


def test_the_direction_is_unit_and_points_toward_harmful() -> None:
    np.testing.assert_allclose(difference_in_means(HARMFUL, HARMLESS), [1.0, 0.0])


def test_swapping_the_classes_turns_the_direction_round() -> None:
    np.testing.assert_allclose(
        difference_in_means(HARMLESS, HARMFUL), -difference_in_means(HARMFUL, HARMLESS)
    )


@given(offset=st.floats(-50, 50), factor=st.floats(0.01, 100))
def test_the_direction_ignores_a_common_offset_and_scale(offset: float, factor: float) -> None:
    moved = difference_in_means(factor * (HARMFUL + offset), factor * (HARMLESS + offset))
    np.testing.assert_allclose(moved, difference_in_means(HARMFUL, HARMLESS), atol=1e-9)


def test_equal_classes_have_no_direction() -> None:
    assert ROUNDED.mean(axis=0) != ROUNDED[::-1].mean(axis=0)
    with pytest.raises(ValueError, match="has no direction"):
        difference_in_means(ROUNDED, ROUNDED[::-1])


def test_a_language_without_direction_is_named() -> None:
    with pytest.raises(ValueError, match="language `sw`: the class means differ by 0"):
        directions_by_language({"sw": TwoClass(HARMFUL, HARMFUL)})


def test_directions_keep_the_languages_order() -> None:
    assert list(directions_by_language(residuals())) == ["l0", "l1", "l2", "l3"]


def test_the_pooled_direction_weighs_rows_not_languages() -> None:
    many = TwoClass(np.repeat([[1.0, 0.0]], 9, axis=0), np.zeros((9, 2)))
    few = TwoClass(np.array([[0.0, 1.0]]), np.zeros((1, 2)))
    np.testing.assert_allclose(pooled_direction({"a": many, "b": few}), unit(np.array([9.0, 1.0])))


def test_the_gap_lies_between_upper_harmful_and_lower_harmless_quartile() -> None:
    harmful, harmless = np.arange(5.0)[:, None] + 10, np.arange(5.0)[:, None]
    assert projection_gap(harmful, harmless, [1.0]) == 13.0 - 1.0


def test_the_gap_of_inverted_classes_is_negative() -> None:
    assert projection_gap(np.zeros((4, 1)), np.full((4, 1), 9.0), [1.0]) < 0


@pytest.mark.parametrize("direction", [[2.0, 0.0], [0.0, 0.0], [np.nan, 1.0], [[1.0, 0.0]]])
def test_a_gap_along_anything_but_a_unit_vector_is_refused(direction: list[float]) -> None:
    with pytest.raises(ValueError, match="it is a unit vector"):
        projection_gap(HARMFUL, HARMLESS, direction)


def test_a_non_finite_residual_has_no_direction() -> None:
    with pytest.raises(ValueError, match="non-finite"):
        difference_in_means(np.array([[np.inf, 0.0]]), HARMLESS)


def rows(n: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def axis(*, seed: int = 9) -> np.ndarray:
    return unit(rows(1, seed=seed)[0])


def test_the_statistics_are_quartile_mean_and_gap_of_the_projections() -> None:
    harmful, harmless = rows(50, seed=1) + 3.0, rows(40, seed=2)
    vector = axis()
    found = projection_statistics(harmful, harmless, vector)
    assert found.target == pytest.approx(np.quantile(harmful @ vector, 0.75))
    assert found.centre == pytest.approx((harmless @ vector).mean())
    assert found.gap == pytest.approx(projection_gap(harmful, harmless, vector))


def test_the_statistics_turn_with_the_direction() -> None:
    harmful, harmless = rows(50, seed=1) + 3.0, rows(40, seed=2)
    one, other = (projection_statistics(harmful, harmless, s * axis()) for s in (1.0, -1.0))
    assert other.centre == pytest.approx(-one.centre)
    assert other.target != pytest.approx(-one.target)


def ablated(some: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return some - np.outer(some @ vector, vector)


def test_surgical_ablation_leaves_the_component_of_true_refusal_alone() -> None:
    some, true = rows(30), axis()
    false = (true + axis(seed=5)) / np.linalg.norm(true + axis(seed=5))
    surgical = surgical_direction(false, true)
    np.testing.assert_allclose(ablated(some, surgical) @ true, some @ true, atol=1e-9)
    assert np.abs(ablated(some, surgical) @ false - some @ false).max() > 0.1
    assert np.abs(ablated(some, false) @ true - some @ true).max() > 0.1


def test_a_share_below_one_takes_out_less_of_what_is_shared() -> None:
    true, other = np.eye(6)[0], np.eye(6)[1]
    false = 0.6 * true + 0.8 * other
    cosines = [surgical_direction(false, true, share=share) @ true for share in (0.0, 0.5, 1.0)]
    assert cosines[0] == pytest.approx(0.6)
    assert cosines[0] > cosines[1] > cosines[2]
    assert cosines[2] == pytest.approx(0.0, abs=1e-12)
    assert np.linalg.norm(surgical_direction(false, true, share=0.5)) == pytest.approx(1.0)


def test_a_surgical_direction_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is left to ablate"):
        surgical_direction(axis(), -axis())
    with pytest.raises(ValueError, match="`false_refusal` has shape"):
        surgical_direction(2 * axis(), axis(seed=5))
    with pytest.raises(ValueError, match="`share` is 1.5"):
        surgical_direction(axis(seed=5), axis(), share=1.5)
