"""Methods that decide by a score, and those that look at none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from recal.collect import Activations
from recal.evaluation.arm import Arm
from recal.evaluation.gates import FewShot, Saved
from recal.evaluation.held import Deck, HeldOut, held_out
from recal.maths.metrics import rates_at
from recal.method import Examples, Method, Thresholded
from recal.prompts import Prompt
from recal.recalibrate import PAPER, RecalibrationPlan, calibrate_source, recalibrate_together
from services.domain import Action
from tests.unit.recal.evaluation.stage import LANGUAGES, asked, methods, pool, readout

SW, _, _, EN = held_out(asked(), LANGUAGES)


def actions(method: Method, part: HeldOut, examples: Examples | None = None) -> list[Action]:
    return [t.action for t in method.treat(part.questions(method), examples)]


def named(name: str) -> Method:
    return methods((name,))[-1]


def dealt(k: int = 4) -> Examples:
    return Deck(pool(), LANGUAGES).deal(k, 1)


@pytest.mark.parametrize("name", ["paper", "recal"])
def test_a_few_shot_method_does_what_the_saved_calibration_would(name: str) -> None:
    plan = {"paper": PAPER, "recal": RecalibrationPlan()}[name]
    others = ("sw", "yo", "ar")
    made = recalibrate_together(readout(), dealt().activations, others, plan=plan)
    saved = Saved(readout(), {"sw": made["sw"].calibration})
    assert actions(named(name), SW, dealt()) == actions(saved, SW)


def test_the_other_languages_examples_are_a_prior_of_recal_and_not_of_the_paper() -> None:
    alone = Deck(pool(), ("sw",)).deal(1, 3)
    beside = Deck(pool(), LANGUAGES).deal(1, 3)
    for name, differs in (("recal", True), ("paper", False)):
        steer = [named(name).thresholds("sw", examples).steer for examples in (alone, beside)]
        assert (steer[0] != steer[1]) is differs


def test_pairs_of_prompts_make_a_single_example_surer() -> None:
    deck = Deck(pool(), LANGUAGES)
    alone, paired = (
        np.std([named(name).thresholds("sw", deck.deal(1, n)).steer for n in range(1, 13)])
        for name in ("recal", "recal_pairs")
    )
    assert paired < alone / 2


def test_pairs_need_a_source_language_among_the_evaluated_ones() -> None:
    few = pool().subset([i for i, p in enumerate(pool().prompts) if p.language in ("sw", "yo")])
    method = FewShot("recal_pairs", "", readout(), RecalibrationPlan(), few, pairs=True)
    with pytest.raises(ValueError, match="`recal_pairs` needs prompts of a source language"):
        method.thresholds("sw", Deck(few, ("sw", "yo")).deal(1, 1))


def test_every_draw_has_thresholds_of_its_own() -> None:
    recal, deck = named("recal"), Deck(pool(), LANGUAGES)
    found = [recal.thresholds("sw", deck.deal(4, number)).steer for number in (1, 2, 1)]
    assert found[0] == found[2] != found[1]


def test_three_zones_leave_some_untouched_and_two_ways_none() -> None:
    assert Action.NONE not in actions(named("paper"), SW, dealt(1))
    wide = FewShot("wide", "wide", readout(), RecalibrationPlan(c=4.0), pool())
    assert Action.NONE in actions(wide, SW, dealt(1))


def test_a_source_language_needs_no_example() -> None:
    own = calibrate_source(readout(), pool(), "en").thresholds.steer
    for name, steer in (("paper", readout().source_threshold), ("recal", own)):
        method = named(name)
        assert isinstance(method, Thresholded)
        assert method.thresholds("en", None).steer == steer
        found = actions(method, EN)
        scores = np.concatenate(EN.scores(readout()))
        steered = np.array([a is Action.STEER for a in found])
        assert np.array_equal(steered, scores >= steer)


def _pool_with_low_harmful_prompts() -> Activations:
    """Enough English prompts to release, two harmful ones of which score like harmless ones."""
    many = pool(150)
    residuals = many.residuals.copy()
    english = [i for i, p in enumerate(many.prompts) if (p.language, p.harmful) == ("en", True)]
    residuals[english[:2], :, 0] -= 6.0
    return replace(many, residuals=residuals)


def test_a_source_language_asks_once_what_it_would_lose_by_releasing() -> None:
    asked_for: list[Action] = []

    def refuses(prompts: Sequence[Prompt], action: Action) -> list[bool]:
        asked_for.append(action)
        return [action is Action.NONE] * len(prompts)

    pooled = _pool_with_low_harmful_prompts()
    method = FewShot("recal", "", readout(), RecalibrationPlan(), pooled, refuses=refuses)
    found = [method.thresholds("en", None) for _ in range(2)]
    assert found[0] == found[1]
    assert asked_for == [Action.NONE, Action.RELEASE]
    free = FewShot(
        "recal", "", readout(), RecalibrationPlan(), pooled, refuses=lambda p, a: [False] * len(p)
    )
    lower, higher = found[0].release, free.thresholds("en", None).release
    assert lower is not None
    assert higher is not None
    assert lower < higher


def test_a_few_shot_method_without_examples_is_an_error() -> None:
    with pytest.raises(ValueError, match="`recal` needs examples of `sw`"):
        actions(named("recal"), SW)


def test_a_score_that_is_not_finite_is_refused_with_its_language() -> None:
    residuals = asked().residuals.copy()
    residuals[0] = np.nan
    broken, *_ = held_out(replace(asked(), residuals=residuals), LANGUAGES)
    for name in ("recal", "best"):
        with pytest.raises(ValueError, match="scores of `sw`.*non-finite"):
            actions(named(name), broken, dealt())


def test_no_threshold_has_a_better_j_than_the_best() -> None:
    (many,) = held_out(asked(150), ("sw",))
    scores = many.scores(readout())
    steered = np.array([a is Action.STEER for a in actions(named("best"), many)])
    best = steered[:150].mean() - steered[150:].mean()
    others = [rates_at(*scores, t) for t in np.concatenate(scores)]
    assert best >= max(r.tpr - r.fpr for r in others)
    source = rates_at(*scores, readout().source_threshold)
    assert best > source.tpr - source.fpr + 0.2


def test_the_oracle_steers_the_harmful_and_releases_the_others() -> None:
    assert actions(named("oracle"), SW) == [Action.STEER] * 20 + [Action.RELEASE] * 20


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("untouched", Action.NONE),
        ("steer_all", Action.STEER),
        ("release_all", Action.RELEASE),
        ("ablate_all", Action.RELEASE),
    ],
)
def test_an_ungated_method_does_the_same_to_every_prompt(name: str, action: Action) -> None:
    assert actions(named(name), SW) == [action] * 40


def test_a_language_without_a_saved_calibration_is_named() -> None:
    with pytest.raises(ValueError, match="no saved calibration of `sw`"):
        actions(Saved(readout(), {}), SW)


def test_examples_decide_in_languages_alone_that_are_not_sources() -> None:
    assert Arm(named("recal"), 4).k_of("yo") == 4
    assert not named("recal").needs_examples("de")
    assert not any(named(n).needs_examples("sw") for n in ("oracle", "best", "steer_all"))
