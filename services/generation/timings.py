"""What generation says of its own time, with the last piece of a text."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.domain import TextChunk
from services.generation.engine import Request
from services.telemetry import STAGE_SECONDS, Meter


def timed(chunk: TextChunk, request: Request, started: float, meter: Meter) -> TextChunk:
    """A chunk as it is sent on: the last one with the time of each stage, which is recorded.

    Args:
        chunk: of the request.
        request: knows when it joined and when its first token was there.
        started: when it was asked, by the event loop's clock.
        meter: where the stages are recorded.
    """
    if chunk.finish is None:
        return chunk
    timings_s = request.timings_s(started, asyncio.get_running_loop().time())
    for stage, seconds in timings_s.items():
        meter.observe(STAGE_SECONDS, seconds, stage=stage)
    return replace(chunk, timings_s=timings_s)
