from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import pytest

from recal.audit_query import Wanted, search
from services import errors
from services.domain import Action, GateRequest, Intervention, Sampling
from services.edge.main import Edge
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.rpc.stubs import GateStub, GenerationStub, LanguageIdStub
from services.wire.methods import APPLICATIONS
from tests.behind import CANARY, DESCRIPTION, STEER, SWAHILI

pytestmark = pytest.mark.serve
Code = grpc.StatusCode

ERRORS = ["InvalidRequest", "PromptTooLong", "NoCalibration", "Overloaded", "DeadlinePassed"]


async def generate(channel, prompt, **options):
    request = pb.RecalGenerateRequest(prompt=prompt)
    return [frame async for frame in pb_grpc.RecalStub(channel).Generate(request, **options)]


async def check(channel, prompt, **options):
    return await pb_grpc.RecalStub(channel).Check(pb.RecalCheckRequest(prompt=prompt), **options)


async def failure_of(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


async def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def answers_again(channel, seconds=60.0):
    end = time.monotonic() + seconds
    while True:
        try:
            return await check(channel, "habari", timeout=5)
        except grpc.aio.AioRpcError:
            assert time.monotonic() < end
            await asyncio.sleep(0.2)


async def test_the_whole_line_answers_through_the_edge(edge):
    frames = await generate(edge, "habari yako", timeout=30)
    assert [frame.WhichOneof("frame") for frame in frames] == ["verdict", "text", "text", "usage"]
    assert frames[0].verdict.calibration_version == STEER.calibration_version
    assert (frames[-1].usage.n_generated_tokens, frames[-1].usage.n_prompt_tokens) == (2, 12)


async def test_each_verdict_is_one_line_of_the_audit_by_the_callers_id(edge, cluster):
    for number in range(5):
        metadata = (("x-request-id", f"audited-{number}"),)
        await check(edge, "habari yako", timeout=30, metadata=metadata)
        await generate(edge, "habari yako", timeout=30, metadata=metadata)
    directory = cluster.audit
    expected = [(f"audited-{n}", rpc) for n in range(5) for rpc in ("Check", "Generate")]

    def kept():
        entries = search(directory, Wanted()).entries if directory.is_dir() else []
        return [e for e in entries if e["request_id"].startswith("audited-")]

    await until(lambda: len(kept()) >= len(expected))
    await asyncio.sleep(0.5)  # one that was written twice would be here by now
    assert [(e["request_id"], e["rpc"]) for e in kept()] == expected
    assert {(e["calibration_version"], e["mode"]) for e in kept()} == {("sw@7", "split")}


async def test_text_streams_as_it_comes(edge):
    call = pb_grpc.RecalStub(edge).Generate(pb.RecalGenerateRequest(prompt="slow"), timeout=30)
    times = []
    for _ in range(12):
        await call.read()
        times.append(time.monotonic())
    call.cancel()
    assert times[-1] - times[1] > 0.1


async def test_a_refusal_is_an_answer(edge):
    verdict, text, usage = await generate(edge, "refuse", timeout=30)
    assert verdict.verdict.action == pb.ACTION_REFUSE
    assert text.text == "refusal in sw"
    assert usage.usage.finish_reason == pb.FINISH_REASON_REFUSED


async def test_each_service_answers_under_its_own_application(channel):
    edit = Intervention(Action.STEER, "readout@3")
    assert await LanguageIdStub(channel).identify("habari") == SWAHILI
    assert (await GateStub(channel).check(GateRequest("habari", SWAHILI))).verdict == STEER
    assert await GateStub(channel).describe() == DESCRIPTION
    chunks = [c async for c in GenerationStub(channel).generate("habari", edit, Sampling())]
    assert chunks[-1].n_tokens == 2


@pytest.mark.parametrize("name", ["Check", "Generate"])
async def test_the_wrong_application_is_an_error_in_words_and_does_nothing(channel, name):
    wrong = "gate" if name == "Check" else "generation"
    metadata = (("application", wrong),)
    call = (check if name == "Check" else generate)(channel, "habari", metadata=metadata)
    error = await failure_of(call)
    assert error.code() is Code.INVALID_ARGUMENT
    assert "`application` metadata" in error.details()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("who", ["gate", "generation"])
async def test_every_error_keeps_its_status_and_words_through_two_deployments(edge, kind, who):
    status = Code[getattr(errors, kind).status]
    error = await failure_of(generate(edge, f"{who}: {kind}", timeout=30))
    assert error.code() is status
    assert error.details().startswith(f"told so by {who} [{kind}, request ")
    if who == "gate":
        error = await failure_of(check(edge, f"{who}: {kind}", timeout=30))
        assert error.code() is status
        assert error.details().startswith(f"told so by {who} [{kind}, request ")


@pytest.mark.parametrize("kind", ERRORS)
async def test_every_error_keeps_its_class_on_the_way_to_a_stub(channel, kind):
    with pytest.raises(getattr(errors, kind), match="^told so by gate$"):
        await GateStub(channel).check(GateRequest(f"gate: {kind}", SWAHILI))
    edit = Intervention(Action.STEER, "readout@3")
    with pytest.raises(getattr(errors, kind), match="^told so by generation$"):
        async for _ in GenerationStub(channel).generate(f"generation: {kind}", edit, Sampling()):
            pass


async def test_while_generation_is_full_a_call_is_turned_away_before_the_gate(cluster, edge):
    sign = cluster.seen.with_name("full")
    sign.touch()
    try:
        await failure_of(generate(edge, "generation: Overloaded", timeout=30))
        # the gate would have said so itself
        error = await failure_of(generate(edge, "gate: NoCalibration", timeout=30))
    finally:
        sign.unlink()
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert error.details().startswith("no room, told so by generation [Overloaded, request ")
    assert (await generate(edge, "habari", timeout=30))[-1].usage.n_generated_tokens > 0


async def test_an_error_after_text_ends_the_stream_with_its_status(edge):
    call = pb_grpc.RecalStub(edge).Generate(
        pb.RecalGenerateRequest(prompt="late generation: Overloaded"), timeout=30
    )
    seen = [(await call.read()).WhichOneof("frame") for _ in range(3)]
    error = await failure_of(call.read())
    assert seen == ["verdict", "text", "text"]
    assert error.code() is Code.RESOURCE_EXHAUSTED


def says_nothing_of_itself(error) -> bool:
    told = error.details()
    return error.code() is Code.INTERNAL and not any(
        word in told for word in (CANARY, "Traceback", ".py")
    )


@pytest.mark.parametrize("who", ["gate", "generation"])
async def test_a_crash_says_nothing_of_itself(edge, channel, who):
    prompt = f"{who}: crash {CANARY}"
    assert says_nothing_of_itself(await failure_of(generate(edge, prompt, timeout=30)))
    behind = generate(channel, prompt, timeout=30, metadata=(("application", "recal"),))
    assert says_nothing_of_itself(await failure_of(behind))


async def test_no_log_of_ray_holds_a_word_of_prompts_or_of_crashes(edge, cluster):
    for who in ("language-id", "gate", "generation"):
        await asyncio.gather(
            generate(edge, f"{who}: crash {CANARY}", timeout=30),
            check(edge, f"{who}: InvalidRequest {CANARY}", timeout=30),
            return_exceptions=True,
        )
    await asyncio.sleep(1.0)
    logs = [path for path in cluster.logs.rglob("*") if path.is_file()]
    assert any("request_id=" in path.read_text(errors="ignore") for path in logs)
    assert [path.name for path in logs if CANARY in path.read_text(errors="ignore")] == []


async def test_a_crash_of_language_id_leaves_the_language_unknown_and_the_gate_deciding(edge):
    frames = await generate(edge, "language-id: crash", timeout=30)
    assert frames[0].verdict.action == pb.ACTION_STEER


async def test_invalid_utf8_is_the_callers_mistake(edge):
    broken = b"\x0a\x02\xff\xfe" + CANARY.encode()
    unary = edge.unary_unary("/recal.v1.Recal/Check")(broken, timeout=30)
    stream = edge.unary_stream("/recal.v1.Recal/Generate")(broken, timeout=30)
    for call in (unary, stream.read()):
        error = await failure_of(call)
        assert error.code() is Code.INVALID_ARGUMENT
        assert "are no valid `recal.v1.Recal" in error.details()


async def test_a_message_over_the_limit_is_refused(edge):
    error = await failure_of(check(edge, "x" * 1_000_000, timeout=30))
    assert error.code() is Code.RESOURCE_EXHAUSTED


async def test_a_clients_cancel_reaches_generation(edge, cluster):
    call = pb_grpc.RecalStub(edge).Generate(pb.RecalGenerateRequest(prompt="slow"), timeout=30)
    for _ in range(3):
        await call.read()
    before = cluster.seen.read_text().count("closed slow")
    call.cancel()
    await until(lambda: cluster.seen.read_text().count("closed slow") > before, seconds=3)


@pytest.mark.parametrize("prompt", ["slow", "slow gate"])
async def test_a_deadline_ends_the_call_in_time(edge, prompt):
    start = time.monotonic()
    error = await failure_of(generate(edge, prompt, timeout=1.0))
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 3.0


_TRIES = 8


@pytest.mark.parametrize(("prompt", "stage"), [("slow", "generation"), ("slow gate", "gate")])
async def test_a_deadline_that_the_edge_sets_is_told_with_its_stage(cluster, prompt, stage):
    hasty = cluster.settings.edge.model_copy(update={"default_deadline_s": 1.0})
    front = Edge(cluster.settings.model_copy(update={"edge": hasty}))
    await front.start()
    wanted, told = f"passed in `{stage}`; finished by then: language_id", ""
    async with grpc.aio.insecure_channel(front.server.address) as channel:
        # the words have 20 ms to come back in: on a machine that is busy they may be late
        for _ in range(_TRIES):
            error = await failure_of(generate(channel, prompt))
            assert error.code() is Code.DEADLINE_EXCEEDED
            told = error.details() or ""
            if wanted in told:
                break
    await front.stop()
    assert wanted in told


async def test_a_cancelled_batch_is_dropped_behind_the_handle_too(channel):
    asked = [GateRequest("slow gate", SWAHILI)] * 3
    with pytest.raises(errors.DeadlinePassed):
        await GateStub(channel).batch_check(asked, timeout_s=0.5)


async def test_concurrent_requests_do_not_leak_into_each_other(edge):
    async def one(i):
        if i % 3 == 0:
            return (await failure_of(generate(edge, "gate: Overloaded", timeout=30))).code()
        return (await generate(edge, "refuse" if i % 3 == 1 else "habari", timeout=30))[0].verdict

    ended = await asyncio.gather(*(one(i) for i in range(24)))
    assert all(ended[i] is Code.RESOURCE_EXHAUSTED for i in range(0, 24, 3))
    assert all(ended[i].action == pb.ACTION_REFUSE for i in range(1, 24, 3))
    assert all(ended[i].action == pb.ACTION_STEER for i in range(2, 24, 3))


@pytest.mark.parametrize("who", ["gate", "generation"])
async def test_a_replica_that_is_killed_lets_nothing_out_ungated_and_comes_back(edge, who):
    during = [asyncio.create_task(generate(edge, "habari", timeout=30)) for _ in range(5)]
    error = await failure_of(generate(edge, f"{who}: die", timeout=30))
    assert error.code() in (Code.UNAVAILABLE, Code.INTERNAL)
    for _ in range(10):
        during.append(asyncio.create_task(generate(edge, "habari", timeout=30)))
        await asyncio.sleep(0.1)
    for ended in await asyncio.gather(*during, return_exceptions=True):
        if isinstance(ended, grpc.aio.AioRpcError):
            assert ended.code() in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
        else:
            assert ended[0].verdict.action == pb.ACTION_STEER
    await answers_again(edge)


async def test_an_application_that_is_not_there_is_unavailable_through_the_stub(channel):
    assert set(APPLICATIONS.values()) == {"language-id", "gate", "generation", "recal"}
    metadata = (("application", "nobody"),)
    error = await failure_of(check(channel, "habari", metadata=metadata))
    assert error.code() is Code.NOT_FOUND
