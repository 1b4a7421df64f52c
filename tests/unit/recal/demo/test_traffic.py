"""The demo's traffic: every prompt once, answers in order, patience with a full queue."""

import asyncio

import pytest

from recal.demo.traffic import Answered, send
from recal.prompts import Prompt
from services.errors import InvalidRequest, Overloaded

PROMPTS = [Prompt(f"p{i}", "sw", True, f"text {i}", "test") for i in range(200)]


async def test_answers_come_in_the_order_of_the_prompts() -> None:
    async def ask(prompt: Prompt) -> Answered:
        await asyncio.sleep(0.001 * (hash(prompt.id) % 5))
        return Answered(prompt.text, None)

    reported: list[None] = []
    answers = await send(PROMPTS, ask, report=lambda: reported.append(None))
    assert [a.text for a in answers] == [p.text for p in PROMPTS]
    assert len(reported) == len(PROMPTS)


async def test_a_prompt_that_is_turned_away_is_sent_again() -> None:
    tries: list[str] = []

    async def ask(prompt: Prompt) -> Answered:
        tries.append(prompt.id)
        if len(tries) == 1:
            raise Overloaded("the queue is full")
        return Answered("fine", None)

    assert (await send(PROMPTS[:1], ask))[0].text == "fine"
    assert len(tries) == 2


async def test_any_other_failure_ends_the_run() -> None:
    async def ask(prompt: Prompt) -> Answered:
        raise InvalidRequest("no")

    with pytest.raises(ExceptionGroup) as caught:
        await send(PROMPTS[:3], ask)
    assert caught.value.subgroup(InvalidRequest)
