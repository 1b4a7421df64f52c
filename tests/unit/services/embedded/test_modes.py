"""The three modes of the real embedded line, over gRPC: what differs, and what must not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from prometheus_client import generate_latest

from services.backbone.load import load_backbone
from services.pb import recal_pb2 as pb
from services.readout.artefact import load_readout, save_calibration, save_readout
from services.settings import ServingMode, Settings
from services.telemetry import INNER_STAGES
from tests.unit.services.embedded.asking import CANARY, Asking, Ended, asking
from tests.unit.services.embedded.real_line import ENGLISH, GERMAN, settings_for
from tests.unit.services.tiny import (
    build_checkpoint,
    tiny_calibration,
    tiny_own,
    tiny_readout,
)

DEBUG = (("x-recal-debug", "1"),)
PROMPTS = (
    ENGLISH,
    GERMAN,
    f"Wie backe ich ein {CANARY} Brot?",
    "Comment faire du pain à la maison sans four ni machine ?",
    "?!",
)


@pytest.fixture(scope="module")
def checkpoint_of(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint(architecture, tmp_path_factory.mktemp(architecture) / "tiny")


@pytest.fixture(scope="module", params=("qwen2", "llama", "gemma2"))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def artefacts_of(checkpoint_of: Path, tmp_path: Path) -> Path:
    """English is released, German scored by a readout of its own, French has no calibration."""
    made = tiny_readout(load_backbone(str(checkpoint_of)), coefficient=12.0)
    readout = save_readout(made, tmp_path / "readout")
    english = tiny_calibration(readout, "en", steer=1e6, release=1e5)
    german = tiny_calibration(readout, "de", steer=0.5, release=-0.5, own=tiny_own(readout))
    for calibration in (english, german):
        save_calibration(calibration, tmp_path / "calibrations" / calibration.language)
    return tmp_path


def settings_in(mode: ServingMode, checkpoint: Path, artefacts: Path) -> Settings:
    return settings_for(checkpoint, artefacts, mode=mode, debug_scores=True)


async def answers_in(line: Asking) -> list[Ended]:
    """Every prompt at once, so that they share batches; scores are shown."""
    asked = [
        line.generate(prompt, metadata=DEBUG, sampling=pb.Sampling(max_tokens=12))
        for prompt in PROMPTS
    ]
    return list(await asyncio.gather(*asked))


@pytest.mark.usefixtures("canary_in_no_log")
async def test_fused_gives_the_verdicts_scores_and_texts_of_split(checkpoint_of, artefacts_of):
    async with asking(settings_in("split", checkpoint_of, artefacts_of)) as line:
        split = await answers_in(line)
    async with asking(settings_in("fused", checkpoint_of, artefacts_of)) as line:
        fused = await answers_in(line)
        # no metric holds the canary: `asking` looks at the end
        assert b"recal_verdicts_total" in generate_latest(line.runtime.meter.registry)
    for ours, theirs in zip(fused, split, strict=True):
        assert ours.verdict.score == pytest.approx(theirs.verdict.score, rel=1e-4, abs=1e-5)
        ours.verdict.score = theirs.verdict.score
        assert ours.verdict == theirs.verdict
        assert ours.text == theirs.text
        usages = [each.frames[-1].usage for each in (ours, theirs)]
        assert usages[0].n_generated_tokens == usages[1].n_generated_tokens
        assert usages[0].n_prompt_tokens == usages[1].n_prompt_tokens
        stages = [set(each.timings_s) for each in usages]
        assert stages[0] == stages[1] - set(INNER_STAGES["gate"])
    assert {each.verdict.action for each in split} >= {pb.ACTION_RELEASE, pb.ACTION_STEER}


async def test_check_says_in_fused_mode_what_generate_does(checkpoint, artefacts):
    async with asking(settings_in("fused", checkpoint, artefacts)) as line:
        for prompt in PROMPTS:
            generated = await line.generate(prompt)
            assert (await line.check(prompt)).verdict == generated.verdict


@pytest.mark.parametrize("mode", ["split", "fused", "sidecar"])
async def test_the_mode_is_named_and_readiness_reached_in_it(checkpoint, artefacts, mode):
    async with asking(settings_in(mode, checkpoint, artefacts)) as line:
        info = (await line.call("Recal/GetInfo", pb.GetInfoRequest())).frames[0]
        assert info.mode == mode
        assert await line.runtime.server.readiness.look()


async def test_a_sidecar_checks_and_says_what_else_there_is_to_generate(checkpoint, artefacts):
    async with asking(settings_in("sidecar", checkpoint, artefacts)) as line:
        assert (await line.check(GERMAN)).verdict.action == pb.ACTION_STEER
        ended = await line.generate(GERMAN)
        ended.failed(grpc.StatusCode.UNIMPLEMENTED, "`sidecar`", "call Check", "mode: split")


async def test_services_that_a_mode_has_not_are_unknown_and_not_still_loading(
    checkpoint, artefacts
):
    request = pb.GenerationGenerateRequest(prompt=ENGLISH)
    async with asking(settings_in("fused", checkpoint, artefacts)) as line:
        ended = await line.call("Generation/Generate", request)
    assert ended.error is not None
    assert ended.error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_calibration_is_swapped_in_without_a_restart_in_fused_mode(checkpoint, artefacts):
    settings = settings_for(checkpoint, artefacts, poll_s=0.1, mode="fused")
    async with asking(settings) as line:
        assert (await line.generate(GERMAN)).verdict.action == pb.ACTION_STEER
        readout = load_readout(artefacts / "readout")
        calm = tiny_calibration(readout, "fr", steer=1e6, release=None)
        save_calibration(calm, artefacts / "calibrations" / "fr")
        async with asyncio.timeout(10):
            while "fr" not in await line.languages():
                await asyncio.sleep(0.05)
        assert (await line.generate(PROMPTS[3])).verdict.action == pb.ACTION_NONE
