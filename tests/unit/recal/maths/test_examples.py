from __future__ import annotations

import numpy as np
import pytest

from recal.maths.examples import check_examples


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
