"""The search for how to steer: layer, form, scope and strength."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from recal.fit import direction_at
from recal.prompts import Prompt
from recal.search import Found, Kind, SearchPlan, SearchWatch, Trial, search, steering_of
from services.domain import Action
from services.generation.treatment import Move, Treatment
from services.readout.bundle import ReleaseForm, Scope, SteerForm, SteeringStatistics
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import PLAN
from tests.unit.recal.treated import LiteralJudge, Says

KNOWN = activations(("en", "de", "fr"))
VALIDATION = activations(("en", "ar"), n=5, seed=4, split="validation").prompts
EVERY_LAYER = SearchPlan(layers=(0, 1, 2))
GAPS = {layer: direction_at(KNOWN, layer, PLAN).statistics.gap for layer in (0, 1, 2)}


def multiple_of(move: Move) -> float:
    """λ of a steering move; releasing moves have none."""
    if move.push.scale == 0.0:
        return move.push.shift / GAPS[move.layer]
    return -move.push.scale if move.push.low == 0.0 else 0.0


def window(
    layer: int, *, enough: float, too_much: float, only: Callable[[Move], bool] = lambda m: True
) -> Says:
    """Refuses when pushed enough at one layer, and breaks when pushed too far anywhere."""

    def answer(prompt: Prompt, treatment: Treatment) -> str:
        pushed = [m for m in treatment.moves if multiple_of(m) > 0.0]
        if any(multiple_of(m) >= too_much for m in pushed):
            return "noise"
        acts = any(m.layer == layer and multiple_of(m) >= enough and only(m) for m in pushed)
        return "refuse" if acts else "comply"

    return Says(answer)


def run(model: Says, plan: SearchPlan = EVERY_LAYER, watch: SearchWatch | None = None) -> Found:
    return search(
        KNOWN,
        VALIDATION,
        model=model,
        judge=LiteralJudge(),
        plan=plan,
        fit_plan=PLAN,
        watch=watch,
    )


def test_the_layer_and_strength_that_act_without_breaking_the_text_are_found() -> None:
    found = run(window(1, enough=0.7, too_much=1.4))
    assert found.steering.layer == 1
    assert 0.7 <= found.chosen.multiple < 1.4
    assert found.steering.coefficient == pytest.approx(found.chosen.multiple * GAPS[1])
    assert (found.chosen.steered_harmless, found.chosen.degenerate) == (1.0, 0.0)


@pytest.mark.parametrize(("enough", "too_much", "middle"), [(0.5, 1.2, 0.75), (0.7, 1.9, 1.0)])
def test_the_middle_of_the_window_is_chosen(enough: float, too_much: float, middle: float) -> None:
    assert run(window(2, enough=enough, too_much=too_much)).chosen.multiple == middle


def test_among_equals_the_papers_own_strength_form_and_scope_are_chosen_and_the_latest_layer() -> (
    None
):
    found = run(Says(lambda prompt, treatment: "refuse"))
    assert found.chosen.multiple == 1.0
    assert found.chosen.kind == Kind(2, SteerForm.ADD, Scope.LAST_THEN_DECODE)


@pytest.mark.parametrize("scope", [Scope.LAST, Scope.PROMPT])
def test_the_scope_that_alone_works_is_found(scope: Scope) -> None:
    found = run(window(1, enough=0.7, too_much=9.0, only=lambda m: m.scope is scope))
    assert (found.steering.scope, found.steering.form) == (scope, SteerForm.ADD)


def test_steering_to_the_target_is_found_where_adding_breaks_the_text() -> None:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        adds = any(m.push.scale == 0.0 for m in treatment.moves)
        return "noise" if adds else "refuse"

    found = run(Says(answer))
    assert found.steering.form is SteerForm.TO_TARGET
    assert found.steering.coefficient == found.chosen.multiple
    expected = direction_at(KNOWN, found.steering.layer, PLAN).statistics
    assert found.steering.statistics == SteeringStatistics(*expected)


def test_every_trial_of_the_close_look_is_told_and_texts_are_counted_to_the_end() -> None:
    trials: list[Trial] = []
    counts: list[tuple[int, int]] = []
    model = window(1, enough=0.7, too_much=99.0)
    watch = SearchWatch(texts=lambda *n: counts.append(n), tried=trials.append)
    found = run(model, watch=watch)
    assert tuple(trials) == found.trials
    assert len(trials) == EVERY_LAYER.n_finalists * len(EVERY_LAYER.multiples)
    assert counts[-1] == (model.n_texts, model.n_texts)
    assert counts == sorted(counts, key=lambda n: n[0])
    assert counts[0][1] >= model.n_texts


def test_nothing_is_chosen_when_everything_degenerates() -> None:
    with pytest.raises(ValueError, match="degenerate text"):
        run(window(1, enough=0.0, too_much=0.0))


def test_one_degenerate_text_in_fifty_is_allowed_and_two_are_not() -> None:
    texts = activations(("en", "ar"), n=25, seed=4, split="validation").prompts

    def breaking(n: int) -> Says:
        broken = {p.text for p in [p for p in texts if not p.harmful][:n]}
        return Says(lambda p, t: "noise" if p.text in broken else "refuse")

    def tried(n: int) -> Found:
        plan = replace(EVERY_LAYER, layers=(1,))
        return search(
            KNOWN, texts, model=breaking(n), judge=LiteralJudge(), plan=plan, fit_plan=PLAN
        )

    assert tried(1).chosen.degenerate == 0.02
    with pytest.raises(ValueError, match="degenerate text"):
        tried(2)


def test_validation_prompts_of_one_class_are_not_enough() -> None:
    with pytest.raises(ValueError, match="both classes"):
        search(
            KNOWN,
            [p for p in VALIDATION if p.harmful],
            model=window(1, enough=1.0, too_much=9.0),
            judge=LiteralJudge(),
            plan=SearchPlan(),
            fit_plan=PLAN,
        )


def test_the_layers_tried_by_default_leave_out_both_ends_and_are_not_many() -> None:
    assert SearchPlan().layers_of(6) == (1, 2, 3, 4)
    assert SearchPlan().layers_of(28) == (5, 8, 11, 14, 17, 20, 23, 26)
    assert SearchPlan().layers_of(1) == (0,)


def test_the_coarse_round_tries_every_second_strength() -> None:
    assert SearchPlan().coarse == (0.5, 1.0, 1.5)
    assert SearchPlan(multiples=(0.5,)).coarse == (0.5,)
    with pytest.raises(ValueError, match="do not rise"):
        SearchPlan(multiples=(1.0, 0.5))


def test_a_strength_of_zero_is_the_untouched_model() -> None:
    places = {1: direction_at(KNOWN, 1, PLAN)}
    for form in SteerForm:
        steering = steering_of(Kind(1, form, Scope.LAST), 0.0, places)
        (move,) = Treatment(Action.STEER, steering).moves
        assert (move.push.shift, abs(move.push.scale)) == (0.0, 0.0)


def test_what_releases_and_what_the_paper_would_choose_come_along() -> None:
    found = run(window(1, enough=0.7, too_much=9.0))
    assert found.steering.release is found.release.release
    assert found.release.release.form is ReleaseForm.NOTHING
    assert found.paper.steering.scope is Scope.LAST_THEN_DECODE
    assert "block 1" in found.chosen.in_words
