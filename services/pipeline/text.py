"""The text of an answer: generated under a verdict, or a fixed refusal. Last comes the usage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from services.domain import FinishReason, GateReading, Intervention, Sampling, TextChunk, Usage
from services.errors import ServiceUnavailable, VersionMismatch
from services.pipeline.ask import Ask, Behind
from services.pipeline.clients import closing
from services.pipeline.stages import Stages
from services.telemetry import OTHER_LANGUAGE, REFUSALS_OBSERVED


async def refuse(
    reading: GateReading, behind: Behind, stages: Stages
) -> AsyncGenerator[TextChunk | Usage, None]:
    """The fixed refusal in the user's language; the model is not called."""
    yield TextChunk(behind.refusals.fixed_refusal(reading.verdict.language), n_tokens=0)
    stages.ended()
    yield Usage(reading.n_prompt_tokens, 0, FinishReason.REFUSED, dict(stages.timings_s))


async def generate(
    ask: Ask, reading: GateReading, sampling: Sampling, behind: Behind, stages: Stages
) -> AsyncGenerator[TextChunk | Usage, None]:
    """Generate under the verdict, and count whether the text is a refusal.

    Raises:
        ServiceUnavailable: the text broke off.
        VersionMismatch: generation does not hold the verdict's readout, also when asked again.
    """
    text: list[str] = []
    n_tokens = 0
    last: TextChunk | None = None
    async with aclosing(_patiently(ask, reading, sampling, behind, stages)) as chunks:
        async for last in chunks:
            n_tokens += last.n_tokens
            text.append(last.text)
            if last.text:
                yield last
    if last is None or last.finish is None:
        raise ServiceUnavailable(f"generation broke off after {len(text)} pieces of text; retry")
    _count_refusal("".join(text), reading, behind)
    stages.told("generation", last.timings_s)
    stages.ended()
    n_prompt_tokens = last.n_prompt_tokens or reading.n_prompt_tokens
    yield Usage(n_prompt_tokens, n_tokens, last.finish, dict(stages.timings_s))


def _count_refusal(text: str, reading: GateReading, behind: Behind) -> None:
    verdict = reading.verdict
    if behind.refusals.is_refusal(text):
        # a language without a calibration may be any of thousands
        language = verdict.language if verdict.calibration_version else None
        behind.meter.count(
            REFUSALS_OBSERVED,
            language=language or OTHER_LANGUAGE,
            action=verdict.action.value,
        )


async def _patiently(
    ask: Ask, reading: GateReading, sampling: Sampling, behind: Behind, stages: Stages
) -> AsyncGenerator[TextChunk, None]:
    """Ask generation, and once more when it does not hold the verdict's readout yet.

    Gate and generation look at the registry each by itself, so during a swap one is ahead.
    """
    for is_last_try in (False, True):
        n_sent = 0
        try:
            async with aclosing(_once(ask, reading, sampling, behind, stages)) as chunks:
                async for chunk in chunks:
                    n_sent += 1
                    yield chunk
        except VersionMismatch:
            if n_sent or is_last_try:
                raise
            await stages.within(lambda: asyncio.sleep(behind.retry_pause_s))
        else:
            return


async def _once(
    ask: Ask, reading: GateReading, sampling: Sampling, behind: Behind, stages: Stages
) -> AsyncGenerator[TextChunk, None]:
    start = time.perf_counter()
    stages.at("generation")
    verdict = reading.verdict
    chunks = behind.generation.generate(
        ask.prompt,
        Intervention(verdict.action, verdict.readout_version, verdict.calibration_version),
        sampling,
        timeout_s=stages.time_left_s(),
    )
    async with closing(chunks):
        async for chunk in _before_the_deadline(chunks, stages):
            if "first_token" not in stages.timings_s:
                stages.took("first_token", time.perf_counter() - start)
            yield chunk
    stages.took("generation", time.perf_counter() - start)


async def _before_the_deadline(
    chunks: AsyncIterator[TextChunk], stages: Stages
) -> AsyncGenerator[TextChunk, None]:
    while True:
        try:
            yield await stages.within(lambda: anext(chunks))
        except StopAsyncIteration:
            return
