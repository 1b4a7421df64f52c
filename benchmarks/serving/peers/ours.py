"""Our engine: untouched, behind a gate with a pass of its own (split), and deciding itself (fused).

Requests are rows of token ids, as the other peers take them; a token counts from when the engine
hands it to its row. Texts are made too; the other peers make none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks.serving.artefacts import LANGUAGE, Held
from benchmarks.serving.load import Job, Load
from benchmarks.serving.peers.in_time import send
from benchmarks.serving.peers.own_clock import BY_ITSELF, Running
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.timings import Answered, Timings, timings
from services.backbone.chat import encode_prompt
from services.domain import GateRequest, LanguageGuess, Sampling, TextChunk
from services.errors import ServiceError
from services.fused.deciding import Deciding, DecidingBundle
from services.gate.batcher import BatchLimits
from services.gate.law import Case
from services.gate.policy import Policy
from services.gate.service import GateService
from services.generation.engine import Engine, EngineLimits, Request
from services.generation.monitor import Monitor
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Treatment
from services.generation.undecided import Undecided
from services.telemetry import PrometheusMeter

GUESS = LanguageGuess(LANGUAGE, confidence=1.0)
_ALL = 1_000_000
"""Requests that may wait: all of a load."""

Treat = Callable[[Job], Awaitable[Treatment | Undecided]]


class TimedRow(Row):
    """A row that notes its tokens and when they came."""

    def __init__(self, *args: Any, now: Callable[[], float], **kwargs: Any) -> None:
        """As a row, with a clock."""
        super().__init__(*args, **kwargs)
        self._now = now
        self.tokens: list[int] = []
        self.times: list[float] = []
        """By the clock."""
        self.shown: float | None = None
        """When its first text was there for a client to see."""

    def accept(self, token: int) -> TextChunk | None:
        """As a row does."""
        self.tokens.append(token)
        self.times.append(self._now())
        chunk = super().accept(token)
        if chunk is not None and self.shown is None:
            self.shown = self.times[-1]
        return chunk


class Ungated:
    """The engine with the model untouched."""

    def __init__(self, setting: Setting, running: Running = BY_ITSELF) -> None:
        """Take the model; the engine is new for each load."""
        self._backbone = setting.backbone
        self._limits = EngineLimits(max_rows=setting.max_rows, max_waiting=_ALL)
        self._monitor: Monitor | None = None
        self._running = running

    def run(self, load: Load) -> Timings:
        """As a `Peer` does."""
        return asyncio.run(self.timed(load))

    async def timed(self, load: Load) -> Timings:
        """`run`, beside whatever else is on the event loop."""
        return await self._run(load, _untouched)

    def close(self) -> None:
        """Nothing is held."""

    async def _run(self, load: Load, treat: Treat) -> Timings:
        now = self._running.now
        engine = Engine(self._backbone, limits=self._limits, thread=self._running.thread)
        started = now()

        async def answer(job: Job) -> Answered:
            arrived = now()
            row = await self._finished(engine, job, await treat(job))
            first = row.times[0] if row.watch is None or row.shown is None else row.shown
            return Answered(
                arrived - started, first - started, row.times[-1] - started, tuple(row.tokens)
            )

        try:
            return timings(await send(load, answer))
        finally:
            await engine.close()

    async def _finished(
        self, engine: Engine, job: Job, treatment: Treatment | Undecided
    ) -> TimedRow:
        """The row of a request that has its whole answer.

        Raises:
            ServiceError: as the engine gave it.
        """
        row = TimedRow(
            job.prompt_ids,
            treatment,
            Sampling(max_tokens=job.n_output),
            tokenizer=self._backbone.tokenizer,
            ends=frozenset(),  # neither longer nor shorter than asked for
            monitor=self._monitor,
            now=self._running.now,
        )
        request = Request(row)
        engine.submit(request)
        while row.finish is None:
            answer = await request.answers.get()
            if isinstance(answer, ServiceError):
                raise answer
        return row


class Monitored(Ungated):
    """The engine with the model untouched, and somebody who looks at the answers.

    A first token counts from when a client sees text: it is held back until it was looked at.
    """

    def __init__(self, setting: Setting, monitor: Monitor, running: Running = BY_ITSELF) -> None:
        """Take the model, and what looks; its threshold should be infinite."""
        super().__init__(setting, running)
        self._monitor = monitor


class Split(Ungated):
    """The gate's own pass over a truncated model, in batches; then the engine under its verdict.

    Each request is checked when it comes, as the pipeline does, so that the first ones generate
    while others are still checked.
    """

    def __init__(self, setting: Setting) -> None:
        """Load the blocks that the gate needs."""
        super().__init__(setting)
        self._held = Held(setting.bundle)
        self._gate = setting.load_gate(setting.bundle.readout.deepest_layer + 1)
        self._meter = PrometheusMeter()

    async def timed(self, load: Load) -> Timings:
        """`run`, beside whatever else is on the event loop."""
        limits = BatchLimits(max_waiting=_ALL)
        gate = GateService(self._gate, self._held, Policy(), self._meter, limits=limits)
        steering = self._held.current.readout.steering

        async def treat(job: Job) -> Treatment:
            reading = await gate.check(GateRequest(job.prompt, GUESS))
            return Treatment(reading.verdict.action, steering)

        try:
            return await self._run(load, treat)
        finally:
            await gate.close()


class Fused(Ungated):
    """The verdict is found, and acted on, inside each request's own prefill."""

    def __init__(self, setting: Setting, running: Running = BY_ITSELF) -> None:
        """Prepare the bundle as a server does, once."""
        super().__init__(setting, running)
        self._by = DecidingBundle(setting.bundle, setting.backbone)
        self._bundle = setting.bundle

    async def timed(self, load: Load) -> Timings:
        """`run`, beside whatever else is on the event loop."""
        # rows of other peers are tokens before the clock starts, too
        encoded = {
            job.prompt: encode_prompt(self._backbone.tokenizer, job.prompt) for job in load.jobs
        }

        async def treat(job: Job) -> Undecided:
            case = Case(GUESS, self._bundle, Policy(), now=datetime.now(UTC))
            return Deciding(case, encoded[job.prompt], self._by).undecided

        return await self._run(load, treat)


async def _untouched(job: Job) -> Treatment:
    return UNTOUCHED
