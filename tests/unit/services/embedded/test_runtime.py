from __future__ import annotations

import asyncio
import shutil

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.embedded.runtime import EmbeddedRuntime, Line
from services.errors import ArtefactRefused
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.telemetry import INNER_STAGES, STAGES
from tests.unit.services.embedded.real_line import (
    ENGLISH,
    GERMAN,
    generate,
    running,
    settings_for,
    started,
    until,
)

SERVING = health_pb2.HealthCheckResponse.SERVING


async def health(channel) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest())).status


async def test_one_process_answers_with_real_services(checkpoint, artefacts):
    async with running(settings_for(checkpoint, artefacts)) as channel:
        assert await health(channel) == SERVING
        english, *text, usage = await generate(channel, ENGLISH)
        german, *_ = await generate(channel, GERMAN)
        info = await pb_grpc.RecalStub(channel).GetInfo(pb.GetInfoRequest())
    assert (english.verdict.language, english.verdict.action) == ("en", pb.ACTION_NONE)
    assert (german.verdict.language, german.verdict.action) == ("de", pb.ACTION_STEER)
    assert usage.usage.n_generated_tokens <= 8
    assert text or usage.usage.finish_reason == pb.FINISH_REASON_END_OF_TEXT
    assert list(info.languages) == ["de", "en"]


async def test_the_last_frame_and_the_metrics_tell_every_stage(checkpoint, artefacts):
    async with (
        started(settings_for(checkpoint, artefacts)) as runtime,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        *_, usage = await generate(channel, ENGLISH)
        sample = runtime.meter.registry.get_sample_value
        counted = {stage: sample("recal_stage_seconds_count", {"stage": stage}) for stage in STAGES}
        calls = sample("recal_request_seconds_count", {"method": "Recal/Generate"})
    timings = usage.usage.timings_s
    assert set(timings) == set(STAGES)
    inner = [timings[stage] for stages in INNER_STAGES.values() for stage in stages]
    outer = timings["gate"] + timings["generation"]
    assert sum(inner) + timings["transport"] == pytest.approx(outer)
    assert outer <= timings["total"]
    assert [stage for stage in STAGES if not counted[stage]] == []
    assert calls == 1


async def test_steering_changes_the_text_and_only_of_the_steered(checkpoint, artefacts):
    edited = pb.Intervention(action="ACTION_STEER", readout_version="?")
    async with running(settings_for(checkpoint, artefacts)) as channel:
        described = await pb_grpc.GateStub(channel).Describe(pb.GateDescribeRequest())
        edited.readout_version = described.readout_version
        stub = pb_grpc.GenerationStub(channel)

        async def text(intervention):
            request = pb.GenerationGenerateRequest(prompt=ENGLISH, intervention=intervention)
            return "".join([frame.text async for frame in stub.Generate(request)])

        plain = pb.Intervention(action="ACTION_NONE")
        texts = await asyncio.gather(text(plain), text(edited), text(plain))
    assert texts[0] == texts[2] != texts[1]


async def test_a_promoted_calibration_serves_without_a_restart(checkpoint, artefacts, tmp_path):
    async with running(settings_for(checkpoint, artefacts, poll_s=0.1)) as channel:
        stub = pb_grpc.RecalStub(channel)
        request = pb.RecalCheckRequest(prompt=GERMAN)
        assert (await stub.Check(request)).verdict.action == pb.ACTION_STEER
        shutil.rmtree(artefacts / "calibrations" / "de")
        await until(lambda: listed(stub), ["en"])
        verdict = (await stub.Check(request)).verdict
    assert verdict.reason == pb.REASON_NO_CALIBRATION


async def listed(stub) -> list[str]:
    response = await stub.ListCalibrations(pb.ListCalibrationsRequest())
    return [each.language for each in response.calibrations]


async def test_without_artefacts_it_listens_and_says_that_it_is_not_ready(checkpoint, tmp_path):
    async with running(settings_for(checkpoint, tmp_path / "nothing")) as channel:
        assert await health(channel) != SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await generate(channel, ENGLISH)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "not there" in raised.value.details()


async def test_a_prompt_over_the_context_is_refused_by_tokens(checkpoint, artefacts):
    async with running(settings_for(checkpoint, artefacts)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await generate(channel, ENGLISH * 40)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "tokens" in raised.value.details()


async def test_a_backbone_that_cannot_be_loaded_ends_the_start_and_frees_the_port(tmp_path):
    (tmp_path / "empty").mkdir()
    settings = settings_for(tmp_path / "empty", tmp_path)
    runtime = EmbeddedRuntime(settings)
    with pytest.raises(ArtefactRefused, match=r"config\.json"):
        await runtime.start()


async def test_what_runs_beside_ends_with_the_process(tmp_path):
    ended = []

    async def beside():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("beside")

    async def close():
        ended.append("close")

    async def load(settings, meter):
        return Line((), (beside,), (close,))

    runtime = EmbeddedRuntime(settings_for(tmp_path, tmp_path), load=load)
    await runtime.start()
    await asyncio.sleep(0)
    await runtime.stop(grace_s=0.1)
    assert ended == ["beside", "close"]
