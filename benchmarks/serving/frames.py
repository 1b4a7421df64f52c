"""What tokens that are sent one by one cost the way, and what frames leave of that.

The engine is played: it gives each of 16 answers a token every 2 ms, 8,000 tokens per second
together, as one on a GPU does. The way is the embedded runtime's, over gRPC.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.serving.calls import Echo, NamesEnglish
from services.client import RecalClient
from services.composition import recal_face
from services.domain import FinishReason, Intervention, Sampling, TextChunk, Usage
from services.edge.server import EdgeServer
from services.generation.frames import frames
from services.pipeline.split import Split
from services.rpc.answerer import FaceAnswerer
from services.settings import EdgeSettings, Settings
from services.telemetry import PrometheusMeter
from services.wire.methods import RECAL

FRAME_MS = (0.0, 20.0)
"""Every token by itself, and the default."""
CLIENTS = 16
EVERY_S = 0.002
N_TOKENS, N_QUICK = 256, 16


class Played:
    """An engine that gives tokens on time, whoever asks."""

    def __init__(self, frame_s: float, n_tokens: int) -> None:
        """Gather text for `frame_s`; answers have `n_tokens`."""
        self._frame_s, self._n_tokens = frame_s, n_tokens

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[TextChunk, None]:
        """Say `word` again and again."""
        answers: asyncio.Queue[Any] = asyncio.Queue()
        engine = asyncio.create_task(self._speak(answers))
        async for answer in frames(answers, every_s=self._frame_s):
            yield answer
        await engine

    async def check_capacity(self, n_expected: int = 0) -> None:
        """There is always room."""

    async def _speak(self, answers: asyncio.Queue[Any]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(1, self._n_tokens + 1):
            # on time on the whole, also when one comes late
            await asyncio.sleep(max(0.0, started + number * EVERY_S - loop.time()))
            finish = FinishReason.MAX_TOKENS if number == self._n_tokens else None
            answers.put_nowait(TextChunk("word ", 1, finish, 12 if finish else 0))


@dataclass(frozen=True)
class _Answer:
    first_s: float
    n_frames: int
    n_tokens: int


async def measured_frames(repeats: int, *, quick: bool) -> dict[float, list[dict[str, float]]]:
    """Figures of each repeat, by the milliseconds for which text is gathered; in turns."""
    n_tokens = N_QUICK if quick else N_TOKENS
    found: dict[float, list[dict[str, float]]] = {frame_ms: [] for frame_ms in FRAME_MS}
    for repeat in range(-1, repeats):  # one to warm up
        for ms in FRAME_MS if repeat % 2 else FRAME_MS[::-1]:
            async with _serving(ms / 1000, n_tokens) as address:
                figures = await _load(address)
            if repeat >= 0:
                found[ms].append(figures)
    return found


@asynccontextmanager
async def _serving(frame_s: float, n_tokens: int) -> AsyncIterator[str]:
    meter, settings = PrometheusMeter(), Settings(edge=EdgeSettings(port=0, metrics_port=None))
    mode = Split(Played(frame_s, n_tokens))
    face = recal_face(NamesEnglish(), Echo(), mode, settings, meter)
    server = EdgeServer(FaceAnswerer({RECAL: face}), settings.edge, meter)
    await server.start()
    try:
        yield server.address
    finally:
        await server.stop(0.1)


async def _load(address: str) -> dict[str, float]:
    async with RecalClient(address, timeout_s=120.0) as client:
        started, worked = time.perf_counter(), time.process_time()
        answers = await asyncio.gather(*(_ask(client) for _ in range(CLIENTS)))
        seconds, processor = time.perf_counter() - started, time.process_time() - worked
    n_tokens = sum(answer.n_tokens for answer in answers)
    return {
        "frames/s": sum(answer.n_frames for answer in answers) / seconds,
        "tokens/s": n_tokens / seconds,
        "processor µs per token": processor / n_tokens * 1e6,
        "TTFT p50 ms": float(np.median([answer.first_s for answer in answers])) * 1e3,
    }


async def _ask(client: RecalClient) -> _Answer:
    started = time.perf_counter()
    first_s, n_frames, n_tokens = 0.0, 0, 0
    async for frame in client.generate("Tell me of bread."):
        if isinstance(frame, str):
            first_s = first_s or time.perf_counter() - started
            n_frames += 1
        elif isinstance(frame, Usage):
            n_tokens = frame.n_generated_tokens
    return _Answer(first_s, n_frames, n_tokens)
