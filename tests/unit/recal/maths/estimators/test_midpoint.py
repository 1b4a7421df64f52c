from __future__ import annotations

import math

import numpy as np
import pytest

from recal.maths.estimators.midpoint import Midpoint
from recal.maths.evidence import Evidence
from tests.unit.recal.maths.estimators.evidences import SOURCE, labelled


def test_the_midpoint_lies_between_the_class_means() -> None:
    assert Midpoint()(Evidence([2.0, 4.0], [0.0]), source=SOURCE).threshold == 1.5


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_midpoints_spread_is_sigma_over_root_two_k(k: int) -> None:
    found = Midpoint()(Evidence(np.ones(k), np.zeros(k)), source=SOURCE)
    assert found.posterior_sd == pytest.approx(1 / math.sqrt(2 * k))


@pytest.mark.parametrize("k", [1, 4, 32])
def test_the_spread_is_what_repeating_the_draw_shows(k: int) -> None:
    rng = np.random.default_rng(k)
    found = [Midpoint()(labelled(k, rng), source=SOURCE) for _ in range(400)]
    seen = np.std([one.threshold for one in found])
    assert found[0].posterior_sd == pytest.approx(seen, rel=0.12)


def test_a_known_target_spread_takes_the_place_of_the_sources() -> None:
    found = Midpoint(sd_within=2.0)(Evidence([1.0], [0.0]), source=SOURCE)
    assert found.posterior_sd == math.sqrt(2)


@pytest.mark.parametrize("sd", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_target_spread_is_refused(sd: float) -> None:
    with pytest.raises(ValueError, match="`sd_within` is"):
        Midpoint(sd_within=sd)
