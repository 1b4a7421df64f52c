import asyncio
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from services.backbone.load import Backbone
from services.domain import Action
from services.errors import ServiceError
from services.generation.engine import Answer, Engine, EngineLimits, Request, Settled
from services.generation.row import Row
from services.generation.treatment import Treatment
from tests.unit.services.generation.deciders import REFUSE, Decider, choices_of
from tests.unit.services.generation.rows import Gate
from tests.unit.services.tiny import tiny_readout


async def answers_of(request: Request) -> list[Answer]:
    """Everything that it receives."""
    found: list[Answer] = []
    while not request.is_over or not request.answers.empty():
        found.append(await asyncio.wait_for(request.answers.get(), 5))
    return found


ROOMY = EngineLimits(max_prefill_tokens=1000)


async def run(backbone: Backbone, *rows: Row, limits: EngineLimits = ROOMY) -> list[list[Answer]]:
    engine = Engine(backbone, limits=limits)
    try:
        requests = [Request(row) for row in rows]
        for request in requests:
            engine.submit(request)
        return [await answers_of(request) for request in requests]
    finally:
        await engine.close()


def text_of(answers: list[Answer]) -> str:
    return "".join(each.text for each in answers if hasattr(each, "text"))


def deciding(backbone: Backbone, *, acts_at: int = 0) -> tuple[Decider, tuple[Treatment, ...]]:
    decider = Decider(backbone, tiny_readout(backbone, acts_at=acts_at))
    steering = decider.readout.steering
    actions = (Action.STEER, Action.RELEASE)
    return decider, choices_of(*(Treatment(action, steering) for action in actions))


async def test_an_undecided_request_is_told_its_decision_and_then_its_text(backbone: Backbone):
    decider, choices = deciding(backbone)
    fused = await run(backbone, *decider.rows(choices))
    split = await run(backbone, *decider.decided(choices))
    assert [each[0] for each in fused] == [Settled(decider.action(s)) for s in decider.scores]
    assert [text_of(each) for each in fused] == [text_of(each) for each in split]


async def test_a_refused_request_gets_its_decision_and_nothing_else(qwen2: Backbone):
    decider, choices = deciding(qwen2)
    refused = decider.row(0, choices, fixed=REFUSE, settle=lambda scores: Action.REFUSE)
    found, other = await run(qwen2, refused, decider.row(1, choices))
    assert found == [Settled(Action.REFUSE)]
    assert text_of(other)


async def test_decided_and_undecided_requests_of_two_bundles_share_a_batch(backbone: Backbone):
    (one, ones), (two, twos) = deciding(backbone), deciding(backbone)
    rows = [*one.rows(ones), *two.rows(twos), *one.decided(ones)]
    texts = [text_of(each) for each in await run(backbone, *rows)]
    n = len(one.scores)
    assert texts[:n] == texts[n : 2 * n] == texts[2 * n :]


async def test_prompts_of_all_bundles_and_the_decided_share_a_pass(end_free: Backbone, gate: Gate):
    (one, ones), (two, twos) = (deciding(end_free, acts_at=2) for _ in range(2))
    rows = [*one.rows(ones), *two.rows(twos)[:2], *one.decided(ones)[:3]]
    gate.n_rows.clear()
    await run(end_free, *rows)
    assert gate.n_rows[0] == len(rows)


async def test_a_prefill_that_fails_is_tried_again_by_each_request_alone(end_free: Backbone):
    decider, choices = deciding(end_free)
    expected = [text_of(each) for each in await run(end_free, *decider.rows(choices))]
    passes: list[int] = []

    def fail_once(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        passes.append(output.shape[1])
        if len(passes) == 1:
            raise RuntimeError("out of memory")

    handle = end_free.blocks[-1].register_forward_hook(fail_once)
    try:
        again = [text_of(each) for each in await run(end_free, *decider.rows(choices))]
    finally:
        handle.remove()
    assert again == expected
    lengths = [len(prompt.token_ids) for prompt in decider.prompts]
    assert passes[:3] == [sum(lengths), *lengths[:2]]


async def test_a_long_prompt_that_cannot_be_read_fails_alone_and_the_running_go_on(
    end_free: Backbone,
):
    decider, choices = deciding(end_free)
    long = EngineLimits(max_prefill_tokens=5, max_deciding_tokens=5)

    def broken(scores: Sequence[float]) -> Action:
        raise ArithmeticError

    rows = [*decider.decided(choices)[:2], *decider.rows(choices)[2:4]]
    expected = [text_of(each) for each in await run(end_free, *rows)]
    rows = [*decider.decided(choices)[:2], *decider.rows(choices)[2:4]]
    bad = decider.row(4, choices, settle=broken)
    *sound, failed = await run(end_free, *rows, bad, limits=long)
    assert [text_of(each) for each in sound] == expected
    assert "ArithmeticError" in str(failed[-1])


async def test_a_refused_row_generates_nothing_even_where_its_pass_fails_behind_the_verdict(
    end_free: Backbone,
):
    decider, choices = deciding(end_free)
    refused = decider.row(0, choices, fixed=REFUSE, settle=lambda scores: Action.REFUSE)

    def full(scores: Sequence[float]) -> Action:
        raise MemoryError

    found, failed = await run(end_free, refused, decider.row(1, choices, settle=full))
    assert isinstance(failed[-1], ServiceError)
    assert text_of(found) == ""
    assert refused.n_generated == 0
