from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from services.domain import TextChunk
from services.edge.forward import ForwardAnswerer
from services.edge.main import Edge
from services.edge.server import EdgeServer
from services.errors import Overloaded, ServiceUnavailable, UnknownBackbone, VersionMismatch
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.rpc.stubs import open_channel
from services.settings import EdgeSettings, Settings, SettingsError
from services.telemetry import PrometheusMeter
from tests.behind import FakeGate, FakeGeneration
from tests.unit.services.edge.line import Fakes, dialled, edge_settings, serving

Code = grpc.StatusCode
PROMPT = pb.RecalGenerateRequest(prompt="habari yako")


@asynccontextmanager
async def edge_over(address: str, **changes) -> AsyncIterator[EdgeServer]:
    channel = open_channel(address)
    edge = EdgeServer(ForwardAnswerer(channel), edge_settings(**changes), PrometheusMeter())
    await edge.start()
    try:
        yield edge
    finally:
        await edge.stop(grace_s=0.1)
        await channel.close(None)


@asynccontextmanager
async def through_the_edge(fakes: Fakes, **changes) -> AsyncIterator[grpc.aio.Channel]:
    async with (
        serving(fakes, debug_scores=True) as backend,
        edge_over(backend.address, **changes) as edge,
        dialled(edge) as channel,
    ):
        yield channel


async def generate(channel, request=PROMPT, **options):
    return [frame async for frame in pb_grpc.RecalStub(channel).Generate(request, **options)]


async def failure_of(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


async def test_answers_pass_through_unary_and_streaming():
    async with through_the_edge(Fakes()) as channel:
        assert len(await generate(channel)) == 4
        assert (await pb_grpc.RecalStub(channel).GetInfo(pb.GetInfoRequest())).model == "organism"


@pytest.mark.parametrize(
    "failure",
    [Overloaded("full"), ServiceUnavailable("away"), UnknownBackbone("no"), VersionMismatch("v3")],
)
async def test_errors_pass_through_with_their_words_and_one_mark(failure):
    fakes = Fakes(generation=FakeGeneration(fails_after=failure))
    async with through_the_edge(fakes) as channel:
        error = await failure_of(generate(channel, metadata=(("x-request-id", "id-1"),)))
    assert error.code().name == failure.status
    assert error.details() == f"{failure} [{type(failure).__name__}, request id-1]"


async def test_a_serve_that_is_away_is_unavailable_without_its_address():
    async with edge_over("127.0.0.1:1") as edge, dialled(edge) as channel:
        error = await failure_of(generate(channel))
    assert error.code() is Code.UNAVAILABLE
    assert error.details().startswith("`recal` cannot be reached; retry")
    assert "127.0.0.1" not in error.details()


async def test_invalid_utf8_is_named_before_it_is_forwarded():
    async with edge_over("127.0.0.1:1") as edge, dialled(edge) as channel:
        unary = channel.unary_unary("/recal.v1.Recal/Check")(b"\x0a\x02\xff\xfe")
        stream = channel.unary_stream("/recal.v1.Recal/Generate")(b"\x0a\x02\xff\xfe")
        for call in (unary, stream.read()):
            assert (await failure_of(call)).code() is Code.INVALID_ARGUMENT


async def test_the_deadline_is_handed_on():
    fakes = Fakes()
    async with through_the_edge(fakes, default_deadline_s=70.0) as channel:
        await generate(channel, timeout=40.0)
        # gRPC itself sends a deadline with three digits, rounded up
        assert 30 < fakes.gate.timeouts_s[-1] <= 40.1
        await generate(channel)
        assert 60 < fakes.gate.timeouts_s[-1] <= 70


async def test_a_clients_cancel_reaches_generation_behind_the_edge():
    fakes = Fakes(generation=FakeGeneration(chunks=(TextChunk("x", 1),) * 1000, pause_s=0.05))
    async with through_the_edge(fakes) as channel:
        call = pb_grpc.RecalStub(channel).Generate(PROMPT)
        await call.read()
        await call.read()
        call.cancel()
        await asyncio.sleep(0.3)
        assert fakes.generation.n_closed == 1


async def test_only_the_debug_wish_of_a_callers_metadata_is_handed_on():
    fakes = Fakes()
    async with through_the_edge(fakes) as channel:
        strange = (("application", "gate"), ("x-recal-tenant", "loose"), ("x-recal-debug", "1"))
        verdict, *_ = await generate(channel, metadata=strange)
    assert verdict.verdict.HasField("score")
    assert fakes.gate.asked[-1].tenant is None


async def test_readiness_is_that_of_the_line_behind():
    fakes = Fakes()
    async with serving(fakes) as backend, edge_over(backend.address) as edge:
        assert await edge.readiness.look()
        fakes.gate.failure = ServiceUnavailable("away")
        assert not await edge.readiness.look()


async def test_a_gate_that_crashes_behind_is_an_internal_error_without_its_words():
    fakes = Fakes(gate=FakeGate(failure=ValueError("canary")))
    async with through_the_edge(fakes) as channel:
        error = await failure_of(generate(channel))
    assert error.code() is Code.INTERNAL
    assert "canary" not in error.details()


async def test_an_edge_that_cannot_listen_leaves_nothing_open():
    async with serving(Fakes()) as taken:
        settings = Settings(edge=EdgeSettings(port=taken.port, metrics_port=None))
        with pytest.raises(SettingsError, match=str(taken.port)):
            await Edge(settings).start()


async def test_the_edge_as_a_process_starts_it_answers_and_stops():
    async with serving(Fakes()) as backend:
        edge = Edge(Settings(edge=EdgeSettings(port=0, metrics_port=None, backend=backend.address)))
        await edge.start()
        async with dialled(edge.server) as channel:
            assert len(await generate(channel)) == 4
        await edge.stop()
