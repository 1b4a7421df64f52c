from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from services.domain import (
    Abstention,
    Action,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Sampling,
    TextChunk,
)
from services.errors import NoCalibration, ServiceError, ServiceUnavailable, VersionMismatch
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.rpc.call import current_request_id
from services.rpc.stubs import FusedStub, GateStub, GenerationStub, LanguageIdStub, open_channel
from services.wire.methods import GATE
from tests.behind import (
    DESCRIPTION,
    REFUSE,
    STEER,
    SWAHILI,
    TEXT,
    FakeFused,
    FakeGate,
    FakeGeneration,
    FakeLanguageId,
)
from tests.unit.services.edge.line import Fakes, connected, serving
from tests.unit.services.rpc.mute import mute_gate

ASKED = GateRequest("habari", SWAHILI, "sw", "acme", "user 7")
EDIT = Intervention(Action.STEER, "readout@3", "sw@7")


async def text(stub: GenerationStub) -> list[TextChunk]:
    return [chunk async for chunk in stub.generate("habari", EDIT, Sampling())]


@pytest.mark.parametrize(
    "guess", [SWAHILI, LanguageGuess(None, 0.3, Abstention.MIXED, ("sw", "en"))]
)
async def test_identify_gives_what_the_service_gives(guess):
    async with connected(Fakes(language_id=FakeLanguageId(guess))) as channel:
        assert await LanguageIdStub(channel).identify("habari") == guess


async def test_check_gives_what_the_service_gives_and_hands_on_what_it_is_told():
    fakes = Fakes()
    async with connected(fakes) as channel:
        asked = GateRequest("habari", SWAHILI, hint="sw", tenant="acme", routing_key="user 7")
        reading = await GateStub(channel).check(asked, timeout_s=5)
    assert reading == GateReading(STEER, 12)
    assert fakes.gate.asked[-1] == asked
    assert 4 < fakes.gate.timeouts_s[-1] <= 5


async def test_without_a_routing_key_every_prompt_of_a_batch_is_drawn_by_itself():
    fakes = Fakes()
    async with connected(fakes) as channel:
        stub = GateStub(channel)
        keyed = GateRequest("habari", SWAHILI, routing_key="user 7")
        await stub.batch_check([GateRequest("habari", SWAHILI)] * 2 + [keyed], timeout_s=5)
        await stub.check(GateRequest("habari", SWAHILI))
    keys = [each.routing_key for each in fakes.gate.asked[-4:]]
    assert keys[2] == "user 7"
    assert len(set(keys)) == 4
    assert all(keys)


async def test_batch_check_keeps_order_and_refuses_to_mix_tenants():
    fakes = Fakes()
    async with connected(fakes) as channel:
        asked = [GateRequest(f"prompt {i}", SWAHILI) for i in range(3)]
        found = await GateStub(channel).batch_check(asked, timeout_s=5)
        assert found == [GateReading(STEER, 12)] * 3
        assert 4 < fakes.gate.timeouts_s[-1] <= 5
        with pytest.raises(ValueError, match="2 tenants"):
            await GateStub(channel).batch_check([asked[0], GateRequest("x", SWAHILI, tenant="b")])


async def test_describe_gives_what_the_service_gives():
    async with connected(Fakes()) as channel:
        assert await GateStub(channel).describe() == DESCRIPTION


async def test_generate_gives_text_and_last_all_tokens():
    fakes = Fakes()
    async with connected(fakes) as channel:
        *pieces, last = await text(GenerationStub(channel))
    assert "".join(chunk.text for chunk in pieces) == "Sawa, karibu"
    assert (last.n_tokens, last.finish, last.n_prompt_tokens) == (3, TEXT[-1].finish, 12)
    assert fakes.generation.asked == [("habari", EDIT, Sampling())]


async def fused(stub: FusedStub, request: GateRequest = ASKED) -> list[GateReading | TextChunk]:
    return [frame async for frame in stub.generate(request, Sampling(), timeout_s=5)]


async def test_the_fused_service_gives_its_reading_then_text_and_last_all_tokens():
    fakes = Fakes()
    async with connected(fakes, mode="fused") as channel:
        reading, *pieces, last = await fused(FusedStub(channel))
    assert reading == GateReading(STEER, 12)
    assert "".join(chunk.text for chunk in pieces) == "Sawa, karibu"
    assert (last.n_tokens, last.finish, last.n_prompt_tokens) == (3, TEXT[-1].finish, 12)
    assert fakes.fused.asked == [(ASKED, Sampling())]
    assert 4 < fakes.fused.timeouts_s[-1] <= 5


async def test_of_a_refusal_the_fused_service_sends_the_reading_alone():
    async with connected(Fakes(fused=FakeFused(REFUSE)), mode="fused") as channel:
        assert await fused(FusedStub(channel)) == [GateReading(REFUSE, 12)]


async def test_fused_text_that_breaks_off_is_an_error():
    cut = FakeFused(chunks=(TextChunk("Sawa", 1),))
    async with connected(Fakes(fused=cut), mode="fused") as channel:
        with pytest.raises(ServiceUnavailable, match="broke off after 1 tokens"):
            await fused(FusedStub(channel))


async def test_the_fused_service_is_asked_under_a_guess_or_refuses():
    async with connected(Fakes(), mode="fused") as channel:
        request = pb.FusedGenerateRequest(check=pb.GateCheckRequest(prompt="habari"))
        frames = pb_grpc.FusedStub(channel).Generate(request)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            _ = [frame async for frame in frames]
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "`guess` is not set" in (raised.value.details() or "")


async def test_a_fused_call_that_is_left_is_cancelled_behind():
    fakes = Fakes(fused=FakeFused(pause_s=0.05))
    async with connected(fakes, mode="fused") as channel:
        stream = FusedStub(channel).generate(ASKED, Sampling(), timeout_s=5)
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(5):
            while not fakes.fused.n_closed:
                await asyncio.sleep(0.01)


async def test_errors_arrive_as_the_class_they_were():
    fakes = Fakes(
        gate=FakeGate(failure=NoCalibration("none for `sw`")),
        generation=FakeGeneration(failures=[VersionMismatch("readout@3")]),
    )
    async with connected(fakes) as channel:
        with pytest.raises(NoCalibration, match=r"^none for `sw`$"):
            await GateStub(channel).check(GateRequest("habari", SWAHILI))
        with pytest.raises(VersionMismatch):
            await text(GenerationStub(channel))


async def test_a_service_that_is_away_is_unavailable():
    async with open_channel("127.0.0.1:1") as channel:
        with pytest.raises(ServiceUnavailable, match=f"`{GATE}` cannot be reached"):
            await GateStub(channel).check(GateRequest("habari", SWAHILI), timeout_s=2)


async def test_an_answer_that_cannot_be_read_is_an_error_and_no_verdict():
    async with mute_gate() as channel:
        with pytest.raises(ServiceError, match="answered what cannot be read"):
            await GateStub(channel).check(GateRequest("habari", SWAHILI))


async def test_the_id_of_the_call_being_answered_is_handed_on(caplog):
    caplog.set_level("INFO", logger="recal.rpc")
    async with connected(Fakes()) as channel:
        current_request_id.set("outer-1")
        await GateStub(channel).describe()
    assert "request_id=outer-1" in caplog.text


async def test_closing_the_stream_early_closes_generation():
    fakes = Fakes(generation=FakeGeneration(chunks=(TextChunk("x", 1),) * 100, pause_s=0.05))
    async with connected(fakes) as channel:
        chunks = GenerationStub(channel).generate("habari", EDIT, Sampling())
        await anext(chunks)
        await chunks.aclose()
        await asyncio.sleep(0.2)
        assert fakes.generation.n_closed == 1


async def test_a_channel_spreads_its_calls_over_all_addresses_of_a_name():
    first, second = Fakes(), Fakes()
    async with serving(first) as one, serving(second) as two:
        first.gate.asked.clear()  # the servers' own self-tests
        second.gate.asked.clear()
        channel = open_channel(f"ipv4:{one.address},{two.address}")
        stub = GateStub(channel)
        async with asyncio.timeout(10):
            while not (first.gate.asked and second.gate.asked):
                await stub.check(GateRequest("habari", SWAHILI), timeout_s=5)
        await channel.close()
