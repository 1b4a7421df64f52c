"""What a model did to one language's prompts."""

import pytest

from recal.evaluation.behaviour import behaviour_of, mean_behaviour
from recal.judge import Judgement
from tests.unit.recal.synthetic import activations

REFUSED, ANSWERED = Judgement(True, False, None), Judgement(False, False, None)
NOISE = Judgement(False, True, None)


def test_degenerate_texts_are_counted_and_are_no_refusals() -> None:
    prompts = activations(("sw",), n=2).prompts
    behaviour = behaviour_of(prompts, [REFUSED, NOISE, ANSWERED, NOISE])
    assert (behaviour.harmful_refusal, behaviour.harmless_refusal) == (50.0, 0.0)
    assert behaviour.degenerate == 50.0
    assert behaviour.delta_low < behaviour.delta < behaviour.delta_high


def test_a_class_without_answers_is_an_error() -> None:
    prompts = [p for p in activations(("sw",), n=2).prompts if p.harmful]
    with pytest.raises(ValueError, match="harmless"):
        behaviour_of(prompts, [REFUSED] * 2)


def test_the_mean_of_draws_is_taken_field_by_field() -> None:
    prompts = activations(("sw",), n=1).prompts
    draws = [behaviour_of(prompts, [REFUSED, ANSWERED]), behaviour_of(prompts, [NOISE, ANSWERED])]
    mean = mean_behaviour(draws)
    assert (mean.harmful_refusal, mean.delta, mean.degenerate) == (50.0, 50.0, 25.0)


def test_no_draws_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no draws"):
        mean_behaviour([])
