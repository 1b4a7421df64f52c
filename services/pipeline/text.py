"""The text of an answer: told as it comes, or a fixed refusal. Last comes the usage."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from services.domain import FinishReason, GateReading, TextChunk, Usage, Verdict
from services.errors import ServiceUnavailable
from services.pipeline.ask import Behind
from services.pipeline.stages import Stages
from services.telemetry import (
    ANSWERS,
    MONITOR_STOPS,
    NO_VERSION,
    OTHER_LANGUAGE,
    REFUSALS_OBSERVED,
)

T = TypeVar("T")


async def refuse(
    reading: GateReading, behind: Behind, stages: Stages
) -> AsyncGenerator[TextChunk | Usage, None]:
    """The fixed refusal in the user's language; the model is not called."""
    yield TextChunk(behind.refusals.fixed_refusal(reading.verdict.language), n_tokens=0)
    stages.ended()
    yield Usage(reading.n_prompt_tokens, 0, FinishReason.REFUSED, dict(stages.timings_s))


async def tell(
    chunks: AsyncGenerator[TextChunk, None], reading: GateReading, behind: Behind, stages: Stages
) -> AsyncGenerator[TextChunk | Usage, None]:
    """Hand generated text on, and count whether it is a refusal.

    Where the monitor withdrew the answer, the usage carries the fixed refusal in place of all text:
    what is sent already cannot be unsent, but its caller is told so.

    Raises:
        ServiceUnavailable: the text broke off.
    """
    text: list[str] = []
    n_tokens = 0
    last: TextChunk | None = None
    async with aclosing(chunks):
        async for last in chunks:
            n_tokens += last.n_tokens
            text.append(last.text)
            if last.text:
                yield last
    if last is None or last.finish is None:
        raise ServiceUnavailable(f"generation broke off after {len(text)} pieces of text; retry")
    replacement = ""
    if last.withdrawn_by is None:
        _count_answer("".join(text), reading, behind)
    else:
        # neither an answer nor a refusal of the model's: it would tell of steering never done
        behind.meter.count(
            MONITOR_STOPS,
            language=_label(reading.verdict) or OTHER_LANGUAGE,
            reason=last.withdrawn_by.value,
        )
        replacement = behind.refusals.fixed_refusal(reading.verdict.language)
    stages.told("generation", last.timings_s)
    stages.ended()
    yield Usage(
        last.n_prompt_tokens or reading.n_prompt_tokens,
        n_tokens,
        last.finish,
        dict(stages.timings_s),
        last.withdrawn_by,
        replacement,
    )


def _count_answer(text: str, reading: GateReading, behind: Behind) -> None:
    verdict = reading.verdict
    language = _label(verdict)
    version = (verdict.calibration_version if language else "") or NO_VERSION
    is_refusal = behind.refusals.is_refusal(text)
    for metric in (ANSWERS, REFUSALS_OBSERVED) if is_refusal else (ANSWERS,):
        behind.meter.count(
            metric,
            language=language or OTHER_LANGUAGE,
            action=verdict.action.value,
            calibration_version=version,
        )


def _label(verdict: Verdict) -> str | None:
    """The verdict's language where it is calibrated: another may be any of thousands."""
    return verdict.language if verdict.calibration_version else None


async def timed(
    chunks: AsyncIterator[TextChunk], stages: Stages, *, start: float
) -> AsyncGenerator[TextChunk, None]:
    """Generated text as it comes, with the stages that end by it, and never past the deadline.

    Args:
        chunks: of one generation.
        stages: the request's clock.
        start: when generation was asked, by time.perf_counter.
    """
    async for chunk in before_the_deadline(chunks, stages):
        if "first_token" not in stages.timings_s:
            stages.took("first_token", time.perf_counter() - start)
        yield chunk
    stages.took("generation", time.perf_counter() - start)


async def before_the_deadline(items: AsyncIterator[T], stages: Stages) -> AsyncGenerator[T, None]:
    """What a stream gives, as long as there is time.

    Raises:
        DeadlinePassed: the deadline came first.
    """
    while True:
        try:
            yield await stages.within(lambda: anext(items))
        except StopAsyncIteration:
            return
