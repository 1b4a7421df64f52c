"""Mode `split`: the gate decides by a pass of its own, then generation does what it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from services.domain import Action, GateReading, Intervention, Sampling, TextChunk
from services.errors import Overloaded, VersionMismatch
from services.pipeline.admission import Admission
from services.pipeline.ask import Ask, Behind, Frame
from services.pipeline.clients import GenerationClient, closing
from services.pipeline.flow import check, identify
from services.pipeline.stages import Stages
from services.pipeline.text import refuse, tell, timed


@dataclass(frozen=True)
class Split:
    """Identify, check, generate. Start reading here."""

    generation: GenerationClient
    retry_pause_s: float = 0.5
    """Wait before generation is asked again for a readout that it does not hold yet."""
    name: str = "split"
    admission: Admission = field(default_factory=Admission)

    async def answer(
        self, ask: Ask, sampling: Sampling, behind: Behind, stages: Stages
    ) -> AsyncGenerator[Frame, None]:
        """Answer one prompt. Generation is called with the gate's verdict and never without one.

        Raises:
            VersionMismatch: generation does not hold the verdict's readout, also when asked again.
            ServiceError: as `Mode.answer` says.
        """
        async with self.admission.admitted(self.generation, stages):
            guess = await identify(ask, behind, stages)
            reading = await check(ask, guess, behind, stages)
        yield reading.verdict
        if reading.verdict.action is Action.REFUSE:
            text = refuse(reading, behind, stages)
        else:
            chunks = self._patiently(ask, reading, sampling, stages)
            text = tell(chunks, reading, behind, stages)
        async with aclosing(text) as frames:
            async for frame in frames:
                yield frame

    async def _patiently(
        self, ask: Ask, reading: GateReading, sampling: Sampling, stages: Stages
    ) -> AsyncGenerator[TextChunk, None]:
        """Ask generation, and once more when it does not hold the verdict's readout yet.

        Gate and generation look at the registry each by itself, so during a swap one is ahead.
        """
        for is_last_try in (False, True):
            n_sent = 0
            try:
                async with aclosing(self._once(ask, reading, sampling, stages)) as chunks:
                    async for chunk in chunks:
                        n_sent += 1
                        yield chunk
            except VersionMismatch:
                if n_sent or is_last_try:
                    raise
                await stages.within(lambda: asyncio.sleep(self.retry_pause_s))
            else:
                return

    async def _once(
        self, ask: Ask, reading: GateReading, sampling: Sampling, stages: Stages
    ) -> AsyncGenerator[TextChunk, None]:
        start = time.perf_counter()
        stages.at("generation")
        verdict = reading.verdict
        chunks = self.generation.generate(
            ask.prompt,
            Intervention(verdict.action, verdict.readout_version, verdict.calibration_version),
            sampling,
            timeout_s=stages.time_left_s(),
        )
        try:
            async with closing(chunks):
                async for chunk in timed(chunks, stages, start=start):
                    yield chunk
        except Overloaded:
            self.admission.was_full()
            raise
