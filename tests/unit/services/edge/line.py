"""A whole line over fakes behind a real server, and a client's view of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from services.edge.server import EdgeServer
from services.gate.policy import Policy
from services.pipeline.ask import Behind
from services.pipeline.service import PipelineService
from services.pipeline.split import Split
from services.rpc.answerer import FaceAnswerer
from services.rpc.faces import Face, FusedFace, GateFace, GenerationFace, LanguageIdFace, RecalFace
from services.settings import EdgeSettings, ServingMode
from services.telemetry import PrometheusMeter
from services.wire.methods import FUSED, GATE, GENERATION, LANGUAGE_ID, RECAL
from services.wire.prompts import RequestLimits
from tests.behind import FakeFused, FakeGate, FakeGeneration, FakeLanguageId, FakeRefusals

LIMITS = RequestLimits(max_prompt_bytes=20_000, max_tokens=64)


@dataclass
class Fakes:
    """What stands behind."""

    language_id: FakeLanguageId = field(default_factory=FakeLanguageId)
    gate: FakeGate = field(default_factory=FakeGate)
    generation: FakeGeneration = field(default_factory=FakeGeneration)
    fused: FakeFused = field(default_factory=FakeFused)

    def faces(self, meter: PrometheusMeter, *, debug_scores: bool = False) -> dict[str, Face]:
        behind = Behind(
            self.language_id, self.gate, Split(self.generation), FakeRefusals(), Policy(), meter
        )
        return {
            LANGUAGE_ID: LanguageIdFace(self.language_id, LIMITS),
            GATE: GateFace(self.gate, LIMITS),
            GENERATION: GenerationFace(self.generation, LIMITS),
            FUSED: FusedFace(self.fused, LIMITS),
            RECAL: RecalFace(PipelineService(behind), LIMITS, "0.1", debug_scores=debug_scores),
        }


def edge_settings(**changes: Any) -> EdgeSettings:
    defaults = {"port": 0, "metrics_port": None, "max_request_bytes": 32_768}
    return EdgeSettings(**{**defaults, "internal_services": True, **changes})


@asynccontextmanager
async def serving(
    fakes: Fakes,
    *,
    debug_scores: bool = False,
    mode: ServingMode = "split",
    **changes: Any,
) -> AsyncIterator[EdgeServer]:
    """Serve the fakes."""
    meter = PrometheusMeter()
    faces = fakes.faces(meter, debug_scores=debug_scores)
    server = EdgeServer(FaceAnswerer(faces), edge_settings(**changes), meter, mode=mode)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace_s=0.1)


@asynccontextmanager
async def connected(fakes: Fakes, **changes: Any) -> AsyncIterator[grpc.aio.Channel]:
    """Serve the fakes and connect."""
    async with serving(fakes, **changes) as server, dialled(server) as channel:
        yield channel


@asynccontextmanager
async def dialled(server: EdgeServer) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to a server."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield channel
