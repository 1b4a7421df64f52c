import dataclasses

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from services.backbone.blocks import find_blocks
from services.backbone.hooks import capture
from services.backbone.load import Backbone
from services.domain import Action
from services.generation.decode import Batch
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.services.generation.rows import (
    PROMPTS,
    a_row,
    every_form,
    mixed,
    tokens_alone,
    tokens_of,
)
from tests.unit.services.tiny import tiny_readout


def mixed_rows(backbone: Backbone, **sampling: object) -> list[Row]:
    """Rows of two readouts that act on different blocks, with answers of different lengths."""
    readouts = (
        tiny_readout(backbone, acts_at=2),
        tiny_readout(backbone, acts_at=1, seed=3, version="tiny@2"),
    )
    return [
        a_row(backbone, prompt, treatment, **{"max_tokens": 8 + 5 * i, "seed": i} | sampling)
        for i, (prompt, treatment) in enumerate(zip(PROMPTS, mixed(*readouts), strict=False))
    ]


def test_a_mixed_batch_gives_every_row_the_tokens_it_gets_alone(backbone: Backbone):
    together = tokens_of(Batch(backbone, least_columns=16), [mixed_rows(backbone)])
    alone = [tokens_alone(backbone, row) for row in mixed_rows(backbone)]
    assert list(together.values()) == alone
    assert len({tuple(tokens[:8]) for tokens in alone}) == len(alone)


def rows_of_every_form(backbone: Backbone) -> list[Row]:
    treatments = [UNTOUCHED, *every_form(tiny_readout(backbone))]
    return [
        a_row(backbone, PROMPTS[i % len(PROMPTS)], treatment, max_tokens=6 + i % 5)
        for i, treatment in enumerate(treatments)
    ]


def test_every_form_and_scope_shares_a_batch_and_each_row_keeps_its_own_tokens(backbone: Backbone):
    together = tokens_of(Batch(backbone, least_columns=16), [rows_of_every_form(backbone)])
    alone = [tokens_alone(backbone, row) for row in rows_of_every_form(backbone)]
    assert list(together.values()) == alone


def test_rows_of_every_form_join_a_running_batch_and_keep_their_own_tokens(backbone: Backbone):
    rows = rows_of_every_form(backbone)
    together = tokens_of(
        Batch(backbone, least_columns=16), [rows[:7], [], rows[7:12], [], rows[12:]]
    )
    assert list(together.values()) == [
        tokens_alone(backbone, row) for row in rows_of_every_form(backbone)
    ]


def test_every_form_and_scope_changes_the_answer(qwen2: Backbone):
    untouched = tokens_alone(qwen2, a_row(qwen2))
    for treatment in every_form(tiny_readout(qwen2)):
        assert tokens_alone(qwen2, a_row(qwen2, treatment=treatment)) != untouched


def test_rows_that_join_a_running_batch_get_the_tokens_they_get_alone(backbone: Backbone):
    rows = mixed_rows(backbone)
    together = tokens_of(
        Batch(backbone, least_columns=16), [rows[:2], [], rows[2:3], [], [], rows[3:]]
    )
    assert list(together.values()) == [tokens_alone(backbone, r) for r in mixed_rows(backbone)]


def test_rows_are_treated_at_all(backbone: Backbone):
    steering = tiny_readout(backbone).steering
    texts = [
        tuple(tokens_alone(backbone, a_row(backbone, treatment=treatment)))
        for treatment in (
            UNTOUCHED,
            Treatment(Action.STEER, steering),
            Treatment(Action.RELEASE, steering),
        )
    ]
    assert len(set(texts)) == 3


def test_untouched_greedy_rows_equal_transformers_generate(backbone: Backbone):
    rows = [a_row(backbone, prompt) for prompt in PROMPTS]
    together = tokens_of(Batch(backbone, least_columns=16), [rows[:4], rows[4:]])
    for row, tokens in together.items():
        ids = torch.tensor([row.prompt_ids])
        generated = backbone.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=24,
            do_sample=False,
            eos_token_id=None,
        )
        assert tokens == generated[0, ids.shape[1] :].tolist()


def residuals_of_first_row(backbone: Backbone, rows: list[Row]) -> list[Tensor]:
    """The first row's residual after the last block, in the prefill and three decode steps."""
    batch, found, n_prompt = Batch(backbone), [], len(rows[0].prompt_ids)
    last = len(backbone.blocks) - 1
    for step in range(4):
        with capture(backbone.blocks, [last]) as captured:
            tokens = batch.admit(rows) if step == 0 else batch.advance()
        found.append(captured[last][0, : n_prompt if step == 0 else 1])
        for row, token in zip(rows, tokens, strict=True):
            row.accept(token)
    return found


def test_an_untouched_row_is_bit_identical_to_a_run_without_hooks(backbone: Backbone):
    steering = tiny_readout(backbone).steering
    actions = (Action.NONE, Action.STEER, Action.RELEASE)
    hooked = [
        a_row(backbone, prompt, Treatment(action, steering))
        for prompt, action in zip(PROMPTS, actions, strict=False)
    ]
    plain = [a_row(backbone, p) for p in PROMPTS[:3]]
    with_hooks = residuals_of_first_row(backbone, hooked)
    without = residuals_of_first_row(backbone, plain)
    assert all(torch.equal(a, b) for a, b in zip(with_hooks, without, strict=True))


def test_a_released_row_has_no_component_left_and_a_steered_one_is_moved(backbone: Backbone):
    steering = dataclasses.replace(tiny_readout(backbone).steering, coefficient=100.0)
    released, steered = (Treatment(a, steering) for a in (Action.RELEASE, Action.STEER))
    rows = [a_row(backbone, PROMPTS[0], released), a_row(backbone, PROMPTS[1], steered)]
    batch = Batch(backbone)
    # a hook on the block itself would run before the batch's own, so the next one's input is read
    seen: list[Tensor] = []
    following = backbone.blocks[steering.layer + 1]
    handle = following.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        for row, token in zip(rows, batch.admit(rows), strict=True):
            row.accept(token)
        batch.advance()
    finally:
        handle.remove()
    prefill, decode = ((hidden @ steering.direction)[0] for hidden in seen)
    n_released = len(rows[0].prompt_ids)
    assert prefill[:n_released].abs().max() < 1e-4
    assert decode[0].abs() < 1e-4
    assert prefill[-1] > 50
    assert prefill[n_released:-1].max() < 50
    assert decode[1] > 50


def test_a_seed_gives_the_same_tokens_alone_and_in_any_batch(backbone: Backbone):
    sampling = {"temperature": 1.2, "top_p": 0.9, "max_tokens": 20}
    together = tokens_of(Batch(backbone, least_columns=16), [mixed_rows(backbone, **sampling)])
    alone = [tokens_alone(backbone, r) for r in mixed_rows(backbone, **sampling)]
    assert list(together.values()) == alone


def test_another_seed_gives_other_tokens_and_no_seed_a_new_one(qwen2: Backbone):
    seeds = (1, 2, 2**64 - 1, None, None)
    texts = [tokens_alone(qwen2, a_row(qwen2, temperature=1.0, seed=seed)) for seed in seeds]
    assert len({tuple(text) for text in texts}) == len(seeds)


def test_greedy_and_sampled_rows_share_a_batch(qwen2: Backbone):
    def rows() -> list[Row]:
        return [a_row(qwen2), a_row(qwen2, temperature=1.0, seed=4), a_row(qwen2, PROMPTS[1])]

    together = tokens_of(Batch(qwen2, least_columns=16), [rows()])
    assert list(together.values()) == [tokens_alone(qwen2, row) for row in rows()]


def test_a_row_that_changes_its_place_among_the_others_keeps_its_own_treatment(qwen2: Backbone):
    steered = Treatment(Action.STEER, tiny_readout(qwen2).steering)

    def rows() -> list[Row]:
        growing = a_row(qwen2, "a" * 45, steered, max_tokens=30)
        assert 50 < len(growing.prompt_ids) < 64 < growing.most_tokens
        return [growing, a_row(qwen2, "hi", max_tokens=30)]

    together = tokens_of(Batch(qwen2, least_columns=16), [rows()])
    assert list(together.values()) == [tokens_alone(qwen2, row) for row in rows()]


def test_positions_are_right_where_they_are_absolute(qwen2: Backbone):
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=320, initializer_range=0.3)
    model = GPT2LMHeadModel(config).eval()
    absolute = dataclasses.replace(qwen2, model=model, blocks=find_blocks(model))

    def rows() -> list[Row]:
        return [a_row(absolute, prompt, max_tokens=6 + i) for i, prompt in enumerate(PROMPTS)]

    mine = rows()
    together = tokens_of(Batch(absolute, least_columns=16), [mine[:3], mine[3:]])
    assert list(together.values()) == [tokens_alone(absolute, row) for row in rows()]


def test_a_prefill_that_fails_leaves_the_running_rows_as_they_were(qwen2: Backbone):
    expected = tokens_alone(qwen2, a_row(qwen2))
    outside = Row([10**6], UNTOUCHED, a_row(qwen2).sampling, tokenizer=None, ends=frozenset())
    batch, row = Batch(qwen2), a_row(qwen2)
    tokens = batch.admit([row])
    row.accept(tokens[0])
    with pytest.raises(IndexError):
        batch.admit([outside])
    batch.keep([row])
    for _ in range(5):
        tokens += batch.advance()
        row.accept(tokens[-1])
    assert tokens == expected[:6]
