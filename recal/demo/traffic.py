"""Prompts sent over gRPC, many at once, and the answers that came back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from recal.prompts import Prompt
from services.client import RecalClient
from services.domain import Action, Intervention, Sampling, Verdict
from services.errors import Overloaded, ServiceUnavailable
from services.rpc.stubs import GenerationStub

SAMPLING = Sampling(max_tokens=48)
"""Greedy; long enough for every answer that the organism was trained to give."""

_CONCURRENCY = 48
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """One prompt's answer."""

    text: str
    verdict: Verdict | None
    """None when the model was called untouched, behind the gate's back."""


Ask = Callable[[Prompt], Awaitable[Answered]]


def untouched(generation: GenerationStub) -> Ask:
    """Ask the generation service itself, with no intervention: the model as it is."""

    async def ask(prompt: Prompt) -> Answered:
        chunks = generation.generate(prompt.text, Intervention(Action.NONE), SAMPLING)
        return Answered("".join([chunk.text async for chunk in chunks]), None)

    return ask


def gated(client: RecalClient) -> Ask:
    """Ask the front door, which names the language and decides."""

    async def ask(prompt: Prompt) -> Answered:
        verdict, text = None, []
        async for frame in client.generate(prompt.text, sampling=SAMPLING):
            if isinstance(frame, Verdict):
                verdict = frame
            elif isinstance(frame, str):
                text.append(frame)
        return Answered("".join(text), verdict)

    return ask


async def send(
    prompts: Sequence[Prompt], ask: Ask, *, report: Callable[[], None] = lambda: None
) -> list[Answered]:
    """Send every prompt, a bounded number at once; answers come in the prompts' order.

    Raises:
        ServiceError: a call failed, or was turned away too often.
    """
    slots = asyncio.Semaphore(_CONCURRENCY)

    async def one(prompt: Prompt) -> Answered:
        async with slots:
            answered = await _patiently(ask, prompt)
        report()
        return answered

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(prompt)) for prompt in prompts]
    return [task.result() for task in tasks]


async def _patiently(ask: Ask, prompt: Prompt) -> Answered:
    for attempt in range(1, _TRIES):
        try:
            return await ask(prompt)
        except (Overloaded, ServiceUnavailable):
            await asyncio.sleep(0.2 * 2**attempt)
    return await ask(prompt)
