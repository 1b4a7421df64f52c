"""Prompts in, text out: what every service that generates is made of, whoever decides."""

from __future__ import annotations

import asyncio
import copy
import math
import time
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

from services.backbone.chat import EncodedPrompt
from services.backbone.encoder import PromptEncoder
from services.backbone.load import Backbone
from services.domain import Sampling, TextChunk
from services.generation.engine import Engine, EngineLimits, Request, Settled
from services.generation.intake import check_room, check_sampling, end_tokens
from services.generation.monitor import Monitor
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Treatment
from services.generation.undecided import Undecided
from services.telemetry import QUEUE_DEPTH, STAGE_SECONDS, Meter

_WARM_UP = "How do I bake a loaf of bread at home without an oven?"


class Asked(NamedTuple):
    """One prompt that has been taken."""

    prompt: EncodedPrompt
    sampling: Sampling
    started: float
    """By `time.perf_counter`."""
    deadline: float
    """By the event loop's clock."""


class Writer:
    """Tokenises, generates and tells the time of it. Belongs to one event loop."""

    def __init__(
        self,
        backbone: Backbone,
        meter: Meter,
        *,
        limits: EngineLimits | None = None,
        frame_s: float = 0.0,
        thread: Executor | None = None,
    ) -> None:
        """Generate with the given backbone.

        Args:
            backbone: the whole model.
            meter: where the queue's depth and the time of each stage are written.
            limits: how much is generated at once.
            frame_s: seconds between two pieces of a text, its first and last left out; 0: each goes
                as it comes.
            thread: the one that runs the model, where others run it too, who close it; None: one of
                its own, and nothing else may run the model.
        """
        self._backbone = backbone
        self._meter = meter
        self._frame_s = frame_s
        # decoding runs in another thread than encoding, and a fast tokenizer is not shared by two
        self._decoder = copy.deepcopy(backbone.tokenizer)
        self._ends = end_tokens(backbone)
        self._encoder = PromptEncoder(backbone.tokenizer, name="generation-tokenizer")
        self._engine = Engine(
            backbone,
            limits=limits or EngineLimits(),
            on_depth=lambda depth: meter.gauge(QUEUE_DEPTH, depth, service="generation"),
            thread=thread,
        )

    async def take(self, prompt: str, sampling: Sampling, timeout_s: float | None) -> Asked:
        """Check and tokenise one prompt.

        Args:
            prompt: the user's prompt, as plain text.
            sampling: how tokens are to be chosen.
            timeout_s: time that is left of the caller's deadline.

        Raises:
            InvalidRequest: the sampling makes no sense.
            Overloaded: too many requests wait already.
            PromptTooLong: prompt and answer do not fit the context.
            DeadlinePassed: there was no time left.
        """
        started, now = time.perf_counter(), asyncio.get_running_loop().time()
        check_sampling(sampling)
        self._engine.check_capacity()  # a prompt that is turned away is not tokenised before
        encoded = await self._encoder.encode(prompt, timeout_s=timeout_s)
        check_room(encoded, sampling, self._backbone)
        deadline = math.inf if timeout_s is None else now + timeout_s
        return Asked(encoded, sampling, started, deadline)

    def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a prompt would be queued now; as `Engine.check_capacity`."""
        self._engine.check_capacity(n_expected)

    async def write(
        self, asked: Asked, treatment: Treatment | Undecided, monitor: Monitor | None = None
    ) -> AsyncGenerator[Settled | TextChunk, None]:
        """Generate; what was undecided is settled first, and the last chunk carries `finish`.

        Closing the stream frees its place.

        Args:
            asked: as `take` gave it.
            treatment: what is done to the model for it, or what decides that.
            monitor: what looks at the answer; None: nobody does.

        Raises:
            Overloaded: too many requests wait already.
            DeadlinePassed: time ran out, perhaps in the middle of the text.
            ServiceError: the model failed, or settling it did.
        """
        row = self._row(
            asked.prompt, treatment, asked.sampling, self._ends, asked.deadline, monitor
        )
        request = Request(row)
        async with aclosing(self._engine.answers(request, every_s=self._frame_s)) as answers:
            async for answer in answers:
                if isinstance(answer, TextChunk) and answer.finish is not None:
                    yield self._last(answer, request, asked.started)
                else:
                    yield answer

    async def warm_up(self) -> None:
        """Let the model prefill and decode once, untouched; nothing of it is sent or counted.

        The first pass of a process is slower than all others: kernels are chosen, memory is taken.

        Raises:
            ServiceError: the model cannot run.
        """
        prompt = await self._encoder.encode(_WARM_UP)
        row = self._row(prompt, UNTOUCHED, Sampling(max_tokens=2), frozenset(), math.inf)
        async with aclosing(self._engine.answers(Request(row))) as answers:
            async for _ in answers:
                pass

    async def close(self) -> None:
        """End the step that runs; every request that has not ended fails."""
        self._encoder.close()
        await self._engine.close()

    def _row(
        self,
        prompt: EncodedPrompt,
        treatment: Treatment | Undecided,
        sampling: Sampling,
        ends: frozenset[int],
        deadline: float,
        monitor: Monitor | None = None,
    ) -> Row:
        return Row(
            prompt.token_ids,
            treatment,
            sampling,
            tokenizer=self._decoder,
            ends=ends,
            deadline=deadline,
            monitor=monitor,
        )

    def _last(self, chunk: TextChunk, request: Request, started: float) -> TextChunk:
        """The last chunk, with the time of each stage, which is recorded."""
        timings_s = request.timings_s(started, time.perf_counter())
        for stage, seconds in timings_s.items():
            self._meter.observe(STAGE_SECONDS, seconds, stage=stage)
        return replace(chunk, timings_s=timings_s)
