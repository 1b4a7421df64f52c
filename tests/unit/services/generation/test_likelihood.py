"""Likelihoods of given texts: what the decode loop would have written them with."""

from __future__ import annotations

import pytest
import torch

from services.backbone.chat import encode
from services.backbone.hooks import edit
from services.backbone.load import Backbone
from services.domain import Action
from services.errors import InvalidRequest, ServiceError
from services.generation.intervention import Phase, Span
from services.generation.likelihood import GivenText, likelihoods
from services.generation.moving import packed_edits
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.services.generation.rows import PROMPTS, a_row, mixed, tokens_alone
from tests.unit.services.tiny import tiny_readout

ANSWERS = ("bread", " oven without home", "x", "जा tanuri bila")


def given(backbone: Backbone, prompt: str, answer: str, treatment: Treatment) -> GivenText:
    token_ids = backbone.tokenizer(answer, add_special_tokens=False)["input_ids"]
    return GivenText(tuple(encode(backbone.tokenizer, prompt)), tuple(token_ids), treatment)


def in_one_pass(backbone: Backbone, text: GivenText) -> float:
    """The same without keys and values: prompt and text in one pass, each part edited its way."""
    n = len(text.prompt_ids)
    ids = torch.tensor([[*text.prompt_ids, *text.token_ids]])
    # two spans of one sequence: the model's own attention lets the text see its prompt
    spans = [Span(n, Phase.PREFILL), Span(len(text.token_ids), Phase.DECODE)]
    edits = packed_edits([text.treatment] * 2, spans, ids.device)
    with torch.inference_mode(), edit(backbone.blocks, edits):
        logits = backbone.model(input_ids=ids).logits[0, n - 1 : -1].float()
    chosen = torch.log_softmax(logits, -1).gather(-1, ids[0, n:, None])
    return float(chosen.sum())


def every_pair(backbone: Backbone) -> list[GivenText]:
    treatments = mixed(tiny_readout(backbone))
    return [given(backbone, p, a, t) for p in PROMPTS for t in treatments for a in ANSWERS]


@pytest.mark.parametrize("max_rows", [1, 7, 200])
def test_a_text_is_as_likely_as_in_one_pass_over_prompt_and_text(
    backbone: Backbone, max_rows: int
) -> None:
    texts = every_pair(backbone)
    found = [x.log_probability for x in likelihoods(backbone, texts, max_rows=max_rows)]
    assert found == pytest.approx([in_one_pass(backbone, text) for text in texts], abs=2e-3)


@pytest.mark.parametrize("action", [Action.NONE, Action.STEER, Action.RELEASE])
def test_what_the_decode_loop_writes_is_greedy_and_another_text_is_not(
    backbone: Backbone, action: Action
) -> None:
    steering = None if action is Action.NONE else tiny_readout(backbone).steering
    treatment = Treatment(action, steering)
    row = a_row(backbone, treatment=treatment, max_tokens=8)
    written = tuple(tokens_alone(backbone, row))
    other = (*written[:-1], written[-1] ^ 1)
    texts = [GivenText(row.prompt_ids, tokens, treatment) for tokens in (written, other)]
    same, different = likelihoods(backbone, texts)
    assert (same.is_greedy, different.is_greedy) == (True, False)
    assert same.log_probability > different.log_probability


def test_the_treatment_acts_on_the_texts_own_tokens(qwen2: Backbone) -> None:
    steering = tiny_readout(qwen2).steering
    both = [Treatment(Action.STEER, steering), UNTOUCHED]
    first = [given(qwen2, PROMPTS[0], "a", t) for t in both]
    longer = [given(qwen2, PROMPTS[0], "a b c d e", t) for t in both]
    steered, untouched = likelihoods(qwen2, longer)
    steered_first, untouched_first = likelihoods(qwen2, first)
    rest = steered.log_probability - steered_first.log_probability
    untouched_rest = untouched.log_probability - untouched_first.log_probability
    assert abs(rest - untouched_rest) > 1e-2


def test_probabilities_of_all_one_token_texts_sum_to_one(qwen2: Backbone) -> None:
    prompt_ids = tuple(encode(qwen2.tokenizer, PROMPTS[1]))
    texts = [GivenText(prompt_ids, (token,), UNTOUCHED) for token in range(len(qwen2.tokenizer))]
    found = torch.tensor([x.log_probability for x in likelihoods(qwen2, texts)])
    assert float(found.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(found[:-1].exp().sum()) < 1.0


def test_progress_is_reported(qwen2: Backbone) -> None:
    seen: list[tuple[int, int]] = []
    texts = [given(qwen2, prompt, "a b", UNTOUCHED) for prompt in PROMPTS[:3]]
    likelihoods(qwen2, texts, max_rows=2, report=lambda *n: seen.append(n))
    assert seen == [(2, 3), (3, 3)]


def test_no_texts_have_no_likelihoods(qwen2: Backbone) -> None:
    assert likelihoods(qwen2, []) == []


def test_a_text_without_tokens_is_named(qwen2: Backbone) -> None:
    with pytest.raises(ValueError, match="text 1 has no tokens"):
        likelihoods(qwen2, [given(qwen2, "hi", a, UNTOUCHED) for a in ("a", "")])


def test_a_text_may_fill_the_context_and_no_more(qwen2: Backbone) -> None:
    prompt_ids = tuple(encode(qwen2.tokenizer, "hi"))
    room = qwen2.max_prompt_tokens - len(prompt_ids)
    likelihoods(qwen2, [GivenText(prompt_ids, (7,) * room, UNTOUCHED)])
    with pytest.raises(InvalidRequest, match=f"text have {qwen2.max_prompt_tokens + 1} tokens"):
        likelihoods(qwen2, [GivenText(prompt_ids, (7,) * (room + 1), UNTOUCHED)])


def test_logits_that_are_not_finite_are_an_error(qwen2: Backbone) -> None:
    spoil = qwen2.blocks[-1].register_forward_hook(lambda module, args, out: out * float("nan"))
    try:
        with pytest.raises(ServiceError, match="not finite"):
            likelihoods(qwen2, [given(qwen2, "hi", "a", UNTOUCHED)])
    finally:
        spoil.remove()
