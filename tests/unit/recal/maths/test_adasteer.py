"""AdaSteer's positions and laws."""

import math

import numpy as np
import pytest

from recal.maths.adasteer import RELEASED, Law, fit_law, scaled_positions
from recal.maths.two_class import TwoClass

RNG = np.random.default_rng(0)
LOW, HIGH = RNG.normal(0, 1, (30, 6)), RNG.normal(0, 1, (25, 6)) + 4.0


def test_the_anchors_themselves_lie_at_0_and_100() -> None:
    ends = np.stack([LOW.mean(axis=0), HIGH.mean(axis=0)])
    np.testing.assert_allclose(scaled_positions(ends, LOW, HIGH), [0.0, 100.0], atol=1e-9)


def test_only_what_lies_along_the_line_between_the_anchors_counts() -> None:
    way = HIGH.mean(axis=0) - LOW.mean(axis=0)
    aside = RNG.normal(0, 5, 6)
    aside -= way * (aside @ way) / (way @ way)
    here = scaled_positions(LOW, LOW, HIGH)
    np.testing.assert_allclose(scaled_positions(LOW + aside, LOW, HIGH), here, atol=1e-9)
    assert np.abs(scaled_positions(LOW + way / 2, LOW, HIGH) - here).min() > 49


def test_the_unit_of_the_residual_does_not_matter() -> None:
    np.testing.assert_allclose(
        scaled_positions(3 * HIGH, 3 * LOW, 3 * HIGH), scaled_positions(HIGH, LOW, HIGH)
    )


def test_anchors_at_one_place_have_no_line_between_them() -> None:
    with pytest.raises(ValueError, match="the same mean"):
        scaled_positions(LOW, LOW, LOW)


@pytest.mark.parametrize(
    ("law", "ends"),
    [
        (RELEASED["llama"].alpha, [-0.22, -0.08]),
        (RELEASED["qwen"].alpha, [-0.2, 0.0]),
        (RELEASED["qwen"].beta, [0.4, -0.6]),
        (RELEASED["gemma"].alpha, [-0.02, 0.06]),
        (RELEASED["gemma"].beta, [-0.06, 0.02]),
    ],
)
def test_a_released_law_ends_at_its_clamps(law: Law, ends: list[float]) -> None:
    np.testing.assert_allclose(law.of([-1e4, 1e4]), ends)


def test_the_released_beta_of_llama_is_clamped_below_alone() -> None:
    np.testing.assert_allclose(RELEASED["llama"].beta.of([-105.0, -5.0, 1e4]), [4.5, -0.5, -0.75])


def test_a_law_is_linear_between_its_clamps() -> None:
    law = Law(slope=0.1, zero=20.0, low=-1.0, high=2.0, offset=0.5)
    np.testing.assert_allclose(law.of([-999, 20, 30, 999]), [-1.0, 0.5, 1.5, 2.0])


def test_a_fitted_law_leaves_harmless_prompts_alone_and_reaches_for_harmful_ones() -> None:
    positions = TwoClass(RNG.normal(100, 8, 200), RNG.normal(0, 8, 200))
    law = fit_law(positions, reach=0.4)
    assert (law.of(positions.harmless) == 0.0).mean() > 0.95
    assert (law.of(positions.harmful) == 0.4).mean() > 0.95
    assert law.of([law.zero]) == [0.0]


def test_a_fitted_law_is_half_way_where_the_classes_are_equally_likely() -> None:
    positions = TwoClass(RNG.normal(70, 15, 4000), RNG.normal(30, 15, 4000))
    law = fit_law(positions, reach=0.4)
    assert law.of([50.0])[0] == pytest.approx(0.2, abs=0.01)


def test_classes_that_overlap_more_give_a_flatter_law() -> None:
    sharp, flat = (
        fit_law(TwoClass(RNG.normal(70, sd, 500), RNG.normal(30, sd, 500)), reach=0.4)
        for sd in (10, 30)
    )
    assert 0 < flat.slope < sharp.slope / 2


def test_swapped_anchors_and_a_reach_that_is_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="swap the anchors"):
        fit_law(TwoClass(RNG.normal(0, 9, 50), RNG.normal(99, 9, 50)), reach=0.4)
    with pytest.raises(ValueError, match="`reach` is nan"):
        fit_law(TwoClass(RNG.normal(99, 9, 50), RNG.normal(0, 9, 50)), reach=math.nan)
