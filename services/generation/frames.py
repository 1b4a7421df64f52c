"""Text gathered into frames by time: a frame costs every hop as much as a token does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import TypeVar

from services.domain import TextChunk
from services.errors import ServiceError

Decision = TypeVar("Decision")
"""What may come instead of text: it goes at once."""


async def frames(
    answers: asyncio.Queue[Decision | TextChunk | ServiceError], *, every_s: float
) -> AsyncGenerator[Decision | TextChunk, None]:
    """What a request receives, as its caller does. Ends with the last chunk.

    A decision, the first text and the last go at once; text between them waits until `every_s` have
    passed since text was last sent. 0 sends every piece as it comes.

    Args:
        answers: of one request, as the engine gives them.
        every_s: seconds between two frames of text.

    Raises:
        ServiceError: the request failed; text that came before that is sent first.
    """
    loop = asyncio.get_running_loop()
    due: float | None = None
    """When the next text may go; None: at once."""
    while True:
        for answer in await _gathered(answers, due):
            if isinstance(answer, ServiceError):
                raise answer
            if isinstance(answer, TextChunk):
                due = loop.time() + every_s if every_s else None
            yield answer
            if isinstance(answer, TextChunk) and answer.finish is not None:
                return


async def _gathered(
    answers: asyncio.Queue[Decision | TextChunk | ServiceError], due: float | None
) -> tuple[Decision | TextChunk | ServiceError, ...]:
    """The next answer; text with more of it that comes before it is due, and what ends that."""
    chunk = await answers.get()
    if due is None or not isinstance(chunk, TextChunk):
        return (chunk,)
    try:
        async with asyncio.timeout_at(due):
            while chunk.finish is None:
                more = await answers.get()
                if not isinstance(more, TextChunk):
                    return (chunk, more)
                chunk = _joined(chunk, more)
    except TimeoutError:
        pass  # it is due
    return (chunk,)


def _joined(first: TextChunk, then: TextChunk) -> TextChunk:
    # what is withdrawn and was not sent yet is not sent any more
    text = first.text + then.text if then.withdrawn_by is None else ""
    return replace(then, text=text, n_tokens=first.n_tokens + then.n_tokens)
