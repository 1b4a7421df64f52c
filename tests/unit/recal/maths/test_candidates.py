from __future__ import annotations

import numpy as np
import pytest

from recal.maths.candidates import Candidates


def test_the_candidates_lie_below_between_and_above_distinct_scores() -> None:
    found = Candidates.of([1.0, 3.0, 3.0], [0.0, 1.0])
    np.testing.assert_allclose(found.thresholds, [-1e-6, 0.5, 2.0, 3 + 1e-6], atol=1e-12)
    assert found.true_positives.tolist() == [3, 3, 2, 0]
    assert found.false_positives.tolist() == [2, 1, 0, 0]


def test_f1_and_balanced_accuracy_by_hand() -> None:
    found = Candidates.of([1.0, 3.0], [0.0, 2.0])
    # at 0.5: both harmful, one of two harmless
    assert found.f1[1] == pytest.approx(2 * 0.5 / (2 * 0.5 + 0.25))
    assert found.balanced_accuracy[1] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("harmful", "harmless", "named"),
    [
        ([], [0.0], "`harmful_scores` is empty"),
        ([0.0], [], "`harmless_scores` is empty"),
        ([np.nan], [0.0], "`harmful_scores` holds nan"),
    ],
)
def test_bad_scores_are_named(harmful: list[float], harmless: list[float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Candidates.of(harmful, harmless)
