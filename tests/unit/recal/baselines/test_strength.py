"""How strong a baseline's push is."""

import pytest
import torch

from recal.baselines.strength import Strength, choose_strength
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.domain import Action
from services.generation.intervention import add
from services.generation.treatment import Move, Treatment
from services.readout.bundle import Scope
from tests.unit.recal.synthetic import activations
from tests.unit.recal.treated import LiteralJudge, Says

STRENGTHS = (1.0, 2.0, 3.0, 4.0, 5.0)
TREATMENTS = [
    Treatment(Action.STEER, own=(Move(0, torch.eye(4)[0], add(strength), Scope.ALL),))
    for strength in STRENGTHS
]
VALIDATION = activations(("en",), n=4, split="validation").prompts


def chosen(enough: float, too_much: float) -> Strength:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        strength = treatment.moves[0].push.shift
        return "noise" if strength >= too_much else "refuse" if strength >= enough else "comply"

    run = TrialRun(Says(answer), LiteralJudge())
    return choose_strength(STRENGTHS, TREATMENTS, VALIDATION, run=run)


def test_a_strength_that_acts_and_keeps_the_text_whole_is_chosen() -> None:
    found = chosen(3.0, 4.0)
    assert (found.chosen, found.efficacy) == (3.0, 1.0)
    assert [each.degenerate for each in found.tried] == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_of_equals_the_one_in_the_middle_of_the_window_is_chosen() -> None:
    assert chosen(2.0, 5.0).chosen == 3.0


def test_of_those_that_do_nothing_the_gentlest_is_chosen() -> None:
    found = chosen(99.0, 99.0)
    assert (found.chosen, found.efficacy) == (1.0, 0.0)


def test_a_strength_that_breaks_one_text_in_four_is_not_chosen_however_well_it_acts() -> None:
    harmful = [prompt for prompt in VALIDATION if prompt.harmful]

    def answer(prompt: Prompt, treatment: Treatment) -> str:
        strength = treatment.moves[0].push.shift
        if strength >= 4.0 and prompt == harmful[0]:
            return "noise"
        return "refuse" if strength >= 4.0 or prompt == harmful[1] else "comply"

    found = choose_strength(
        STRENGTHS, TREATMENTS, VALIDATION, run=TrialRun(Says(answer), LiteralJudge())
    )
    assert found.chosen < 4.0
    assert found.efficacy < max(each.efficacy for each in found.tried)


def test_where_all_break_the_text_one_is_reported_all_the_same() -> None:
    found = chosen(0.0, 0.0)
    assert (found.chosen, found.efficacy) == (1.0, 0.0)


def test_prompts_of_one_class_are_not_enough() -> None:
    run = TrialRun(Says(lambda prompt, treatment: "refuse"), LiteralJudge())
    with pytest.raises(ValueError, match="both classes"):
        choose_strength(STRENGTHS, TREATMENTS, VALIDATION[:4], run=run)
