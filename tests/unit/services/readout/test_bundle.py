from __future__ import annotations

from math import inf, nan

import pytest

from services.readout.bundle import Thresholds


@pytest.mark.parametrize("number", [nan, inf, -inf])
@pytest.mark.parametrize("name", ["steer", "release"])
def test_a_threshold_that_is_not_finite_is_refused(name: str, number: float):
    with pytest.raises(ValueError, match=f"the {name} threshold is {number}; it must be finite"):
        Thresholds(**{"steer": 1.0, "release": -1.0, name: number})


def test_a_release_threshold_above_the_steer_threshold_is_refused():
    with pytest.raises(ValueError, match="lies above"):
        Thresholds(steer=1.0, release=1.5)


@pytest.mark.parametrize("release", [None, -1.0, 1.0])
def test_never_releasing_three_zones_and_two_ways_are_all_possible(release: float | None):
    assert Thresholds(steer=1.0, release=release).release == release
