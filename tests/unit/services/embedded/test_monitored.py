"""Answers that the monitor withdraws, over gRPC: from the front door and the services behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.pb import recal_pb2 as pb
from services.readout.artefact import load_readout
from services.refusals.phrases import fixed_refusal
from services.settings import GenerationSettings, MonitorSettings, ServingMode, Settings
from tests.unit.services.embedded.asking import CANARY, asking
from tests.unit.services.embedded.real_line import ENGLISH, GERMAN, settings_for

SAMPLING = pb.Sampling(max_tokens=20)
WITHDRAWN = (pb.FINISH_REASON_MONITOR, pb.MONITOR_STOP_SCORE)


def monitored(checkpoint: Path, artefacts: Path, mode: ServingMode, threshold: float) -> Settings:
    digest = load_readout(artefacts / "readout").digest
    monitor = MonitorSettings(thresholds={digest[:12]: threshold}, every=4)
    section = GenerationSettings(default_max_tokens=8, max_tokens=128, monitor=monitor)
    return settings_for(checkpoint, artefacts, mode=mode, generation=section)


@pytest.mark.usefixtures("canary_in_no_log")
@pytest.mark.parametrize("mode", ["split", "fused"])
async def test_the_front_door_says_in_its_last_frame_what_stands_in_the_place_of_an_answer(
    checkpoint, artefacts, mode: ServingMode
):
    async with asking(monitored(checkpoint, artefacts, mode, -1e6)) as line:
        untouched = await line.generate(f"{ENGLISH} {CANARY}", sampling=SAMPLING)
        steered = await line.generate(GERMAN, sampling=SAMPLING)
        stops = line.counted("recal_monitor_stops_total", language="en", reason="score")
    usage = untouched.frames[-1].usage
    assert untouched.text == ""
    assert (usage.finish_reason, usage.withdrawn_by) == WITHDRAWN
    assert (usage.replacement, stops) == (fixed_refusal("en"), 1.0)
    assert steered.frames[-1].usage.finish_reason != pb.FINISH_REASON_MONITOR
    assert steered.text


@pytest.mark.parametrize("mode", ["split", "fused"])
async def test_an_answer_below_the_threshold_is_the_one_that_nobody_looks_at(
    checkpoint, artefacts, mode: ServingMode
):
    async with asking(monitored(checkpoint, artefacts, mode, 1e6)) as line:
        looked_at = await line.generate(ENGLISH, sampling=SAMPLING)
    async with asking(settings_for(checkpoint, artefacts, mode=mode)) as line:
        alone = await line.generate(ENGLISH, sampling=SAMPLING)
    assert looked_at.text == alone.text
    usages = [each.frames[-1].usage for each in (looked_at, alone)]
    assert usages[0].n_generated_tokens == usages[1].n_generated_tokens
    assert (usages[0].withdrawn_by, usages[0].replacement) == (0, "")


async def test_generation_and_the_fused_service_tell_the_pipeline_why(checkpoint, artefacts):
    version = load_readout(artefacts / "readout").version
    intervention = pb.Intervention(action=pb.ACTION_NONE, readout_version=version)
    told = pb.GenerationGenerateRequest(
        prompt=ENGLISH, intervention=intervention, sampling=SAMPLING
    )
    guess = pb.LanguageGuess(language="en", confidence=0.9)
    check = pb.GateCheckRequest(prompt=ENGLISH, guess=guess)
    undecided = pb.FusedGenerateRequest(check=check, sampling=SAMPLING)
    for mode, rpc, request in (
        ("split", "Generation/Generate", told),
        ("fused", "Fused/Generate", undecided),
    ):
        async with asking(monitored(checkpoint, artefacts, mode, -1e6)) as line:
            usage = (await line.call(rpc, request)).frames[-1].usage
        assert (usage.finish_reason, usage.withdrawn_by) == WITHDRAWN
        assert usage.replacement == ""
