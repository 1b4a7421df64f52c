"""The search for the acting layer and the coefficient."""

from collections.abc import Sequence

import pytest

from recal.judge import Exchange, Judgement
from recal.prompts import Prompt
from recal.search import Found, SearchPlan, search
from services.domain import Action
from services.readout.bundle import Steering
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import PLAN


class LiteralJudge:
    """Reads the fake model's own words."""

    name = "literal"

    def judge_all(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return [Judgement(e.text == "refuse", e.text == "noise", None) for e in exchanges]


class Window:
    """A fake model that refuses when pushed enough at one layer, and breaks when pushed too far."""

    def __init__(self, *, layer: int, enough: float, too_much: float) -> None:
        self._layer, self._enough, self._too_much = layer, enough, too_much

    def __call__(self, prompts: Sequence[Prompt], action: Action, steering: Steering) -> list[str]:
        if action is Action.STEER and steering.coefficient >= self._too_much:
            return ["noise"] * len(prompts)
        pushed = action is Action.STEER and steering.layer == self._layer
        refuses = pushed and steering.coefficient >= self._enough
        return ["refuse" if refuses else "comply"] * len(prompts)


def _run(model: Window, plan: SearchPlan | None = None) -> Found:
    known = activations(("en", "de", "fr"))
    validation = activations(("en",), n=5, seed=4, split="validation").prompts
    return search(
        known,
        validation,
        generate=model,
        judge=LiteralJudge(),
        plan=plan or SearchPlan(layers=(0, 1, 2)),
        fit_plan=PLAN,
    )


def test_the_layer_and_strength_that_act_without_breaking_the_text_are_found() -> None:
    found = _run(Window(layer=1, enough=4.0, too_much=9.0))
    assert found.steering.layer == 1
    assert 4.0 <= found.steering.coefficient < 9.0
    assert (found.chosen.steered_harmless, found.chosen.degenerate) == (1.0, 0.0)


def test_among_equals_the_papers_own_strength_is_chosen() -> None:
    found = _run(Window(layer=1, enough=0.0, too_much=99.0))
    assert found.chosen.multiple == 1.0


def test_every_trial_is_reported() -> None:
    found = _run(Window(layer=1, enough=4.0, too_much=99.0))
    assert len(found.trials) == SearchPlan(layers=(0, 1, 2)).n_trials(3) > 3


def test_text_that_breaks_when_every_token_is_pushed_is_steered_at_the_last_prompt_token() -> None:
    class Fragile(Window):
        def __call__(
            self, prompts: Sequence[Prompt], action: Action, steering: Steering
        ) -> list[str]:
            if action is Action.STEER and steering.decodes:
                return ["noise"] * len(prompts)
            return super().__call__(prompts, action, steering)

    found = _run(Fragile(layer=1, enough=4.0, too_much=99.0))
    assert not found.steering.decodes


def test_the_papers_scope_wins_where_both_do_the_same() -> None:
    assert _run(Window(layer=1, enough=4.0, too_much=99.0)).steering.decodes


def test_nothing_is_chosen_when_everything_degenerates() -> None:
    with pytest.raises(ValueError, match="degenerate text"):
        _run(Window(layer=1, enough=0.0, too_much=0.0))


def test_validation_prompts_of_one_class_are_not_enough() -> None:
    known = activations(("en", "de", "fr"))
    harmful = [p for p in known.prompts if p.harmful]
    with pytest.raises(ValueError, match="both classes"):
        search(
            known,
            harmful,
            generate=Window(layer=1, enough=1.0, too_much=9.0),
            judge=LiteralJudge(),
            plan=SearchPlan(),
            fit_plan=PLAN,
        )


def test_the_layers_tried_by_default_leave_out_both_ends() -> None:
    assert SearchPlan().layers_of(6) == (1, 2, 3, 4)
    assert SearchPlan().layers_of(28)[0] == 5
