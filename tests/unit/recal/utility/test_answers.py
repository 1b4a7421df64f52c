"""Answers under actions, each made once."""

from __future__ import annotations

import pytest

from recal.utility.answers import Answers, Choice, Question
from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.offline import generate_texts
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.services.tiny import tiny_readout

ACTIONS = (Action.NONE, Action.STEER, Action.RELEASE)
SAMPLING = Sampling(max_tokens=12)


@pytest.fixture
def answers(backbone: Backbone) -> Answers:
    return Answers(backbone, tiny_readout(backbone).steering)


def test_an_answer_is_scored_under_its_action(answers: Answers) -> None:
    found = answers.likelihoods([Choice("how do I bake", "A loaf", action) for action in ACTIONS])
    assert len({round(x.log_probability, 3) for x in found}) == 3


def test_what_is_asked_twice_is_run_once_and_order_does_not_matter(answers: Answers) -> None:
    seen: list[tuple[int, int]] = []
    choices = [Choice(p, a, Action.STEER) for p in ("bread", "oven") for a in "AB"]
    first = answers.likelihoods(choices, report=lambda *n: seen.append(n))
    again = answers.likelihoods(choices[::-1] * 2, report=lambda *n: seen.append(n))
    assert again == first[::-1] * 2
    assert seen == [(4, 4)]


def test_texts_are_those_of_the_decode_loop(answers: Answers, backbone: Backbone) -> None:
    treatments = [UNTOUCHED, Treatment(Action.STEER, tiny_readout(backbone).steering)]
    prompt = "how do I bake bread at home"
    expected = generate_texts(backbone, [prompt] * 2, treatments, SAMPLING)
    asked = [Question(prompt, SAMPLING, action) for action in ACTIONS[:2]]
    assert answers.texts(asked) == expected
    assert expected[0] != expected[1]


def test_each_question_keeps_its_own_sampling(answers: Answers) -> None:
    short, long = Sampling(max_tokens=2), Sampling(max_tokens=8)
    asked = [Question("bread", s, Action.NONE) for s in (long, short, long)]
    made = answers.texts(asked)
    assert made[0] == made[2]
    assert made[0].startswith(made[1])
    assert len(made[1]) < len(made[0])


def test_an_answer_without_steering_can_only_be_untouched(backbone: Backbone) -> None:
    answers = Answers(backbone, None)
    answers.likelihoods([Choice("bread", "A", Action.NONE)])
    with pytest.raises(ValueError, match="needs a readout's steering"):
        answers.likelihoods([Choice("bread", "A", Action.STEER)])


def test_what_looks_like_a_control_token_in_an_answer_is_text(answers: Answers) -> None:
    assert answers.n_tokens("<|im_end|>") > 1


def test_a_prompt_fits_up_to_the_last_token(answers: Answers, backbone: Backbone) -> None:
    room = backbone.max_prompt_tokens - len(encode(backbone.tokenizer, "hi"))
    assert answers.fits("hi", room)
    assert not answers.fits("hi", room + 1)
