"""Fake services that run in replicas: the prompt says how they behave, a file what they saw."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from services import errors
from services.domain import (
    Action,
    FinishReason,
    GateReading,
    GateRequest,
    LanguageGuess,
    Reason,
    TextChunk,
)
from services.on_ray.application import application
from services.on_ray.deployments import (
    GateDeployment,
    GenerationDeployment,
    LanguageIdDeployment,
    Loaded,
    RecalDeployment,
)
from services.settings import Settings
from services.telemetry import SCORE
from services.wire.methods import APPLICATIONS, GATE, GENERATION, LANGUAGE_ID, RECAL
from services.wire.prompts import RequestLimits
from tests.behind import CANARY, STEER, TEXT, FakeGate, FakeLanguageId

LIMITS = RequestLimits()


def obey(prompt: str, who: str) -> None:
    """Fail as a prompt like `gate: Overloaded` says."""
    name, _, kind = prompt.partition(": ")
    kind = kind.removesuffix(CANARY).strip()
    if name == who and kind == "crash":
        raise ValueError(CANARY)
    if name == who and kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == who and hasattr(errors, kind):
        raise getattr(errors, kind)(f"told so by {who}")


class ScriptedGate(FakeGate):
    meter: Any = None

    async def check(self, request: GateRequest, **options: Any) -> GateReading:
        obey(request.prompt, "gate")
        self.meter.observe(SCORE, -1.25, language="sw", calibration_version="sw@7")
        if request.prompt == "refuse":
            verdict = replace(STEER, action=Action.REFUSE, reason=Reason.NON_FINITE_ACTIVATION)
            return GateReading(verdict, 12)
        if request.prompt == "slow gate":
            await asyncio.sleep(60)
        return await super().check(request, **options)


class ScriptedGeneration:
    def __init__(self, seen: Path) -> None:
        self._seen = seen

    async def check_capacity(self, n_expected: int = 0) -> None:
        if self._seen.with_name("full").exists():
            raise errors.Overloaded("no room, told so by generation")

    async def generate(self, prompt: str, *arguments: Any, **options: Any) -> Any:
        obey(prompt, "generation")
        try:
            for piece in range(400 if prompt == "slow" else 2):
                yield TextChunk(f"{piece} ", 1)
                await asyncio.sleep(0.02)
            obey(prompt.removeprefix("late "), "generation")
            yield TextChunk("", 0, FinishReason.END_OF_TEXT, TEXT[-1].n_prompt_tokens)
        finally:
            with self._seen.open("a") as file:
                file.write(f"closed {prompt}\n")


class ScriptedLanguageId(FakeLanguageId):
    async def identify(self, text: str) -> Any:
        obey(text, "language-id")
        return await super().identify(text)


async def load_language_id(meter: Any) -> Loaded[Any]:
    return Loaded(ScriptedLanguageId(), LIMITS)


async def load_gate(meter: Any) -> Loaded[Any]:
    gate = ScriptedGate()
    gate.meter = meter
    return Loaded(gate, LIMITS)


async def load_generation(seen: Path, meter: Any) -> Loaded[Any]:
    return Loaded(ScriptedGeneration(seen), LIMITS)


async def load_recal(audit: Path, meter: Any) -> Any:
    from services.audit.log import AuditLog
    from services.gate.policy import Policy
    from services.on_ray.clients import GateHandle, GenerationHandle, LanguageIdHandle, handle_of
    from services.pipeline.ask import Behind
    from services.pipeline.service import PipelineService
    from services.pipeline.split import Split
    from services.rpc.faces import RecalFace
    from tests.behind import FakeRefusals

    behind = Behind(
        LanguageIdHandle(handle_of(LANGUAGE_ID)),
        GateHandle(handle_of(GATE)),
        Split(GenerationHandle(handle_of(GENERATION))),
        FakeRefusals(),
        Policy(),
        meter,
        audit=AuditLog(audit, meter),
    )
    return RecalFace(PipelineService(behind), LIMITS, "0.1")


async def load_fused_front(meter: Any) -> Any:
    """A front door over the real fused service, that `test_real_services` deploys beside it."""
    from ray import serve

    from services.gate.policy import Policy
    from services.on_ray.clients import FusedHandle, GateHandle
    from services.pipeline.ask import Behind
    from services.pipeline.fused import Fused
    from services.pipeline.service import PipelineService
    from services.rpc.faces import RecalFace
    from tests.behind import FakeRefusals

    handle = serve.get_deployment_handle("gate", "real-fused")
    guess = FakeLanguageId(LanguageGuess("en", 0.9))
    mode = Fused(FusedHandle(handle))
    behind = Behind(guess, GateHandle(handle), mode, FakeRefusals(), Policy(), meter)
    return RecalFace(PipelineService(behind), LIMITS, "0.1")


def applications(seen: Path, audit: Path, settings: Settings) -> dict[str, Any]:
    """The four applications over scripted services."""
    loads = {
        LANGUAGE_ID: (LanguageIdDeployment, load_language_id),
        GATE: (GateDeployment, load_gate),
        GENERATION: (GenerationDeployment, partial(load_generation, seen)),
        RECAL: (RecalDeployment, partial(load_recal, audit)),
    }
    return {
        APPLICATIONS[service]: application(service, deployment, load, settings, replicas=1)
        for service, (deployment, load) in loads.items()
    }
