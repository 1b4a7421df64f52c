from __future__ import annotations

import numpy as np
import pytest

from recal.maths.bound import bounded, spread_of_bound
from recal.maths.estimators.conformal import upper_bound
from recal.maths.evidence import Evidence
from recal.maths.threshold import Zone
from recal.maths.two_class import TwoClass

ZONE = Zone(steer=0.0, release=-0.5)


def rows(n: int, *, gap: float = 1.5, seed: int = 0) -> TwoClass:
    rng = np.random.default_rng(seed)
    return TwoClass(rng.normal(gap / 2, 1, n), rng.normal(-gap / 2, 1, n))


def test_with_enough_rows_both_thresholds_move_outward() -> None:
    found = bounded(ZONE, Evidence(*rows(200)), 0.05)
    assert found.zone.steer > ZONE.steer
    assert found.zone.release < ZONE.release
    assert not found.vacuous


def test_the_bounds_hold_on_new_prompts() -> None:
    above, below = [], []
    new = rows(4000, seed=99)
    for seed in range(200):
        zone = bounded(ZONE, Evidence(*rows(99, seed=seed)), 0.05).zone
        above.append((new.harmless >= zone.steer).mean())
        below.append((new.harmful <= zone.release).mean())
    assert np.mean(above) <= 0.055
    assert np.mean(below) <= 0.055
    assert (new.harmless >= ZONE.steer).mean() > 0.15
    assert (new.harmful <= ZONE.release).mean() > 0.08


def test_a_bound_that_the_zone_keeps_already_moves_nothing() -> None:
    apart = TwoClass(np.linspace(5, 6, 150), np.linspace(-6, -5, 150))
    assert bounded(ZONE, Evidence(*apart), 0.05).zone == ZONE


@pytest.mark.parametrize("n", [0, 4, 98])
def test_too_few_rows_leave_the_zone_and_say_vacuous(n: int) -> None:
    evidence = Evidence(*rows(n)) if n else Evidence()
    found = bounded(ZONE, evidence, 0.05)
    assert (found.zone, found.vacuous) == (ZONE, True)
    assert all(f"vacuous: {n} harm" in note and "needs 99" in note for note in found.notes)


def test_a_stricter_bound_needs_more_than_ninety_nine() -> None:
    assert bounded(ZONE, Evidence(*rows(150)), 0.005).vacuous
    assert not bounded(ZONE, Evidence(*rows(199)), 0.005).vacuous


def test_translations_bound_where_native_examples_are_too_few() -> None:
    few, many = rows(4), rows(120, seed=1)
    found = bounded(ZONE, Evidence(*few, translated=many), 0.05)
    assert found.zone.steer == upper_bound(many.harmless, 0.05)
    assert "120 translated harmless prompts" in found.notes[0]


def test_native_examples_that_are_enough_go_before_more_translations() -> None:
    native, translated = rows(100), rows(300, seed=1)
    found = bounded(ZONE, Evidence(*native, translated=translated), 0.05)
    assert found.zone.steer == upper_bound(native.harmless, 0.05)
    assert "100 native harmless prompts" in found.notes[0]


def test_one_side_may_be_bounded_without_the_other() -> None:
    found = bounded(ZONE, Evidence(rows(4).harmful, rows(120).harmless), 0.05)
    assert not found.vacuous
    assert found.zone.release == ZONE.release
    assert "vacuous" in found.notes[1]


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (99, 0.05), (199, 0.1)])
def test_the_spread_of_a_bound_is_what_drawing_shows(n: int, alpha: float) -> None:
    rng = np.random.default_rng(n)
    uniform = rng.uniform(size=(4000, n))
    passed = [1 - upper_bound(each, alpha) for each in uniform]
    assert spread_of_bound(n, alpha) == pytest.approx(np.std(passed), rel=0.06)


def test_too_few_rows_have_no_spread_of_a_bound() -> None:
    with pytest.raises(ValueError, match="18 rows bound nothing at 0.05; give 19"):
        spread_of_bound(18, 0.05)
