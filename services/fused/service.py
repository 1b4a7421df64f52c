"""The fused service: a prompt to its verdict and its text, by one prefill of one model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from datetime import UTC, datetime
from typing import NamedTuple

from services.backbone.load import Backbone
from services.domain import Action, GateReading, GateRequest, Sampling, TextChunk, Verdict
from services.fused.deciding import Deciding, DecidingBundle
from services.gate.counted import count_shadow, count_verdict
from services.gate.decide import decide_without_time
from services.gate.law import Case, case_of
from services.gate.policy import Policy
from services.gate.service import CurrentBundle
from services.generation.engine import EngineLimits, Settled
from services.generation.monitor import Monitor, Monitors
from services.generation.writer import Asked, Writer
from services.readout.bundle import Bundle
from services.telemetry import Meter


class _Request(NamedTuple):
    """One request, ready to be decided."""

    case: Case
    writing: Asked
    monitor: Monitor | None


class FusedService:
    """Knows neither Ray nor gRPC. Lives in one event loop; the model runs in its own thread."""

    def __init__(
        self,
        backbone: Backbone,
        store: CurrentBundle,
        policy: Policy,
        meter: Meter,
        *,
        limits: EngineLimits | None = None,
        frame_s: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        thread: Executor | None = None,
        monitors: Monitors | None = None,
    ) -> None:
        """Decide and generate with the given backbone.

        Args:
            backbone: the whole model.
            store: holds the current bundle.
            policy: what happens where there is no score to go by.
            meter: where verdicts are counted, and the queue's depth and each stage are written.
            limits: how much is generated at once.
            frame_s: seconds between two pieces of a text, its first and last left out; 0: each goes
                as it comes.
            clock: the time that a calibration's age is counted to.
            thread: the one that runs the model, where others run it too, who close it; None: one of
                its own, and nothing else may run the model.
            monitors: what look at answers; None: nobody does.
        """
        self._monitors = monitors
        self._backbone = backbone
        self._store = store
        self._policy = policy
        self._meter = meter
        self._clock = clock
        self._writer = Writer(backbone, meter, limits=limits, frame_s=frame_s, thread=thread)
        self._prepared: DecidingBundle | None = None

    async def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncGenerator[GateReading | TextChunk, None]:
        """Decide on a prompt and answer it: the reading, then text; the last chunk has `finish`.

        After the action `refuse` nothing comes: the fixed refusal is somebody else's to say. The
        bundle that serves when the request comes is the one that decides and acts, to its end.

        Args:
            request: prompt, language and hint, and whose policy rows count.
            sampling: how tokens are chosen.
            timeout_s: time that is left of the caller's deadline.

        Raises:
            InvalidRequest: the sampling makes no sense.
            PromptTooLong: prompt and answer do not fit the context.
            NotReady: no bundle is loaded.
            ArtefactRefused: answers are monitored, and no threshold is set for its readout.
            Overloaded: too many requests wait already.
            DeadlinePassed: time ran out, perhaps in the middle of the text.
            ServiceError: a row of the policy table says that the call fails, or the model failed.
        """
        case = self._case(request)
        monitor = None if self._monitors is None else self._monitors.of(case.bundle.readout)
        writing = await self._writer.take(request.prompt, sampling, timeout_s)
        asked = _Request(case, writing, monitor)
        left_s = asked.writing.deadline - asyncio.get_running_loop().time()
        run = self._undecided if left_s >= self._policy.min_time_left_s else self._without_time
        async with aclosing(run(asked)) as frames:
            async for frame in frames:
                yield frame

    async def warm_up(self) -> None:
        """Let the model run once, before somebody waits for it.

        Raises:
            ServiceError: the model cannot run.
        """
        await self._writer.warm_up()

    async def close(self) -> None:
        """End the step that runs; every request that has not ended fails."""
        await self._writer.close()

    def _case(self, request: GateRequest) -> Case:
        return case_of(request, self._store.current, self._policy, self._clock())

    async def _undecided(self, asked: _Request) -> AsyncGenerator[GateReading | TextChunk, None]:
        """Let the prefill decide."""
        deciding = Deciding(asked.case, asked.writing.prompt, self._by(asked.case.bundle))
        writing = self._writer.write(asked.writing, deciding.undecided, asked.monitor)
        async with aclosing(writing) as answers:
            async for answer in answers:
                if isinstance(answer, Settled):
                    count_shadow(self._meter, asked.case, deciding.scores)
                    yield self._reading(deciding.verdict, asked)
                else:
                    yield answer

    async def _without_time(self, asked: _Request) -> AsyncGenerator[GateReading | TextChunk, None]:
        """What the policy says where there is too little time to read a score."""
        verdict = decide_without_time(asked.case)
        treatment = self._by(asked.case.bundle).choices.treatments[verdict.action.strictness]
        yield self._reading(verdict, asked)
        if verdict.action is Action.REFUSE:
            return
        writing = self._writer.write(asked.writing, treatment, asked.monitor)
        async with aclosing(writing) as answers:
            async for answer in answers:
                assert isinstance(answer, TextChunk), "what is decided is not decided again"
                yield answer

    def _by(self, bundle: Bundle) -> DecidingBundle:
        """The bundle, prepared once: requests that share it share a pass."""
        if self._prepared is None or self._prepared.bundle is not bundle:
            self._prepared = DecidingBundle(bundle, self._backbone)
        return self._prepared

    def _reading(self, verdict: Verdict, asked: _Request) -> GateReading:
        count_verdict(self._meter, verdict, asked.case.bundle)
        return GateReading(verdict, len(asked.writing.prompt.token_ids))
