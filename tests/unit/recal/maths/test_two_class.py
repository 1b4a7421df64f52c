from __future__ import annotations

import numpy as np
import pytest

from recal.maths.two_class import (
    TwoClass,
    checked_flags,
    checked_rows,
    checked_scores,
    pooled_scores,
    stacked,
)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_score_is_named_with_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"`harmful` holds {bad} at \(1,\), one of 1"):
        checked_scores("harmful", [0.0, bad])


def test_no_scores_are_an_error_not_a_number() -> None:
    with pytest.raises(ValueError, match="`harmful` is empty"):
        checked_scores("harmful", [])


def test_scores_and_rows_are_not_taken_for_each_other() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        checked_scores("harmful", [[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        checked_rows("harmful", [0.0, 1.0])


def test_half_precision_is_widened_before_it_is_used() -> None:
    assert checked_scores("harmful", np.array([1.0], dtype=np.float16)).dtype == np.float64


@pytest.mark.parametrize("bad", [[], [0.5], [1, 0], [[True]]])
def test_only_a_vector_of_booleans_is_flags(bad: list[object]) -> None:
    with pytest.raises(ValueError, match="give a vector of at least one bool"):
        checked_flags("refused", bad)


def test_languages_of_another_width_do_not_stack() -> None:
    rows = {
        "en": TwoClass(np.ones((2, 3)), np.ones((2, 3))),
        "sw": TwoClass(np.ones((2, 4)), np.ones((2, 4))),
    }
    with pytest.raises(ValueError, match=r"widths \[3, 4\]"):
        stacked(rows)


def test_stacking_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no languages"):
        stacked({})


def test_an_empty_class_is_named_with_its_language() -> None:
    with pytest.raises(ValueError, match="`harmless of `sw`` is empty"):
        stacked({"sw": TwoClass(np.ones((2, 3)), np.ones((0, 3)))})


def test_pooled_scores_keep_the_order_of_languages_and_rows() -> None:
    by_language = {"b": TwoClass([1.0, 2.0], [3.0]), "a": TwoClass([4.0], [5.0, 6.0])}
    pooled = pooled_scores(by_language)
    assert pooled.harmful.tolist() == [1.0, 2.0, 4.0]
    assert pooled.harmless.tolist() == [3.0, 5.0, 6.0]


def test_a_language_without_scores_cannot_be_pooled() -> None:
    with pytest.raises(ValueError, match="`harmless of `a`` is empty"):
        pooled_scores({"a": TwoClass([1.0], [])})
    with pytest.raises(ValueError, match="no languages"):
        pooled_scores({})
