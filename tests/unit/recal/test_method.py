"""What a method sees of prompts: residuals at places, and labels where it says so."""

from __future__ import annotations

import numpy as np
import pytest

from recal.scoring import scores_at, scores_through
from tests.unit.recal.questions import asked
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted

KNOWN = activations(("sw",), n=3)


def test_states_at_several_blocks_stand_in_the_order_asked_for() -> None:
    found = asked(KNOWN).at((2, 0))
    assert found.shape == (6, 2, 12)
    assert np.array_equal(found[:, 0], KNOWN.at(2))
    assert np.array_equal(found[:, 1], KNOWN.at(0))


def test_labels_are_shown_to_those_alone_that_see_them() -> None:
    assert asked(KNOWN, sees_labels=True).harmful.tolist() == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="does not declare `sees_labels`"):
        assert asked(KNOWN).harmful is not None


def test_a_methods_score_is_the_one_that_serves() -> None:
    mine = scores_through(fitted(), asked(KNOWN).residuals)
    assert mine == pytest.approx(scores_at(fitted(), KNOWN), abs=1e-6)
