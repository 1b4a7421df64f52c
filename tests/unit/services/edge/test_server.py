from __future__ import annotations

import asyncio
import logging
import re
import urllib.request
from dataclasses import replace
from importlib.metadata import version

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.domain import Action, FinishReason, TextChunk
from services.edge.server import EdgeServer
from services.errors import Overloaded, ServiceUnavailable
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.rpc.answerer import FaceAnswerer
from services.settings import SettingsError
from services.telemetry import PrometheusMeter
from tests.behind import DESCRIPTION, REFUSE, FakeGate, FakeGeneration, FakeLanguageId
from tests.unit.services.edge.line import Fakes, connected, dialled, edge_settings, serving

CANARY = "canary-7f3a"
Code = grpc.StatusCode
CHECKED = pb.RecalCheckRequest(prompt="habari yako")


async def generate(channel, request=None, **options):
    request = request if request is not None else pb.RecalGenerateRequest(prompt="habari yako")
    return [frame async for frame in pb_grpc.RecalStub(channel).Generate(request, **options)]


async def failure_of(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


async def test_generate_streams_verdict_text_and_usage():
    async with connected(Fakes()) as channel:
        frames = await generate(channel)
    assert [frame.WhichOneof("frame") for frame in frames] == ["verdict", "text", "text", "usage"]
    assert "".join(frame.text for frame in frames) == "Sawa, karibu"
    assert frames[-1].usage.n_generated_tokens == 3


async def test_a_refusal_is_ok_on_the_wire():
    async with connected(Fakes(gate=FakeGate(REFUSE))) as channel:
        verdict, text, usage = await generate(channel)
    assert verdict.verdict.action == pb.ACTION_REFUSE
    assert text.text == "refusal in sw"
    assert usage.usage.finish_reason == pb.FINISH_REASON_REFUSED


async def test_all_unary_methods_answer():
    async with connected(Fakes()) as channel:
        recal, gate = pb_grpc.RecalStub(channel), pb_grpc.GateStub(channel)
        guess = pb.LanguageGuess(language="sw", confidence=0.9)
        checked = pb.GateCheckRequest(prompt="habari", guess=guess)
        assert (await recal.Check(pb.RecalCheckRequest(prompt="habari"))).verdict.language == "sw"
        assert (await recal.GetInfo(pb.GetInfoRequest())).model == "organism"
        assert len((await recal.ListCalibrations(pb.ListCalibrationsRequest())).calibrations) == 1
        assert (await gate.Check(checked)).verdict.score == 1.25
        batch = await gate.BatchCheck(pb.GateBatchCheckRequest(requests=[checked] * 3))
        assert len(batch.responses) == 3
        assert (await gate.Describe(pb.GateDescribeRequest())).readout_version == "readout@3"
        identify = pb_grpc.LanguageIdStub(channel).Identify
        assert (await identify(pb.IdentifyRequest(text=""))).guess.language == "sw"


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"prompt": ""}, Code.INVALID_ARGUMENT, "`prompt` is empty"),
        ({"prompt": " \n"}, Code.INVALID_ARGUMENT, "`prompt` is empty"),
        ({"prompt": f"{CANARY}\0"}, Code.INVALID_ARGUMENT, "NUL character at index 11"),
        ({"prompt": CANARY * 2000}, Code.INVALID_ARGUMENT, "22000 bytes, at most 20000"),
        ({"prompt": CANARY * 4000}, Code.RESOURCE_EXHAUSTED, "at most 32768 are taken"),
        ({"prompt": CANARY * 100_000}, Code.RESOURCE_EXHAUSTED, "larger than max"),
        ({"prompt": "x", "language_hint": "xx"}, Code.INVALID_ARGUMENT, "'xx' is no BCP 47 tag"),
        ({"prompt": "x", "model": "gpt-9"}, Code.NOT_FOUND, "'gpt-9' is not served"),
    ],
)
async def test_bad_input_says_what_is_wrong_and_nothing_of_the_prompt(request_, code, words):
    async with connected(Fakes()) as channel:
        for call in (
            pb_grpc.RecalStub(channel).Check(pb.RecalCheckRequest(**request_)),
            generate(channel, pb.RecalGenerateRequest(**request_)),
        ):
            error = await failure_of(call)
            assert error.code() is code
            assert words in (error.details() or "")
            assert CANARY not in (error.details() or "")


@pytest.mark.parametrize("max_tokens", [0, 65, 2**32 - 1])
async def test_a_token_limit_out_of_range_is_refused(max_tokens):
    request = pb.RecalGenerateRequest(prompt="x", sampling=pb.Sampling(max_tokens=max_tokens))
    async with connected(Fakes()) as channel:
        error = await failure_of(generate(channel, request))
    assert error.code() is Code.INVALID_ARGUMENT
    assert f"`max_tokens` is {max_tokens}; give 1 to 64" in error.details()


@pytest.mark.parametrize("name", ["Check", "Generate"])
async def test_invalid_utf8_is_the_callers_mistake_and_said_so(name):
    async with connected(Fakes()) as channel:
        path = f"/recal.v1.Recal/{name}"
        if name == "Check":
            call = channel.unary_unary(path)(b"\x0a\x02\xff\xfe")
        else:
            call = channel.unary_stream(path)(b"\x0a\x02\xff\xfe").read()
        error = await failure_of(call)
    assert error.code() is Code.INVALID_ARGUMENT
    assert "UTF-8" in error.details()


@pytest.mark.parametrize("deadline_ms", ["0", "-5"])
async def test_a_deadline_in_the_past_ends_before_work_begins(deadline_ms):
    fakes = Fakes()
    async with connected(fakes) as channel:
        fakes.language_id.asked.clear()
        error = await failure_of(generate(channel, metadata=(("x-deadline-ms", deadline_ms),)))
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert fakes.language_id.asked == []


async def test_a_deadline_that_is_no_number_is_refused():
    async with connected(Fakes()) as channel:
        error = await failure_of(generate(channel, metadata=(("x-deadline-ms", "soon"),)))
    assert error.code() is Code.INVALID_ARGUMENT


async def test_a_call_without_deadline_takes_the_servers_default():
    fakes = Fakes(gate=FakeGate(delay_s=0.0))
    async with connected(fakes, default_deadline_s=70.0) as channel:
        await generate(channel)
    assert 60 < fakes.gate.timeouts_s[-1] <= 70


async def test_a_long_deadline_is_cut():
    fakes = Fakes()
    async with connected(fakes, max_deadline_s=40.0) as channel:
        await generate(channel, timeout=1000)
    assert fakes.gate.timeouts_s[-1] <= 40


@pytest.mark.parametrize("slow", ["gate", "generation"])
async def test_a_deadline_that_passes_is_told_in_words_with_the_stage(slow):
    fakes = Fakes(generation=FakeGeneration(pause_s=60.0 if slow == "generation" else 0.0))
    async with connected(fakes, default_deadline_s=0.3) as channel:
        # not before: a gate that is slow from the beginning holds up the self-test
        fakes.gate.delay_s = 60.0 if slow == "gate" else 0.0
        error = await failure_of(generate(channel))
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert re.search(rf"s passed in `{slow}`; finished by then: language_id", error.details())


async def test_a_slow_check_is_told_in_words_with_the_stage_too():
    fakes = Fakes()
    async with connected(fakes, default_deadline_s=0.3) as channel:
        fakes.gate.delay_s = 60.0
        error = await failure_of(pb_grpc.RecalStub(channel).Check(CHECKED))
    assert "passed in `gate`" in error.details()


@pytest.mark.parametrize("seconds", [0.2])
async def test_the_default_deadline_ends_a_hanging_call(seconds):
    fakes = Fakes(generation=FakeGeneration(pause_s=60.0))
    async with connected(fakes, default_deadline_s=seconds) as channel:
        error = await failure_of(asyncio.wait_for(generate(channel), timeout=5.0))
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert fakes.generation.n_closed == 1


@pytest.mark.parametrize("frames_before", [0, 1, 2])
async def test_a_clients_cancel_reaches_generation(frames_before):
    chunks = (TextChunk("x", 1),) * 1000
    fakes = Fakes(generation=FakeGeneration(chunks=chunks, pause_s=0.05))
    async with connected(fakes) as channel:
        call = pb_grpc.RecalStub(channel).Generate(pb.RecalGenerateRequest(prompt="habari"))
        for _ in range(frames_before + 1):
            await call.read()
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.sleep(0.2)
        assert fakes.generation.n_closed == 1


@pytest.mark.parametrize("failure", [ServiceUnavailable("away"), ValueError(CANARY)])
async def test_without_the_gate_there_is_an_error_and_no_text(failure):
    fakes = Fakes(gate=FakeGate(failure=failure))
    async with connected(fakes) as channel:
        error = await failure_of(generate(channel))
    assert error.code() in (Code.UNAVAILABLE, Code.INTERNAL)
    assert CANARY not in error.details()
    assert fakes.generation.asked == []


async def test_an_error_after_text_still_ends_the_stream_with_its_status():
    fakes = Fakes(
        generation=FakeGeneration(chunks=(TextChunk("Sawa", 1),), fails_after=Overloaded("full"))
    )
    async with connected(fakes) as channel:
        call = pb_grpc.RecalStub(channel).Generate(pb.RecalGenerateRequest(prompt="habari"))
        seen = [(await call.read()).WhichOneof("frame") for _ in range(2)]
        error = await failure_of(call.read())
    assert seen == ["verdict", "text"]
    assert error.code() is Code.RESOURCE_EXHAUSTED


async def test_the_request_id_comes_back_in_the_trailers_and_in_errors():
    async with connected(Fakes()) as channel:
        call = pb_grpc.RecalStub(channel).GetInfo(
            pb.GetInfoRequest(), metadata=(("x-request-id", "mine-1"),)
        )
        await call
        assert ("x-request-id", "mine-1") in tuple(await call.trailing_metadata())
        error = await failure_of(
            generate(channel, pb.RecalGenerateRequest(), metadata=(("x-request-id", "mine-2"),))
        )
    assert "request mine-2]" in error.details()
    assert ("x-request-id", "mine-2") in tuple(error.trailing_metadata())


async def test_a_request_id_that_is_not_fit_for_a_log_is_replaced():
    async with connected(Fakes()) as channel:
        error = await failure_of(
            generate(channel, pb.RecalGenerateRequest(), metadata=(("x-request-id", "a b=c"),))
        )
    assert "a b=c" not in error.details()


@pytest.mark.parametrize(
    ("allowed", "asked", "shown"),
    [(False, "1", False), (True, "0", False), (True, "1", True)],
)
async def test_scores_are_shown_only_where_operator_and_caller_both_say_so(allowed, asked, shown):
    async with connected(Fakes(), debug_scores=allowed) as channel:
        metadata = (("x-recal-debug", asked),)
        verdict, *_ = await generate(channel, metadata=metadata)
        check = await pb_grpc.RecalStub(channel).Check(
            pb.RecalCheckRequest(prompt="habari"), metadata=metadata
        )
    assert verdict.verdict.HasField("score") is shown
    assert verdict.verdict.HasField("threshold") is shown
    assert check.verdict.HasField("score") is shown


async def test_a_callers_tenant_is_not_believed():
    fakes = Fakes()
    async with connected(fakes) as channel:
        await generate(channel, metadata=(("x-recal-tenant", "loose"),))
    assert fakes.gate.asked[-1].tenant is None


async def test_internal_services_are_not_reachable_unless_an_operator_says_so():
    async with connected(Fakes(), internal_services=False) as channel:
        error = await failure_of(pb_grpc.GateStub(channel).Describe(pb.GateDescribeRequest()))
        assert error.code() is Code.UNIMPLEMENTED
        assert await generate(channel)


async def test_more_calls_than_there_is_room_for_are_told_to_come_later():
    fakes = Fakes(generation=FakeGeneration(pause_s=0.3))
    async with connected(fakes, max_concurrent=1) as channel:
        first = asyncio.create_task(generate(channel))
        await asyncio.sleep(0.1)
        error = await failure_of(generate(channel))
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert await first


async def health(channel, service=""):
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_health_follows_loading_failure_and_recovery():
    status = health_pb2.HealthCheckResponse
    meter = PrometheusMeter()
    fakes, faces = Fakes(), {}
    server = EdgeServer(FaceAnswerer(faces), edge_settings(probe_interval_s=600), meter)
    await server.start()
    async with dialled(server) as channel:
        assert await health(channel) == status.NOT_SERVING
        error = await failure_of(generate(channel))
        assert error.code() is Code.UNAVAILABLE
        assert "still loading" in error.details()
        faces.update(fakes.faces(meter))
        for failure, expected in (
            (None, status.SERVING),
            (ServiceUnavailable("away"), status.NOT_SERVING),
            (None, status.SERVING),
        ):
            fakes.gate.failure = failure
            await server.readiness.look()
            assert await health(channel) == expected
            assert await health(channel, "recal.v1.Recal") == expected
    await server.stop(grace_s=0.1)


@pytest.mark.parametrize("missing", ["calibrations", "verdict"])
async def test_without_calibrations_or_a_passed_self_test_it_does_not_serve(missing):
    gate = FakeGate()
    if missing == "calibrations":
        gate.description = replace(DESCRIPTION, calibrations=())
    else:
        gate.verdict = REFUSE
    async with connected(Fakes(gate=gate)) as channel:
        assert await health(channel) == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_the_self_test_runs_once_per_readout():
    fakes = Fakes()
    async with serving(fakes, probe_interval_s=600) as server:
        await server.readiness.look()
        await server.readiness.look()
        assert len(fakes.gate.asked) == 1


async def test_reflection_lists_the_exposed_services():
    async with connected(Fakes(), internal_services=False) as channel:
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([request])
        )
        names = {each.name for each in (await call.read()).list_services_response.service}
        call.cancel()
    assert names == {
        "recal.v1.Recal",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_metrics_are_scraped_over_http_and_count_calls_by_status():
    async with serving(Fakes(), metrics_port=0) as server, dialled(server) as channel:
        await generate(channel)
        await failure_of(generate(channel, pb.RecalGenerateRequest(prompt="")))
        url = f"http://127.0.0.1:{server.metrics_port}/metrics"
        text = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
    assert 'recal_requests_total{method="Recal/Generate",status="OK"} 1.0' in text
    assert 'recal_requests_total{method="Recal/Generate",status="INVALID_ARGUMENT"} 1.0' in text
    assert "recal_stage_seconds_bucket" in text


async def test_a_scrape_says_in_which_mode_is_served_and_by_which_build():
    async with serving(Fakes(), metrics_port=0, mode="sidecar") as server:
        url = f"http://127.0.0.1:{server.metrics_port}/metrics"
        text = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
    build = version("recal-gate")
    assert f'recal_serving_info{{mode="sidecar",software_version="{build}"}} 1.0' in text


async def test_no_text_of_prompt_or_answer_reaches_logs_errors_or_metrics(caplog):
    caplog.set_level(logging.DEBUG)
    chunks = (TextChunk(CANARY, 1, FinishReason.END_OF_TEXT, 3),)
    prompt = pb.RecalGenerateRequest(prompt=CANARY)
    for fakes in (
        Fakes(generation=FakeGeneration(chunks=chunks)),
        Fakes(gate=FakeGate(failure=ValueError(CANARY))),
        Fakes(language_id=FakeLanguageId(failure=KeyError(CANARY))),
        Fakes(generation=FakeGeneration(fails_after=RuntimeError(CANARY))),
    ):
        async with serving(fakes, metrics_port=0) as server, dialled(server) as channel:
            [ended] = await asyncio.gather(generate(channel, prompt), return_exceptions=True)
            assert isinstance(ended, list) or CANARY not in str(ended)
            url = f"http://127.0.0.1:{server.metrics_port}/metrics"
            metrics = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
            assert CANARY not in metrics
    assert "status=INTERNAL" in caplog.text
    assert CANARY not in caplog.text


async def test_a_port_that_another_server_holds_is_said_so_and_not_shared():
    async with serving(Fakes()) as first:
        settings = edge_settings(port=first.port)
        second = EdgeServer(FaceAnswerer({}), settings, PrometheusMeter())
        with pytest.raises(SettingsError, match=f"`127.0.0.1:{first.port}`"):
            await second.start()


async def test_a_metrics_port_that_is_taken_is_said_so():
    async with serving(Fakes(), metrics_port=0) as first:
        settings = edge_settings(metrics_port=first.metrics_port)
        second = EdgeServer(FaceAnswerer({}), settings, PrometheusMeter())
        with pytest.raises(SettingsError, match=r"`edge\.metrics_port`"):
            await second.start()
        await second.stop(grace_s=0)


async def test_actions_of_the_verdict_are_never_unspecified():
    async with connected(Fakes()) as channel:
        verdict, *_ = await generate(channel)
    assert verdict.verdict.action == pb.Action.Value(f"ACTION_{Action.STEER.name}")
