"""The same requests through both modes: gate and generation in turn, and fused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.backbone.load import Backbone
from services.domain import (
    Action,
    FinishReason,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Sampling,
    TextChunk,
)
from services.errors import NotReady
from services.fused.service import FusedService
from services.gate.policy import Policy
from services.gate.service import GateService
from services.generation.monitor import Monitors
from services.generation.service import GenerationService
from services.readout.bundle import Bundle, Readout
from services.telemetry import PrometheusMeter

SW = LanguageGuess("sw", 0.9)
EN = LanguageGuess("en", 0.9)


@dataclass
class Held:
    """A store that holds what it is given."""

    bundle: Bundle | None

    @property
    def current(self) -> Bundle:
        if self.bundle is None:
            raise NotReady("no readout is loaded yet")
        return self.bundle

    def readout(self, version: str) -> Readout:
        assert self.current.readout.version == version
        return self.current.readout


@dataclass(frozen=True)
class Answer:
    """What came of one request."""

    reading: GateReading
    text: str
    finish: FinishReason | None
    n_tokens: int

    @property
    def action(self) -> Action:
        return self.reading.verdict.action


async def fused_answer(
    service: FusedService,
    request: GateRequest,
    sampling: Sampling,
    *,
    timeout_s: float | None = None,
) -> Answer:
    """Everything that the fused service says."""
    frames = [each async for each in service.generate(request, sampling, timeout_s=timeout_s)]
    reading, *chunks = frames
    assert isinstance(reading, GateReading)
    return _answer(reading, chunks)


def _answer(reading: GateReading, chunks: Sequence[GateReading | TextChunk]) -> Answer:
    assert all(isinstance(chunk, TextChunk) for chunk in chunks)
    finish = chunks[-1].finish if chunks else None
    text = "".join(chunk.text for chunk in chunks)
    return Answer(reading, text, finish, sum(chunk.n_tokens for chunk in chunks))


@dataclass(frozen=True)
class Both:
    """A gate, a generation and the fused service, over the same model and the same store."""

    gate: GateService
    generation: GenerationService
    fused: FusedService
    store: Held
    meter: PrometheusMeter
    """Of the fused service."""
    gate_meter: PrometheusMeter

    async def split_answer(self, request: GateRequest, sampling: Sampling) -> Answer:
        """The gate decides, then generation does what it is told."""
        reading = await self.gate.check(request)
        verdict = reading.verdict
        if verdict.action is Action.REFUSE:
            return _answer(reading, [])
        intervention = Intervention(verdict.action, verdict.readout_version)
        chunks = self.generation.generate(request.prompt, intervention, sampling)
        return _answer(reading, [chunk async for chunk in chunks])

    async def fused_answer(self, request: GateRequest, sampling: Sampling) -> Answer:
        """One service."""
        return await fused_answer(self.fused, request, sampling)

    async def generation_text(
        self, request: GateRequest, sampling: Sampling, action: Action
    ) -> str:
        """What generation says when it is told what to do."""
        intervention = Intervention(action, self.store.current.readout.version)
        chunks = self.generation.generate(request.prompt, intervention, sampling)
        return "".join([chunk.text async for chunk in chunks])

    def counted(self, name: str, **labels: str) -> float:
        """A number that was counted; 0 where it was not."""
        return self.meter.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def both(
    backbone: Backbone,
    bundle: Bundle | None,
    policy: Policy | None = None,
    *,
    frame_s: float = 0.0,
    monitors: Monitors | None = None,
):
    """All three, over one model, whose passes take turns."""
    store, meter, policy = Held(bundle), PrometheusMeter(), policy or Policy()
    gate_meter = PrometheusMeter()
    with ThreadPoolExecutor(1) as thread:
        gate = GateService(backbone, store, policy, gate_meter, thread=thread)
        fused = FusedService(
            backbone, store, policy, meter, frame_s=frame_s, thread=thread, monitors=monitors
        )
        # never at the same time as the other two: it has a thread of its own
        generation = GenerationService(backbone, store, PrometheusMeter(), monitors=monitors)
        yield Both(gate, generation, fused, store, meter, gate_meter)
        for service in (gate, fused, generation):
            await service.close()
