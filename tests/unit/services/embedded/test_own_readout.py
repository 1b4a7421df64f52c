"""A language's own readout in the real line: swapped in from disk, and scored as offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.backbone.chat import encode_prompt
from services.backbone.load import load_backbone
from services.gate.extract import residuals
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.readout.artefact import load_readout, save_calibration
from services.readout.bundle import Readout
from services.readout.manifest import MANIFEST, canonical_json, swap_in
from services.readout.own import OwnReadout
from tests.unit.services.embedded.asking import asking
from tests.unit.services.embedded.real_line import GERMAN, running, settings_for, until
from tests.unit.services.tiny import tiny_calibration, tiny_own


def offline(checkpoint: Path, scorer: Readout | OwnReadout) -> float:
    backbone = load_backbone(str(checkpoint))
    [read] = residuals(backbone, [encode_prompt(backbone.tokenizer, GERMAN)], places=scorer.places)
    return float(scorer.score(read))


def save_own(artefacts: Path, directory: Path, *, steer: float) -> None:
    """Save a German calibration with weights of its own."""
    readout = load_readout(artefacts / "readout")
    own = tiny_own(readout)
    save_calibration(tiny_calibration(readout, "de", steer=steer, release=None, own=own), directory)


REQUEST = pb.GateCheckRequest(prompt=GERMAN, guess=pb.LanguageGuess(language="de", confidence=0.9))


async def verdict(channel, language: str = "de"):
    request = pb.GateCheckRequest()
    request.CopyFrom(REQUEST)
    request.guess.language = language
    return (await pb_grpc.GateStub(channel).Check(request)).verdict


async def test_own_weights_are_swapped_in_without_a_restart_and_score_as_offline(
    checkpoint: Path, artefacts: Path
):
    frozen = offline(checkpoint, load_readout(artefacts / "readout"))
    expected = offline(checkpoint, tiny_own(load_readout(artefacts / "readout")))
    assert abs(frozen - expected) > 0.1
    async with running(settings_for(checkpoint, artefacts, poll_s=0.1)) as channel:
        before = await verdict(channel)
        save_own(artefacts, artefacts / "calibrations" / "de", steer=expected + 0.05)

        async def threshold() -> float:
            return round((await verdict(channel)).threshold, 6)

        await until(threshold, round(expected + 0.05, 6))
        after, english = await verdict(channel), await verdict(channel, "en")
    assert before.score == pytest.approx(frozen, abs=1e-5)
    assert after.score == pytest.approx(expected, abs=1e-5)
    assert (before.action, after.action) == (pb.ACTION_STEER, pb.ACTION_NONE)
    assert english.score == pytest.approx(frozen, abs=1e-5)


async def test_own_weights_that_lost_their_file_leave_the_last_good_calibration_serving(
    checkpoint: Path, artefacts: Path, tmp_path: Path
):
    """Never the own thresholds with the frozen score."""
    save_own(artefacts, tmp_path / "spoilt", steer=1e6)
    manifest = json.loads((tmp_path / "spoilt" / MANIFEST).read_bytes())
    del manifest["files"]["calibration.safetensors"]
    (tmp_path / "spoilt" / MANIFEST).write_bytes(canonical_json(manifest))
    async with asking(settings_for(checkpoint, artefacts, poll_s=0.1)) as line:
        first = (await line.call("Gate/Check", REQUEST)).frames[0].verdict
        swap_in(tmp_path / "spoilt", artefacts / "calibrations" / "de")

        async def has_seen() -> bool:
            return line.counted("recal_reloads_total", outcome="refused") >= 1

        await until(has_seen, True)
        again = (await line.call("Gate/Check", REQUEST)).frames[0].verdict
    assert (again.threshold, again.score) == (first.threshold, pytest.approx(first.score))
    assert again.threshold == -1e6
