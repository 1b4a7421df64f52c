"""The deployment classes, plain and undecorated: a handle face and a gRPC face each.

The handle face takes and gives domain objects, the gRPC face (methods named as the RPCs) messages.
Models run in threads of the services' own, never on the replica's event loop, which also answers
health checks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from services.crash import whereabouts
from services.domain import (
    GateDescription,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Sampling,
    TextChunk,
)
from services.errors import ServiceError
from services.on_ray.meter import RayMeter
from services.pipeline.clients import FusedClient, GenerationClient, LanguageIdClient, closing
from services.rpc.faces import (
    BatchGate,
    FusedFace,
    GateFace,
    GenerationFace,
    LanguageIdFace,
    RecalFace,
)
from services.rpc.ledger import log
from services.rpc.serve import ServeContext, ServeFace
from services.telemetry import Meter
from services.wire import messages
from services.wire.prompts import RequestLimits
from services.wire.status import known

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Loaded(Generic[S]):
    """What a deployment serves, and what runs beside it as long as the replica lives."""

    service: S
    limits: RequestLimits
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None
    """The poll of the registry."""


@dataclass(frozen=True)
class LoadedFused(Loaded[BatchGate]):
    """A gate, and the generation that shares its model."""

    fused: FusedClient = field(kw_only=True)


Load = Callable[[Meter], Awaitable[Loaded[S]]]
"""Made by `services.on_ray.app` from the settings; runs in the replica."""


def safe(error: Exception) -> ServiceError:
    """An error that Serve may log with all it holds: an unknown one loses its words."""
    ours = known(error)
    if ours is not None:
        return type(ours)(str(ours))
    log.error("crashed: %s", whereabouts(error))
    return ServiceError("internal error; see the server log")


async def guarded(work: Awaitable[T]) -> T:
    """Wait for work; whatever it raises leaves as an error of ours, without a trace of the rest."""
    try:
        return await work
    except Exception as error:
        failure = safe(error)
    raise failure


async def guarded_stream(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """A stream, closed when it is left; whatever it raises leaves as an error of ours."""
    failure = None
    try:
        async with closing(items):
            async for item in items:
                yield item
    except Exception as error:
        failure = safe(error)
    if failure is not None:
        raise failure


def log_to_serve() -> None:
    """Let our lines go where Serve's own go: the replica's log file."""
    handlers = logging.getLogger("ray.serve").handlers
    for name in ("recal", "services"):
        logger = logging.getLogger(name)
        logger.handlers = list(handlers)
        logger.setLevel(logging.INFO)
        logger.propagate = False


class _Beside:
    """The task that runs beside a service; without it the replica is not healthy."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        self._task = None if run is None else asyncio.create_task(run())

    def check(self) -> None:
        """Raise when the task has ended."""
        if self._task is not None and self._task.done():
            raise ServiceError("the poll of the registry has ended; see the log")


class LanguageIdDeployment:
    """Language identification on Serve."""

    async def __init__(self, load: Load[LanguageIdClient]) -> None:  # type: ignore[misc]
        """Load in the replica."""
        log_to_serve()
        meter = RayMeter()
        loaded = await load(meter)
        self._language_id = loaded.service
        self._face = ServeFace(LanguageIdFace(loaded.service, loaded.limits), meter)

    async def identify(self, text: str) -> LanguageGuess:
        """Name the language of a text, or abstain."""
        return await guarded(self._language_id.identify(text))

    async def Identify(  # noqa: N802
        self, request: messages.IdentifyRequest, grpc_context: ServeContext
    ) -> messages.IdentifyResponse:
        """The RPC."""
        response: messages.IdentifyResponse = await self._face.unary(
            "Identify", request, grpc_context
        )
        return response


class GateDeployment:
    """The gate on Serve."""

    async def __init__(self, load: Load[BatchGate]) -> None:  # type: ignore[misc]
        """Load in the replica."""
        log_to_serve()
        meter = RayMeter()
        self._hold(await load(meter), meter)

    def _hold(self, loaded: Loaded[BatchGate], meter: Meter) -> None:
        self._gate = loaded.service
        self._beside = _Beside(loaded.beside)
        self._face = ServeFace(GateFace(loaded.service, loaded.limits), meter)

    async def check(self, request: GateRequest, *, timeout_s: float | None = None) -> GateReading:
        """Decide on one prompt."""
        return await guarded(self._gate.check(request, timeout_s=timeout_s))

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        """Decide on many prompts, in order."""
        return await guarded(self._gate.batch_check(requests, timeout_s=timeout_s))

    async def describe(self) -> GateDescription:
        """Say what is loaded."""
        return await guarded(self._gate.describe())

    async def Check(  # noqa: N802
        self, request: messages.GateCheckRequest, grpc_context: ServeContext
    ) -> messages.GateCheckResponse:
        """The RPC."""
        response: messages.GateCheckResponse = await self._face.unary(
            "Check", request, grpc_context
        )
        return response

    async def BatchCheck(  # noqa: N802
        self, request: messages.GateBatchCheckRequest, grpc_context: ServeContext
    ) -> messages.GateBatchCheckResponse:
        """The RPC."""
        response: messages.GateBatchCheckResponse = await self._face.unary(
            "BatchCheck", request, grpc_context
        )
        return response

    async def Describe(  # noqa: N802
        self, request: messages.GateDescribeRequest, grpc_context: ServeContext
    ) -> messages.GateDescribeResponse:
        """The RPC."""
        response: messages.GateDescribeResponse = await self._face.unary(
            "Describe", request, grpc_context
        )
        return response

    async def check_health(self) -> None:
        """Serve asks this; it raises when the replica should be replaced."""
        self._beside.check()


class FusedDeployment(GateDeployment):
    """Gate and generation in one on Serve: everything that the gate does, and answers beside."""

    async def __init__(self, load: Callable[[Meter], Awaitable[LoadedFused]]) -> None:  # type: ignore[misc]
        """Load in the replica."""
        log_to_serve()
        meter = RayMeter()
        loaded = await load(meter)
        self._hold(loaded, meter)
        self._fused = loaded.fused
        self._fused_face = ServeFace(FusedFace(loaded.fused, loaded.limits), meter)

    async def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncGenerator[GateReading | TextChunk, None]:
        """Decide and answer: the reading, then text."""
        frames = self._fused.generate(request, sampling, timeout_s=timeout_s)
        async with aclosing(guarded_stream(frames)) as guarded_frames:
            async for frame in guarded_frames:
                yield frame

    async def Generate(  # noqa: N802
        self, request: messages.FusedGenerateRequest, grpc_context: ServeContext
    ) -> AsyncIterator[messages.FusedGenerateResponse]:
        """The RPC."""
        stream = self._fused_face.stream("Generate", request, grpc_context)
        async with aclosing(stream) as responses:
            async for response in responses:
                yield response


class GenerationDeployment:
    """Generation on Serve."""

    async def __init__(self, load: Load[GenerationClient]) -> None:  # type: ignore[misc]
        """Load in the replica."""
        log_to_serve()
        meter = RayMeter()
        loaded = await load(meter)
        self._generation = loaded.service
        self._beside = _Beside(loaded.beside)
        self._face = ServeFace(GenerationFace(loaded.service, loaded.limits), meter)

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[TextChunk, None]:
        """Generate; the last chunk carries `finish`."""
        chunks = self._generation.generate(prompt, intervention, sampling, timeout_s=timeout_s)
        async with aclosing(guarded_stream(chunks)) as guarded_chunks:
            async for chunk in guarded_chunks:
                yield chunk

    async def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a call would be taken now."""
        await guarded(self._generation.check_capacity(n_expected))

    async def Generate(  # noqa: N802
        self, request: messages.GenerationGenerateRequest, grpc_context: ServeContext
    ) -> AsyncIterator[messages.GenerationGenerateResponse]:
        """The RPC."""
        async with aclosing(self._face.stream("Generate", request, grpc_context)) as responses:
            async for response in responses:
                yield response

    async def check_health(self) -> None:
        """Serve asks this; it raises when the replica should be replaced."""
        self._beside.check()


class RecalDeployment:
    """The front door on Serve."""

    async def __init__(self, load: Callable[[Meter], Awaitable[RecalFace]]) -> None:  # type: ignore[misc]
        """Load in the replica."""
        log_to_serve()
        meter = RayMeter()
        self._face = ServeFace(await load(meter), meter)

    async def Generate(  # noqa: N802
        self, request: messages.RecalGenerateRequest, grpc_context: ServeContext
    ) -> AsyncIterator[messages.RecalGenerateResponse]:
        """The RPC."""
        async with aclosing(self._face.stream("Generate", request, grpc_context)) as responses:
            async for response in responses:
                yield response

    async def Check(  # noqa: N802
        self, request: messages.RecalCheckRequest, grpc_context: ServeContext
    ) -> messages.RecalCheckResponse:
        """The RPC."""
        response: messages.RecalCheckResponse = await self._face.unary(
            "Check", request, grpc_context
        )
        return response

    async def ListCalibrations(  # noqa: N802
        self, request: messages.ListCalibrationsRequest, grpc_context: ServeContext
    ) -> messages.ListCalibrationsResponse:
        """The RPC."""
        response: messages.ListCalibrationsResponse = await self._face.unary(
            "ListCalibrations", request, grpc_context
        )
        return response

    async def GetInfo(  # noqa: N802
        self, request: messages.GetInfoRequest, grpc_context: ServeContext
    ) -> messages.GetInfoResponse:
        """The RPC."""
        response: messages.GetInfoResponse = await self._face.unary(
            "GetInfo", request, grpc_context
        )
        return response
