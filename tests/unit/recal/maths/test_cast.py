"""CAST's condition, with the weakness that it was published with."""

import numpy as np
import pytest

from recal.maths.cast import (
    ConditionPoint,
    best_condition_point,
    contrastive_direction,
    similarities,
)
from recal.maths.two_class import TwoClass

RNG = np.random.default_rng(0)
AXIS = np.eye(8)[2]
NEGATIVE = RNG.normal(0, 0.3, (40, 8))
POSITIVE = NEGATIVE + 5 * AXIS + RNG.normal(0, 0.3, (40, 8))


@pytest.mark.parametrize("variant", ["pca_pairwise", "pca_center", "pca_diff"])
def test_the_direction_is_what_tells_the_pairs_apart_and_points_to_the_positives(variant) -> None:
    assert contrastive_direction(POSITIVE, NEGATIVE, variant) @ AXIS > 0.99
    assert contrastive_direction(NEGATIVE, POSITIVE, variant) @ AXIS < -0.99


def test_pairing_removes_what_a_pair_shares_and_centring_all_rows_does_not() -> None:
    topic = 30 * np.outer(RNG.normal(0, 1, 40), np.eye(8)[5])
    paired = contrastive_direction(POSITIVE + topic, NEGATIVE + topic, "pca_pairwise")
    centred = contrastive_direction(POSITIVE + topic, NEGATIVE + topic, "pca_center")
    assert abs(paired @ AXIS) > 0.99
    assert abs(centred @ AXIS) < 0.2


def test_rows_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="are not pairs"):
        contrastive_direction(POSITIVE, NEGATIVE[:5])
    with pytest.raises(ValueError, match="do not differ"):
        contrastive_direction(POSITIVE, POSITIVE)
    with pytest.raises(ValueError, match="no variant `lda`"):
        contrastive_direction(POSITIVE, NEGATIVE, "lda")


def test_the_similarity_is_even_so_it_measures_size_and_not_side() -> None:
    one_sided = POSITIVE * AXIS
    np.testing.assert_allclose(similarities(one_sided, AXIS), similarities(-one_sided, AXIS))
    readable = one_sided @ AXIS
    assert (readable > 0).all()


def test_the_similarity_grows_with_the_share_of_a_state_along_the_direction() -> None:
    aside = np.eye(8)[5]
    rows = np.stack([AXIS + 9 * aside, AXIS + aside, AXIS])
    found = similarities(rows, AXIS)
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(1.0)


def test_the_norm_of_the_direction_does_not_matter() -> None:
    oblique = np.arange(1.0, 9.0)
    once, seven_times = (similarities(POSITIVE, factor * oblique) for factor in (1.0, 7.0))
    np.testing.assert_allclose(seven_times, once)
    assert np.ptp(once) > 0.01


def test_a_state_without_a_component_has_no_similarity() -> None:
    assert similarities([np.eye(8)[5]], AXIS).tolist() == [0.0]
    with pytest.raises(ValueError, match="`direction` is zero"):
        similarities(POSITIVE, 0 * AXIS)


def test_the_grid_finds_layer_threshold_and_side() -> None:
    noise = TwoClass(RNG.uniform(0, 1, 30), RNG.uniform(0, 1, 30))
    above = TwoClass(RNG.uniform(0.5, 0.6, 30), RNG.uniform(0.1, 0.2, 30))
    found = best_condition_point({1: noise, 4: above}, np.arange(0, 1, 0.01))
    assert (found.layer, found.comparator, found.f1) == (4, "smaller", 1.0)
    assert 0.19 < found.threshold <= 0.5
    swapped = best_condition_point({4: TwoClass(*above[::-1])}, np.arange(0, 1, 0.01))
    assert swapped.comparator == "larger"


def test_the_first_of_equal_points_wins() -> None:
    same = TwoClass(np.full(5, 0.9), np.full(5, 0.1))
    found = best_condition_point({2: same, 3: same}, [0.2, 0.3, 0.4])
    assert (found.layer, found.threshold) == (2, 0.2)


@pytest.mark.parametrize(
    ("comparator", "met"), [("larger", [True, False, False]), ("smaller", [False, False, True])]
)
def test_a_similarity_equal_to_the_threshold_never_meets_the_condition(comparator, met) -> None:
    point = ConditionPoint(0, 0.5, comparator, f1=1.0)
    assert point.met([0.4, 0.5, 0.6]).tolist() == met


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(ValueError, match="no layer"):
        best_condition_point({}, [0.5])
