"""Mode `fused`: one service decides inside the answer's own prefill, and goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from services.domain import (
    Action,
    GateReading,
    LanguageGuess,
    Reason,
    Sampling,
    TextChunk,
)
from services.errors import NotReady, ServiceError, ServiceUnavailable
from services.gate.policy import Outcome
from services.pipeline.ask import Ask, Behind, Frame
from services.pipeline.clients import FusedClient, closing
from services.pipeline.flow import identify, without_gate
from services.pipeline.stages import Stages
from services.pipeline.text import refuse, tell, timed


@dataclass(frozen=True)
class Fused:
    """Identify, then one stream: the reading, and the text under it."""

    fused: FusedClient
    name: str = "fused"

    async def answer(
        self, ask: Ask, sampling: Sampling, behind: Behind, stages: Stages
    ) -> AsyncGenerator[Frame, None]:
        """Answer one prompt.

        Raises:
            ServiceError: as `Mode.answer` says. A policy that lets prompts through where the gate
                is away has nothing to let them through to: gate and generation are one here.
        """
        guess = await identify(ask, behind, stages)
        start = time.perf_counter()
        frames = self.fused.generate(ask.of_gate(guess), sampling, timeout_s=stages.time_left_s())
        async with closing(frames):
            reading = await _reading(frames, ask, guess, behind, stages)
            stages.at("generation")
            yield reading.verdict
            if reading.verdict.action is Action.REFUSE:
                text = refuse(reading, behind, stages)
            else:
                chunks = timed(_text(frames), stages, start=start)
                text = tell(chunks, reading, behind, stages)
            async with aclosing(text) as told:
                async for frame in told:
                    yield frame


async def _reading(
    frames: AsyncIterator[GateReading | TextChunk],
    ask: Ask,
    guess: LanguageGuess,
    behind: Behind,
    stages: Stages,
) -> GateReading:
    """The first frame; what happens where none comes is a row of the policy table."""
    try:
        with stages.timed("gate"):
            first = await stages.within(lambda: anext(frames, None))
    except (ServiceUnavailable, NotReady) as error:
        row = behind.policy.outcome(
            Reason.GATE_UNREACHABLE, language=guess.language, tenant=ask.tenant
        )
        if row is Outcome.ALLOW:
            raise
        return GateReading(without_gate(ask, guess, behind, error), n_prompt_tokens=0)
    if isinstance(first, GateReading):
        return first
    raise ServiceError("the fused service answered without a verdict; nothing is sent")


async def _text(
    frames: AsyncIterator[GateReading | TextChunk],
) -> AsyncGenerator[TextChunk, None]:
    async for frame in frames:
        if isinstance(frame, GateReading):
            raise ServiceError("the fused service decided twice on one prompt; the answer ends")
        yield frame
