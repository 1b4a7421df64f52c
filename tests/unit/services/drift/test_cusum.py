"""The evidence for a shift: what adds to it, and how seldom it is enough by chance."""

from __future__ import annotations

import numpy as np
import pytest

from services.drift.cusum import advance, delay, run_length, shifted, threshold, walk, weights

SHIFT = 0.05


def simulated_run_length(rate: float, true: float, height: float, *, rise: bool) -> float:
    """Mean requests until an alarm, one by one, of 400 streams."""
    rng = np.random.default_rng(3)
    by = weights(rate, shifted(rate, SHIFT)[int(rise)])
    evidence, found = np.zeros(400), np.zeros(400)
    for seen in range(1, 200_000):
        evidence = advance(evidence, 1, rng.random(400) < true, by)
        found[(evidence >= height) & (found == 0)] = seen
        if found.all():
            break
    assert found.all()
    return float(found.mean())


def test_a_hit_speaks_for_a_rise_and_against_a_fall() -> None:
    low, high = shifted(0.1, SHIFT)
    assert weights(0.1, high).hit > 0 > weights(0.1, high).miss
    assert weights(0.1, low).hit < 0 < weights(0.1, low).miss


def test_evidence_never_falls_below_nothing() -> None:
    by = weights([0.1], [0.15])
    assert advance([0.2], 100, [0.0], by).tolist() == [0.0]
    assert advance([0.2], 100, [40.0], by)[0] > 5


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("side", [0, 1])
def test_walds_exponent_is_1_where_the_reference_is_true_and_not_elsewhere(
    rate: float, side: int
) -> None:
    by = weights(rate, shifted(rate, SHIFT)[side])
    assert walk(rate, by).exponent == pytest.approx(1.0, abs=1e-9)
    assert walk(rate * 1.1, by).exponent != pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize(("rate", "rise"), [(0.02, True), (0.1, True), (0.1, False), (0.3, False)])
def test_run_lengths_without_a_shift_are_at_least_those_foretold_and_not_twice_them(
    rate: float, rise: bool
) -> None:
    height = 4.0
    by = weights(rate, shifted(rate, SHIFT)[int(rise)])
    foretold = float(run_length(height, walk(rate, by)))
    found = simulated_run_length(rate, rate, height, rise=rise)
    assert 0.9 * foretold < found < 2 * foretold


def test_the_delay_of_a_true_shift_is_the_one_foretold() -> None:
    found = simulated_run_length(0.1, 0.15, 8.0, rise=True)
    assert found == pytest.approx(delay(8.0, 0.1, 0.15, SHIFT), rel=0.15)


def test_a_reference_that_is_known_less_well_needs_more_evidence_and_at_last_too_much() -> None:
    wanted = 1e-5
    heights = [threshold(0.1, n, SHIFT, wanted) for n in (np.inf, 10_000, 2000, 100)]
    assert heights[0] < heights[1] < heights[2] < heights[3] == np.inf


def test_fewer_false_alarms_need_more_evidence() -> None:
    assert threshold(0.1, np.inf, SHIFT, 1e-7) - threshold(0.1, np.inf, SHIFT, 1e-5) > 4


def test_a_share_cannot_fall_by_more_than_half_and_a_tiny_one_is_not_watched_for_a_fall() -> None:
    low, high = shifted([0.5, 0.06, 0.005, 0.995], SHIFT)
    assert low.tolist() == pytest.approx([0.45, 0.03, 0.005, 0.945])
    assert high.tolist() == pytest.approx([0.55, 0.11, 0.055, 0.995])
    assert np.isfinite(threshold(0.005, np.inf, SHIFT, 1e-6))
