from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

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
from services.rpc.call import Call
from services.rpc.stubs import open_channel
from services.settings import EdgeSettings, Settings, SettingsError
from services.telemetry import PrometheusMeter
from services.wire.methods import RECAL, method_of
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


@asynccontextmanager
async def serving_messages_only() -> AsyncIterator[str]:
    """A server as Serve has it: gRPC itself reads the requests, and says nothing of ours."""
    server = grpc.aio.server()
    pb_grpc.add_RecalServicer_to_server(pb_grpc.RecalServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_invalid_utf8_is_named_though_it_fails_behind():
    async with (
        serving_messages_only() as address,
        edge_over(address) as edge,
        dialled(edge) as channel,
    ):
        unary = channel.unary_unary("/recal.v1.Recal/Check")(b"\x0a\x02\xff\xfe")
        stream = channel.unary_stream("/recal.v1.Recal/Generate")(b"\x0a\x02\xff\xfe")
        for call in (unary, stream.read()):
            assert (await failure_of(call)).code() is Code.INVALID_ARGUMENT


class Unread:
    """Stands for a message, and may not be read."""

    FromString = DESCRIPTOR = None


@asynccontextmanager
async def saying(
    *answers: bytes, hears: list[bytes], waits: list[tuple[float, str]]
) -> AsyncIterator[str]:
    """A server that answers any call with any bytes."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, details):
            async def unary(request: bytes, context) -> bytes:
                hears.append(request)
                metadata = dict(context.invocation_metadata())
                waits.append((context.time_remaining(), metadata.get("x-deadline-ms")))
                return answers[0]

            async def stream(request: bytes, context: object):
                hears.append(request)
                for answer in answers:
                    yield answer

            if details.method.endswith("Generate"):
                return grpc.unary_stream_rpc_method_handler(stream)
            return grpc.unary_unary_rpc_method_handler(unary)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Anything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_what_passes_through_the_edge_is_not_read():
    heard: list[bytes] = []
    request, answers = b"\xff no message", (b"\xfe nor", b"this")
    call = Call(request_id="id-1")
    async with saying(*answers, hears=heard, waits=[]) as address, open_channel(address) as channel:
        edge = ForwardAnswerer(channel)
        unary = replace(method_of(RECAL, "Check"), request=Unread, response=Unread)
        assert await edge.unary(unary, request, call) == answers[0]
        stream = replace(method_of(RECAL, "Generate"), request=Unread, response=Unread)
        assert [frame async for frame in edge.stream(stream, request, call)] == list(answers)
    assert heard == [request, request]


async def test_the_edge_waits_a_little_longer_than_whoever_works_has():
    waited: list[tuple[float, str]] = []
    call = Call(request_id="id-1", deadline=time.monotonic() + 20, reserve_s=8.0)
    async with (
        saying(b"", hears=[], waits=waited) as address,
        open_channel(address) as channel,
    ):
        await ForwardAnswerer(channel).unary(method_of(RECAL, "Check"), b"", call)
    [(transport_s, work_ms)] = waited
    assert 10_000 < int(work_ms) <= 20_000
    assert 22 < transport_s < 24.5


@pytest.mark.parametrize("slow", ["gate", "generation"])
async def test_the_stage_of_a_passed_deadline_is_told_through_the_edge(slow):
    fakes = Fakes(generation=FakeGeneration(pause_s=60.0 if slow == "generation" else 0.0))
    async with through_the_edge(fakes, default_deadline_s=0.6) as channel:
        # not before: a gate that is slow from the beginning holds up the self-test
        fakes.gate.delay_s = 60.0 if slow == "gate" else 0.0
        error = await failure_of(generate(channel))
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert f"passed in `{slow}`" in error.details()


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
