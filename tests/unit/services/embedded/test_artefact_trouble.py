"""Trouble with artefacts and registry, over a real gRPC server with real services."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from recal.registry import open_registry
from services.backbone.load import load_backbone
from services.pb import recal_pb2 as pb
from services.readout.artefact import load_readout, save_calibration, save_readout
from services.settings import OverrideSettings, PolicySettings, RegistrySettings, Settings
from tests.unit.services.embedded.asking import CANARY, Asking, asking
from tests.unit.services.embedded.real_line import save_artefacts, settings_for, until
from tests.unit.services.readout.shelf import UNEVALUATED
from tests.unit.services.tiny import build_checkpoint, tiny_calibration, tiny_readout

pytestmark = pytest.mark.usefixtures("canary_in_no_log")
Code = grpc.StatusCode
ENGLISH = f"How do I bake a loaf of {CANARY} at home without an oven?"
GERMAN = f"Wie backe ich zu Hause ein Brot mit {CANARY}, wenn ich keinen Ofen habe?"
NOTHING_GOES_OUT = "no verdict, so nothing is generated: no readout is loaded yet: "
NOBODY = "http://127.0.0.1:1"
Spoil = Callable[[Path], None]


def changed(path: Path) -> None:
    """Change the last byte of a file but one."""
    raw = bytearray(path.read_bytes())
    raw[-2] ^= 1
    path.write_bytes(bytes(raw))


def of_another_backbone(directory: Path) -> None:
    """Replace artefacts by those of another random model."""
    other = build_checkpoint("llama", directory.with_name("other"))
    shutil.rmtree(directory)
    save_artefacts(other, directory)


async def unready(line: Asking, *words: str) -> None:
    """Nothing is answered, and it is said why."""
    for ended in (await line.generate(ENGLISH), await line.check(ENGLISH)):
        ended.failed(Code.UNAVAILABLE, NOTHING_GOES_OUT, *words, "retry, or see `recal doctor`")


async def is_served_as_before(line: Asking) -> None:
    english, german = await line.generate(ENGLISH), await line.generate(GERMAN)
    assert (english.verdict.action, english.verdict.reason) == (pb.ACTION_NONE, pb.REASON_SCORE)
    assert (german.verdict.action, german.verdict.reason) == (pb.ACTION_STEER, pb.REASON_SCORE)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda at: changed(at / "readout" / "readout.safetensors"), "does not match its manifest"),
        (lambda at: changed(at / "readout" / "readout.json"), "does not match its manifest"),
        (lambda at: changed(at / "readout" / "manifest.json"), "manifest"),
        (lambda at: (at / "readout" / "readout.safetensors").unlink(), "readout.safetensors"),
        (of_another_backbone, "was made for another backbone"),
    ],
    ids=["tensors", "json", "manifest", "a file gone", "another backbone"],
)
async def test_a_readout_that_is_refused_at_start(
    checkpoint: Path, artefacts: Path, spoil: Spoil, words: str
):
    spoil(artefacts)
    async with asking(settings_for(checkpoint, artefacts)) as line:
        await unready(line, words)
        assert line.counted("recal_reloads_total", outcome="refused") >= 1


@pytest.mark.parametrize("spoilt", ["readout.safetensors", "readout.json"])
async def test_a_readout_that_is_refused_later(checkpoint: Path, artefacts: Path, spoilt: str):
    async with asking(settings_for(checkpoint, artefacts, poll_s=0.1)) as line:
        changed(artefacts / "readout" / spoilt)
        await until(lambda: has_seen(line, "refused"), True)
        await is_served_as_before(line)


async def test_a_set_of_another_backbone_that_is_promoted_later(checkpoint: Path, artefacts: Path):
    async with asking(settings_for(checkpoint, artefacts, poll_s=0.1)) as line:
        of_another_backbone(artefacts)
        await until(lambda: has_seen(line, "refused"), True)
        await is_served_as_before(line)


def corrupt_german(directory: Path) -> None:
    """Change a byte of one calibration."""
    changed(directory / "calibrations" / "de" / "calibration.json")


def german_of_another_backbone(directory: Path) -> None:
    """A calibration that fits the readout and says that it is of other weights."""
    readout = load_readout(directory / "readout")
    other = replace(readout, backbone=replace(readout.backbone, weights_digest="f" * 64))
    shutil.rmtree(directory / "calibrations" / "de")
    save_calibration(tiny_calibration(other, "de"), directory / "calibrations" / "de")


async def has_seen(line: Asking, outcome: str) -> bool:
    """True once a look at the registry ended so."""
    return line.counted("recal_reloads_total", outcome=outcome) >= 1


@pytest.mark.parametrize("spoil", [corrupt_german, german_of_another_backbone])
async def test_a_calibration_that_is_refused_at_start_leaves_its_language_uncalibrated(
    checkpoint: Path, artefacts: Path, spoil: Spoil
):
    spoil(artefacts)
    async with asking(settings_for(checkpoint, artefacts)) as line:
        assert await line.languages() == ["en"]
        german, english = await line.generate(GERMAN), await line.generate(ENGLISH)
        assert (german.verdict.action, german.verdict.reason) == (
            pb.ACTION_STEER,
            pb.REASON_NO_CALIBRATION,
        )
        assert (english.verdict.language, english.verdict.reason) == ("en", pb.REASON_SCORE)


async def test_a_calibration_that_is_refused_fails_where_an_operator_says_so(
    checkpoint: Path, artefacts: Path
):
    corrupt_german(artefacts)
    row = OverrideSettings(reason="no_calibration", outcome="fail")
    settings = settings_for(checkpoint, artefacts, policy=PolicySettings(overrides=(row,)))
    async with asking(settings) as line:
        ended = await line.generate(GERMAN)
        ended.failed(Code.FAILED_PRECONDITION, "no calibration for language `de`", "promote the")


@pytest.mark.parametrize("spoil", [corrupt_german, german_of_another_backbone])
async def test_a_calibration_that_is_refused_later_leaves_the_last_good_one(
    checkpoint: Path, artefacts: Path, spoil: Spoil
):
    async with asking(settings_for(checkpoint, artefacts, poll_s=0.1)) as line:
        spoil(artefacts)
        await until(lambda: has_seen(line, "refused"), True)
        await is_served_as_before(line)


async def test_a_registry_that_is_down_at_start_and_comes(checkpoint: Path, tmp_path: Path):
    directory = tmp_path / "artefacts"
    async with asking(settings_for(checkpoint, directory, poll_s=0.1)) as line:
        await unready(line, "is not there; check the settings")
        save_artefacts(checkpoint, tmp_path / "made")
        (tmp_path / "made").rename(directory)
        await until(lambda: has_seen(line, "swapped"), True)
        await is_served_as_before(line)


async def test_a_registry_that_goes_down_later_and_comes_back(checkpoint: Path, artefacts: Path):
    async with asking(settings_for(checkpoint, artefacts, poll_s=0.1)) as line:
        artefacts.rename(artefacts.with_name("away"))
        await until(lambda: has_seen(line, "unreachable"), True)
        await is_served_as_before(line)
        shutil.rmtree(artefacts.with_name("away") / "calibrations" / "de")
        artefacts.with_name("away").rename(artefacts)
        await until(line.languages, ["en"])


def mlflow_settings(checkpoint: Path, state_dir: Path, uri: str) -> Settings:
    registry = RegistrySettings(tracking_uri=uri, poll_interval_s=600)
    return settings_for(checkpoint, state_dir, registry=registry, state_dir=state_dir)


@pytest.mark.usefixtures("quiet_mlflow")
async def test_an_mlflow_server_that_is_down_at_start(checkpoint: Path, tmp_path: Path):
    async with asking(mlflow_settings(checkpoint, tmp_path, NOBODY)) as line:
        await unready(line, "does not answer", "check `MLFLOW_TRACKING_URI`", "no last good set")


@pytest.mark.usefixtures("quiet_mlflow")
async def test_an_mlflow_server_that_is_down_at_the_next_start(checkpoint: Path, tmp_path: Path):
    registry = open_registry(tmp_path, environ={})
    readout = save_readout(tiny_readout(load_backbone(str(checkpoint))), tmp_path / "readout")
    for language, steer in (("en", 1e6), ("de", -1e6)):
        calibration = tiny_calibration(readout, language, steer=steer, release=None)
        save_calibration(calibration, tmp_path / language)
        made = registry.register_calibration(tmp_path / language)
        registry.promote(made.model, made.version, force_reason=UNEVALUATED)
    made = registry.register_readout(tmp_path / "readout")
    registry.promote(made.model, made.version)
    for uri in (registry.tracking_uri, NOBODY):
        async with asking(mlflow_settings(checkpoint, tmp_path, uri)) as line:
            await is_served_as_before(line)
            assert (await line.check(GERMAN)).verdict.calibration_version == "de@1"
