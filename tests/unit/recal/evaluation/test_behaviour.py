"""What a model did to one language's prompts."""

from dataclasses import replace

import pytest

from recal.evaluation.behaviour import (
    behaviour_of,
    data_digest,
    harmful_change,
    mean_behaviour,
)
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


def test_a_change_is_after_minus_before_of_harmful_prompts_alone() -> None:
    prompts = activations(("sw",), n=20).prompts
    before = [ANSWERED] * len(prompts)
    after = [REFUSED if p.harmful else ANSWERED for p in prompts]
    up, down = harmful_change(prompts, before, after), harmful_change(prompts, after, before)
    assert 50.0 < up.low < 100.0
    assert up.high == pytest.approx(100.0)
    assert (down.low, down.high) == pytest.approx((-up.high, -up.low))


def test_alike_answers_to_few_prompts_say_little_of_a_change() -> None:
    few, many = (activations(("sw",), n=n).prompts for n in (4, 40))
    widths = [harmful_change(p, [REFUSED] * len(p), [REFUSED] * len(p)).low for p in (few, many)]
    assert widths[0] < -40.0
    assert -10.0 < widths[1] < 0.0


def test_data_is_known_by_what_it_holds_and_not_by_its_order() -> None:
    prompts = list(activations(("sw",), n=3).prompts)
    digest = data_digest(prompts)
    assert data_digest(prompts[::-1]) == digest
    assert data_digest(prompts[:-1]) != digest
    turned = replace(prompts[0], harmful=not prompts[0].harmful)
    assert data_digest([turned, *prompts[1:]]) != digest
    assert prompts[0].text not in digest
