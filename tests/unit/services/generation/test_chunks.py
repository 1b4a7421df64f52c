"""Prompts that run chunk by chunk, decided and undecided."""

import math
from collections.abc import Sequence

import pytest
import torch

from services.backbone.load import Backbone
from services.domain import Action
from services.errors import ServiceError, ServiceUnavailable
from services.generation.decode import Batch
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.services.generation.deciders import REFUSE, STEER, Decider, choices_of
from tests.unit.services.generation.rows import PROMPTS, Gate, a_row, every_form, tokens_of
from tests.unit.services.tiny import tiny_readout

CHUNK = 7
"""Shorter than every prompt, and no divisor of their lengths."""


def rows_of_every_form(backbone: Backbone) -> list[Row]:
    treatments = [UNTOUCHED, *every_form(tiny_readout(backbone))]
    return [
        a_row(backbone, PROMPTS[i % len(PROMPTS)], treatment, max_tokens=6 + i % 5)
        for i, treatment in enumerate(treatments)
    ]


@pytest.mark.parametrize("chunk", [1, CHUNK, 40])
def test_chunks_give_the_tokens_of_prompts_that_run_at_once(backbone: Backbone, chunk: int):
    chunked = tokens_of(
        Batch(backbone, chunk_tokens=chunk, least_columns=16), [rows_of_every_form(backbone)]
    )
    whole = tokens_of(Batch(backbone), [rows_of_every_form(backbone)])
    assert list(chunked.values()) == list(whole.values())


def test_no_pass_takes_more_prompt_tokens_than_a_chunk_has(qwen2: Backbone, gate: Gate):
    rows = [a_row(qwen2, prompt, max_tokens=40) for prompt in PROMPTS]
    tokens_of(Batch(qwen2, chunk_tokens=CHUNK), [rows[:3], [], rows[3:]])
    assert max(gate.n_tokens) <= CHUNK + len(rows)
    assert sum(gate.n_tokens) == sum(len(row.prompt_ids) + row.n_generated - 1 for row in rows)


def test_rows_that_run_get_a_token_in_every_pass_while_a_long_prompt_joins(qwen2: Backbone):
    batch, running, long = Batch(qwen2, chunk_tokens=CHUNK), a_row(qwen2), a_row(qwen2, PROMPTS[2])
    running.accept(batch.admit([running])[0])
    batch.enter([long])
    n_passes = math.ceil(len(long.prompt_ids) / CHUNK)
    for index in range(n_passes):
        found = batch.step()
        assert running in found
        assert (long in found) == (index == n_passes - 1)
        running.accept(found[running])


def test_a_prompt_runs_in_larger_passes_where_no_row_waits_for_a_token(qwen2: Backbone, gate: Gate):
    running, alone, beside = a_row(qwen2), *(a_row(qwen2, PROMPTS[2]) for _ in range(2))
    n_prompt = len(alone.prompt_ids)
    batch, gate.n_tokens = Batch(qwen2, chunk_tokens=CHUNK, whole_tokens=n_prompt - 2), []
    batch.admit([alone])
    assert gate.n_tokens == [n_prompt - 2, 2]
    batch.clear()
    running.accept(batch.admit([running])[0])
    batch.enter([beside])
    gate.n_tokens = []
    batch.step()
    assert gate.n_tokens == [1 + CHUNK]


def test_a_second_prompt_does_not_join_one_that_takes_more_than_a_chunk(
    qwen2: Backbone, gate: Gate
):
    rows = [a_row(qwen2, prompt) for prompt in PROMPTS]
    batch = Batch(qwen2, chunk_tokens=CHUNK, whole_tokens=100)
    batch.enter(rows)
    gate.n_tokens = []
    batch.step()
    assert gate.n_tokens == [len(rows[0].prompt_ids)]


def test_prompts_run_first_come_first_served_and_fill_each_pass(qwen2: Backbone, gate: Gate):
    batch, rows = Batch(qwen2, chunk_tokens=CHUNK), [a_row(qwen2, prompt) for prompt in PROMPTS]
    batch.enter(rows)
    order: list[Row] = []
    while batch.next_to_enter():
        order += batch.step(advancing=False)
    assert order == rows
    assert gate.n_tokens[:-1] == [CHUNK] * (len(gate.n_tokens) - 1)


@pytest.mark.parametrize("reading", ["last", "instruction", "mean"])
@pytest.mark.parametrize("acts_at", [0, 1, 2, 3])
def test_an_undecided_prompt_longer_than_a_chunk_is_read_first_and_gets_the_same_tokens(
    backbone: Backbone, reading: str, acts_at: int
):
    decider = Decider(backbone, tiny_readout(backbone, reading=reading, acts_at=acts_at))
    steering = decider.readout.steering
    choices = choices_of(*(Treatment(a, steering) for a in (Action.STEER, Action.RELEASE)))
    rows = decider.rows(choices)
    chunked = tokens_of(
        Batch(backbone, chunk_tokens=CHUNK, least_columns=16), [rows[:4], [], rows[4:]]
    )
    split = tokens_of(Batch(backbone), [decider.decided(choices)])
    assert list(chunked.values()) == list(split.values())
    assert len({row.treatment.action for row in rows}) == 3


def test_every_form_and_scope_gives_the_same_where_some_prompts_fit_a_chunk_and_some_do_not(
    qwen2: Backbone,
):
    decider = Decider(qwen2, tiny_readout(qwen2))
    lengths = sorted(len(prompt.token_ids) for prompt in decider.prompts)
    for form in every_form(decider.readout):
        choices = choices_of(form, form)
        batch = Batch(qwen2, chunk_tokens=lengths[2])
        some = tokens_of(batch, [decider.rows(choices)])
        split = tokens_of(Batch(qwen2), [decider.decided(choices)])
        assert list(some.values()) == list(split.values())


def test_an_undecided_prompt_that_may_run_whole_takes_one_pass_and_no_other_prompt_joins_it(
    qwen2: Backbone, gate: Gate
):
    decider = Decider(qwen2, tiny_readout(qwen2))
    rows, gate.n_tokens = decider.rows(choices_of(UNTOUCHED, UNTOUCHED)), []
    batch = Batch(qwen2, chunk_tokens=CHUNK, whole_tokens=max(len(r.prompt_ids) for r in rows))
    batch.admit(rows)
    assert gate.n_tokens == [len(row.prompt_ids) for row in rows]


def test_a_prompt_that_is_read_first_runs_only_the_blocks_that_are_read(qwen2: Backbone):
    decider = Decider(qwen2, tiny_readout(qwen2, layer=1))
    (row,) = [decider.row(2, choices_of(UNTOUCHED, UNTOUCHED))]
    n_tokens: list[list[int]] = [[] for _ in qwen2.blocks]
    handles = [
        block.register_forward_hook(lambda m, a, output, seen=seen: seen.append(output.shape[1]))
        for block, seen in zip(qwen2.blocks, n_tokens, strict=True)
    ]
    try:
        Batch(qwen2, chunk_tokens=CHUNK).admit([row])
    finally:
        for handle in handles:
            handle.remove()
    n_prompt = len(row.prompt_ids)
    assert [sum(seen) for seen in n_tokens] == [2 * n_prompt, 2 * n_prompt, n_prompt, n_prompt]


def test_a_long_prompt_that_is_refused_or_whose_call_fails_never_runs_whole(qwen2: Backbone):
    decider = Decider(qwen2, tiny_readout(qwen2))
    choices = choices_of(UNTOUCHED, UNTOUCHED)

    def fail(scores: Sequence[float]) -> Action:
        raise ServiceUnavailable("no row for this")

    rows = [
        decider.row(0, choices, fixed=REFUSE, settle=lambda scores: Action.REFUSE),
        decider.row(2, choices, settle=fail),
        decider.row(4, choices, fixed=STEER, settle=lambda scores: Action.NONE),
    ]
    seen: list[int] = []
    handle = qwen2.blocks[-1].register_forward_hook(lambda *args: seen.append(1))
    try:
        batch = Batch(qwen2, chunk_tokens=CHUNK)
        refused, failed, differing = batch.admit(rows)
    finally:
        handle.remove()
    assert refused is None
    assert isinstance(failed, ServiceUnavailable)
    assert isinstance(differing, ServiceError)
    assert (seen, batch.rows, batch.next_to_enter()) == ([], (), [])


def test_a_score_of_a_long_prompt_that_is_not_finite_takes_the_row_of_that_case(qwen2: Backbone):
    decider = Decider(qwen2, tiny_readout(qwen2))
    row = decider.row(0, choices_of(UNTOUCHED, UNTOUCHED), settle=lambda scores: Action.REFUSE)
    row.undecided.scorer.table = lambda read: torch.full((len(read), 1), math.nan)
    assert Batch(qwen2, chunk_tokens=CHUNK).admit([row]) == [None]


def test_a_row_that_leaves_in_the_middle_of_its_prompt_leaves_nothing(qwen2: Backbone):
    expected = tokens_of(Batch(qwen2), [[a_row(qwen2)]])
    batch, gone, stays = Batch(qwen2, chunk_tokens=CHUNK), a_row(qwen2, PROMPTS[2]), a_row(qwen2)
    batch.enter([gone])
    batch.step()
    batch.keep([])
    assert batch.next_to_enter() == []
    assert list(tokens_of(batch, [[stays]]).values()) == list(expected.values())
