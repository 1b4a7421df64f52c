"""What a probe is told while the edge starts, serves, and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.edge.health import LIVE
from services.edge.server import EdgeServer
from services.errors import ServiceUnavailable
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.rpc.call import Call
from services.telemetry import PrometheusMeter
from services.wire.methods import Method
from tests.behind import FakeGate, FakeGeneration
from tests.unit.services.edge.line import Fakes, connected, dialled, edge_settings, serving

STATUS = health_pb2.HealthCheckResponse


class Silent:
    """Answers nothing until it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def unary(self, method: Method, request: bytes, call: Call) -> bytes:
        self.asked.set()
        await self.go.wait()
        raise ServiceUnavailable("away")

    async def stream(
        self, method: Method, request: bytes, call: Call
    ) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError
        yield b""


async def health(channel: grpc.aio.Channel, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


@pytest.mark.parametrize("service", ["", "recal.v1.Recal"])
async def test_it_does_not_serve_before_the_first_self_test_has_ended(service: str) -> None:
    behind = Silent()
    server = EdgeServer(behind, edge_settings(), PrometheusMeter())
    start = asyncio.create_task(server.start())
    await behind.asked.wait()
    async with dialled(server) as channel:
        assert await health(channel, service) == STATUS.NOT_SERVING
    behind.go.set()
    await start
    await server.stop(grace_s=0.1)


async def test_it_is_live_while_what_is_behind_is_away() -> None:
    gate = FakeGate(failure=ServiceUnavailable("away"))
    async with connected(Fakes(gate=gate)) as channel:
        assert await health(channel) == STATUS.NOT_SERVING
        assert await health(channel, LIVE) == STATUS.SERVING


class Held(FakeGeneration):
    """Generates when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.stopping: asyncio.Task[None]

    async def generate(self, *args, **options):  # type: ignore[no-untyped-def]
        self.begun.set()
        await self.go.wait()
        async for chunk in super().generate(*args, **options):
            yield chunk


async def running(server: EdgeServer, channel: grpc.aio.Channel, held: Held) -> asyncio.Task:
    """A call that has reached the generation, and the server on its way out."""
    call = pb_grpc.RecalStub(channel).Generate(pb.RecalGenerateRequest(prompt="habari yako"))
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == STATUS.SERVING
    frames = asyncio.create_task(collected(call))
    await held.begun.wait()
    stop = asyncio.create_task(server.stop())
    assert (await watch.read()).status == STATUS.NOT_SERVING
    watch.cancel()
    held.stopping = stop
    return frames


async def collected(call) -> list[pb.RecalGenerateResponse]:  # type: ignore[no-untyped-def]
    return [frame async for frame in call]


async def test_a_running_call_may_end_while_the_edge_stops() -> None:
    held = Held()
    async with serving(Fakes(generation=held), drain_s=60) as server, dialled(server) as channel:
        frames = await running(server, channel, held)
        held.go.set()
        assert (await frames)[-1].HasField("usage")
        await held.stopping


async def test_a_running_call_is_cut_when_the_time_of_the_settings_is_over() -> None:
    held = Held()
    async with serving(Fakes(generation=held), drain_s=0.05) as server, dialled(server) as channel:
        frames = await running(server, channel, held)
        await asyncio.wait_for(held.stopping, 4)
        with pytest.raises(grpc.aio.AioRpcError):
            await frames
