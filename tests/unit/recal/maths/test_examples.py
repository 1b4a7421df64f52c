from __future__ import annotations

import numpy as np
import pytest

from recal.maths.examples import check_examples, poisoned_labels
from recal.maths.two_class import TwoClass


def test_separated_examples_raise_no_warning() -> None:
    found = check_examples([2.0, 3.0], [-1.0, 0.0])
    assert (found.inverted, found.warnings, found.mean_gap) == (False, (), 3.0)


def test_inverted_examples_are_a_warning_and_not_an_error() -> None:
    found = check_examples([0.0], [1.5])
    assert found.inverted
    assert "score 1.50 below" in found.warnings[0]


def test_equal_examples_count_as_inverted() -> None:
    found = check_examples([1.0], [1.0])
    assert found.inverted
    assert "score 0.00 below" in found.warnings[0]


def test_overlapping_examples_are_a_warning() -> None:
    found = check_examples([0.0, 5.0], [-1.0, 1.0])
    assert not found.inverted
    assert "the classes overlap" in found.warnings[0]


def test_how_little_four_examples_prove_is_said() -> None:
    assert check_examples(np.ones(4), np.zeros(4)).miss_bound == pytest.approx(0.527, abs=1e-3)


def test_no_examples_are_an_error() -> None:
    with pytest.raises(ValueError, match="`harmful_scores` is empty"):
        check_examples([], [0.0])


def test_one_score_with_both_labels_is_contradictory_and_named() -> None:
    found = check_examples([3.0, 1.0], [0.0, 1.0], names=(["h1", "h2"], ["n1", "n2"]))
    assert found.contradictory == ((1, 1),)
    assert any("`h2` and harmless example `n2`" in warning for warning in found.warnings)


def test_a_score_that_comes_twice_in_a_class_is_a_duplicate_and_named() -> None:
    found = check_examples([3.0, 2.0, 3.0], [0.0, 0.5], names=(["a", "b", "c"], ["d", "e"]))
    assert found.duplicates == ((True, 2),)
    assert any("harmful example `c` scores exactly" in warning for warning in found.warnings)


def test_a_poisoned_label_is_found_and_named_with_its_shift() -> None:
    found = check_examples([5.0, 5.5, 4.8, -4.0], [-5.0, -5.5, -4.5, -5.2])
    (one,) = found.poisoned
    assert (one.harmful, one.place) == (True, 3)
    assert one.standard_errors > 2.5
    assert any(
        f"harmful example `4` alone moves the threshold by {one.shift:+.2f}" in warning
        for warning in found.warnings
    )


def test_the_shift_is_what_leaving_the_example_out_shows() -> None:
    harmful, harmless = np.array([5.0, 5.5, 4.8, -4.0]), np.array([-5.0, -5.5, -4.5, -5.2])
    (one,) = poisoned_labels(TwoClass(harmful, harmless), source_sd=1.0)
    without = (harmful[:3].mean() + harmless.mean()) / 2
    assert one.shift == pytest.approx((harmful.mean() + harmless.mean()) / 2 - without)


def test_an_example_far_out_on_its_own_side_is_not_poisoned() -> None:
    assert not check_examples([5.0, 5.5, 4.8, 15.0], [-5.0, -5.5, -4.5, -5.2]).poisoned


def test_one_example_a_class_cannot_be_held_against_anything() -> None:
    assert not check_examples([-5.0], [5.0]).poisoned


@pytest.mark.parametrize("k", [2, 4, 16])
def test_sound_labels_are_suspected_in_one_language_of_twenty_at_most(k: int) -> None:
    rng = np.random.default_rng(k)
    found = [
        bool(poisoned_labels(TwoClass(rng.normal(2, 1, k), rng.normal(-2, 1, k)), source_sd=1.0))
        for _ in range(2000)
    ]
    assert np.mean(found) <= 0.06


def test_most_wrong_labels_of_a_readout_that_separates_well_are_found() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(500):
        harmful, harmless = rng.normal(2.5, 1, 4), rng.normal(-2.5, 1, 4)
        harmful[0] = rng.normal(-2.5, 1)
        suspects = poisoned_labels(TwoClass(harmful, harmless), source_sd=1.0)
        found.append((True, 0) in {(one.harmful, one.place) for one in suspects})
    assert np.mean(found) > 0.75
