"""The zone's width: the highest Δ at which no language is less safe than untouched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from recal.maths.threshold import ThresholdEstimate
from recal.maths.zone_width import Observed, choose_width


@dataclass(frozen=True)
class World:
    """What each action does to a language's prompts, as probabilities of refusal."""

    untouched_harmful: float = 0.4
    untouched_harmless: float = 0.2
    steered: float = 0.95
    released: float = 0.02
    gap: float = 2.0
    sd: float = 0.4


def observed(world: World, language: str = "ar", *, n: int = 4000, seed: int = 0) -> Observed:
    rng = np.random.default_rng(seed)
    harmful = np.arange(2 * n) < n
    untouched = np.where(harmful, world.untouched_harmful, world.untouched_harmless)
    return Observed(
        language=language,
        scores=np.where(harmful, world.gap / 2, -world.gap / 2) + rng.normal(size=2 * n),
        harmful=harmful,
        untouched=rng.uniform(size=2 * n) < untouched,
        steered=rng.uniform(size=2 * n) < world.steered,
        released=rng.uniform(size=2 * n) < world.released,
        estimate=ThresholdEstimate(0.0, world.sd, ()),
    )


def test_where_the_model_refuses_little_by_itself_the_gate_may_release_at_once() -> None:
    found = choose_width([observed(World(untouched_harmful=0.05, untouched_harmless=0.1))])
    assert (found.c, found.is_safe) == (0.0, True)


def test_no_chosen_width_leaves_a_language_less_safe_than_untouched() -> None:
    # the gate misses one harmful prompt in six, and this model refuses nine in ten by itself
    found = choose_width([observed(World(untouched_harmful=0.9))])
    chosen = next(width for width in found.curve if width.c == found.c)
    assert found.is_safe
    assert found.c > 0
    assert chosen.shortfall <= 0
    assert found.curve[0].shortfall > 3


def test_without_the_constraint_a_narrower_zone_would_have_won() -> None:
    often_refuses_in_vain = [observed(World(untouched_harmful=0.9, untouched_harmless=0.6))]
    bound = choose_width(often_refuses_in_vain)
    free = choose_width(often_refuses_in_vain, tolerance=100.0)
    assert free.c == max(free.curve, key=lambda width: width.delta).c < bound.c


def test_the_least_safe_language_decides_for_all() -> None:
    easy = observed(World(untouched_harmful=0.05, untouched_harmless=0.1), "th")
    hard = observed(World(untouched_harmful=0.9), "ar", seed=1)
    both = choose_width([easy, hard])
    assert both.c == choose_width([hard]).c > choose_width([easy]).c
    assert both.curve[0].least_safe == "ar"


def test_where_steering_itself_fails_it_says_that_no_width_is_safe() -> None:
    found = choose_width([observed(World(untouched_harmful=0.95, steered=0.6))])
    assert not found.is_safe
    assert found.c == max(width.c for width in found.curve)


def test_of_equal_widths_the_widest_wins() -> None:
    same = World(untouched_harmful=0.3, untouched_harmless=0.3, released=0.3)
    seen = observed(same)
    seen = seen._replace(released=seen.untouched)
    assert choose_width([seen]).c == 8.0


def test_rates_by_hand() -> None:
    # scores -3, -1, 1 | zone of c = 1: steer at 0, release at -2
    seen = Observed(
        "ar",
        np.array([-3.0, -1.0, 1.0, -3.0, -1.0, 1.0]),
        np.array([True, True, True, False, False, False]),
        untouched=np.array([True, True, False, True, True, False]),
        steered=np.ones(6, dtype=bool),
        released=np.zeros(6, dtype=bool),
        estimate=ThresholdEstimate(0.0, 2.0, ()),
    )
    (width,) = choose_width([seen], widths=(1.0,)).curve
    # harmful: released, untouched (refuses), steered; the same for harmless
    assert width.harmful_refusal == pytest.approx(200 / 3)
    assert width.harmless_refusal == pytest.approx(200 / 3)
    assert (width.delta, width.shortfall) == pytest.approx((0.0, 0.0))


def test_ties_go_to_safety() -> None:
    seen = Observed(
        "ar",
        np.array([0.0, -2.0, 5.0]),
        np.array([True, True, False]),
        untouched=np.array([False, False, False]),
        steered=np.array([True, True, True]),
        released=np.array([False, True, False]),
        estimate=ThresholdEstimate(0.0, 2.0, ()),
    )
    # at the threshold: steered; at the release threshold: released, which this model refuses
    (width,) = choose_width([seen], widths=(1.0,)).curve
    assert width.harmful_refusal == 100.0
    (nothing,) = choose_width([seen], widths=(0.0,)).curve
    assert nothing.harmful_refusal == 100.0


def test_draws_of_one_language_are_averaged_before_languages_are() -> None:
    a, b = observed(World(), "ar"), observed(World(gap=4.0), "th", seed=1)
    twice = choose_width([a, a, a, b], widths=(1.0,)).curve[0]
    once = choose_width([a, b], widths=(1.0,)).curve[0]
    assert twice == pytest.approx(once)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"harmful": np.ones(8, dtype=bool)}, "`ar` lacks a class"),
        ({"steered": np.ones(7, dtype=bool)}, "`ar` has 8 scores and 7 of `steered`"),
        ({"released": np.zeros(8)}, "`released of `ar`` is float64"),
        ({"scores": np.full(8, np.nan)}, "`scores of `ar`` holds nan"),
    ],
)
def test_what_was_not_observed_properly_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        choose_width([observed(World(), n=4)._replace(**changes)])


def test_nothing_observed_chooses_nothing() -> None:
    with pytest.raises(ValueError, match="0 languages and 11 widths"):
        choose_width([])
    with pytest.raises(ValueError, match="1 languages and 0 widths"):
        choose_width([observed(World(), n=4)], widths=())
