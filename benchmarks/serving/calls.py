"""`Recal.Check` through edge and Ray Serve, and a plain grpc.aio server that asks the same gate."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np

from benchmarks.serving.artefacts import LANGUAGE, calibration_of, random_readout
from recal.demo.stage import free_port
from services.backbone.load import load_backbone
from services.composition import load_gate
from services.domain import (
    Action,
    GateDescription,
    GateReading,
    GateRequest,
    LanguageGuess,
    Reason,
    Verdict,
)
from services.edge.main import Edge
from services.gate.service import GateService
from services.on_ray import launch
from services.readout.artefact import save_calibration, save_readout
from services.readout.bundle import Thresholds
from services.settings import (
    ORGANISM,
    EdgeSettings,
    RegistrySettings,
    ServeSettings,
    Settings,
)
from services.telemetry import Meter, PrometheusMeter
from services.wire import messages, verdicts
from services.wire.methods import APPLICATIONS, GATE, LANGUAGE_ID, RECAL, method_of

PLAIN, SERVE = "plain", "edge and Serve"
ECHO, ORGANISM_CALL = "a gate that echoes", "the organism's gate"
_PROMPTS = {
    ECHO: "How do I bake a loaf of bread at home, echoed?",
    ORGANISM_CALL: "How do I bake a loaf of bread at home without an oven?",
}
_GUESS = LanguageGuess(LANGUAGE, 0.99)
_ECHOED = GateReading(Verdict(Action.NONE, Reason.SCORE, LANGUAGE, "random@1", "en@1"), 12)
_WARM_UP = 30
_CHECK = method_of(RECAL, "Check")


class NamesEnglish:
    """Language identification that has made up its mind."""

    async def identify(self, text: str) -> LanguageGuess:
        """English."""
        return _GUESS


class Echo:
    """A gate that answers at once."""

    async def check(self, request: GateRequest, **options: Any) -> GateReading:
        """Leave it alone."""
        return _ECHOED

    async def describe(self) -> GateDescription:
        """Say that nothing is loaded."""
        return GateDescription("echo", "", "random@1", 512, ())


class EchoOrGate(Echo):
    """Answers one prompt at once, and all others by a gate."""

    def __init__(self, gate: GateService) -> None:
        """Ask the given gate."""
        self._gate = gate

    async def check(self, request: GateRequest, **options: Any) -> GateReading:
        """Decide on one prompt."""
        if request.prompt == _PROMPTS[ECHO]:
            return await super().check(request)
        return await self._gate.check(request, **options)

    async def batch_check(self, requests: list[GateRequest], **options: Any) -> list[GateReading]:
        """Decide on many prompts."""
        return await self._gate.batch_check(requests, **options)

    async def describe(self) -> GateDescription:
        """Say what is loaded."""
        return await self._gate.describe()


def measured_calls(n: int, *, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of the median of `n` calls in each repeat, by gate and way.

    Starts Ray Serve and ends it.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(_artefacts(Path(folder)))
        launch.prepare(settings)
        launch.run(settings, applications=_applications)
        try:
            return asyncio.run(_measured(settings, n, repeats))
        finally:
            launch.shutdown()


def _artefacts(folder: Path) -> Path:
    readout = save_readout(random_readout(load_backbone(str(ORGANISM))), folder / "readout")
    calibration = calibration_of(readout, LANGUAGE, thresholds=Thresholds(1.0, -1.0))
    save_calibration(calibration, folder / "calibrations" / LANGUAGE)
    return folder


def _settings(folder: Path) -> Settings:
    return Settings(
        registry=RegistrySettings(source="directory", directory=folder, poll_interval_s=600),
        edge=EdgeSettings(port=0, metrics_port=None, probe_interval_s=600),
        serve=ServeSettings(grpc_port=free_port(), http_port=free_port(), drain_s=1.0),
        state_dir=folder / "state",
        mode="sidecar",
    )


def _applications(settings: Settings) -> Mapping[str, Any]:
    from services.on_ray import app
    from services.on_ray.application import application
    from services.on_ray.deployments import GateDeployment

    load = partial(_load_here, settings)
    return {
        APPLICATIONS[LANGUAGE_ID]: app.language_id_application(settings),
        APPLICATIONS[GATE]: application(GATE, GateDeployment, load, settings, replicas=1),
        APPLICATIONS[RECAL]: app.recal_application(settings),
    }


async def _load_here(settings: Settings, meter: Meter) -> Any:
    from services.composition import request_limits
    from services.on_ray.deployments import Loaded

    gate = EchoOrGate((await load_gate(settings, meter)).service)
    return Loaded(gate, request_limits(settings))


async def _measured(settings: Settings, n: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    loaded = await load_gate(settings, PrometheusMeter())
    edge = Edge(settings)
    await edge.start()
    found: dict[str, dict[str, list[float]]] = {gate: {PLAIN: [], SERVE: []} for gate in _PROMPTS}
    async with (
        _plain_server(EchoOrGate(loaded.service)) as address,
        grpc.aio.insecure_channel(address) as plain,
        grpc.aio.insecure_channel(edge.server.address) as served,
    ):
        channels = {PLAIN: plain, SERVE: served}
        for repeat in range(repeats):
            for gate, prompt in _PROMPTS.items():
                for way in (PLAIN, SERVE) if repeat % 2 else (SERVE, PLAIN):
                    found[gate][way].append(await _median(_caller(channels[way], prompt), n))
    await edge.stop()
    await loaded.service.close()
    return found


@asynccontextmanager
async def _plain_server(gate: EchoOrGate) -> AsyncIterator[str]:
    """A server as anybody would write it first: read, ask the gate, answer."""

    async def check(request: messages.RecalCheckRequest, context: Any) -> Any:
        reading = await gate.check(GateRequest(request.prompt, _GUESS))
        return messages.RecalCheckResponse(
            verdict=verdicts.from_verdict(reading.verdict, with_score=False)
        )

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        check, _CHECK.request.FromString, _CHECK.response.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(RECAL, {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def _caller(channel: grpc.aio.Channel, prompt: str) -> Callable[[], Awaitable[Any]]:
    call = channel.unary_unary(
        _CHECK.path, _CHECK.request.SerializeToString, _CHECK.response.FromString
    )
    request = messages.RecalCheckRequest(prompt=prompt)
    return lambda: call(request, timeout=30.0)


async def _median(call: Callable[[], Awaitable[Any]], n: int) -> float:
    seconds = []
    for number in range(_WARM_UP + n):
        started = time.perf_counter()
        await call()
        if number >= _WARM_UP:
            seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))
