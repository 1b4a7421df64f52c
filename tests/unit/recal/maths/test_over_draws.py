from __future__ import annotations

import numpy as np
import pytest

from recal.maths.over_draws import Spread, spread


def test_a_spread_by_hand() -> None:
    found = spread(np.arange(101.0)[::-1])
    assert (found.mean, found.p5, found.worst, found.n) == (50.0, 5.0, 0.0, 101)
    assert found.sd == pytest.approx(29.3, abs=0.01)


def test_a_single_draw_has_no_spread() -> None:
    assert spread([7.0]) == Spread(mean=7.0, sd=0.0, p5=7.0, worst=7.0, n=1)


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_no_draws_are_an_error(values: list[float]) -> None:
    with pytest.raises(ValueError, match="is empty|non-finite"):
        spread(values)
