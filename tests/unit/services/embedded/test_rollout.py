"""A canary in every mode of the real embedded line, over gRPC, from a real registry."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from prometheus_client import generate_latest

from recal.registry import open_registry
from services.backbone.load import load_backbone
from services.pb import recal_pb2 as pb
from services.readout.artefact import save_calibration, save_readout
from services.readout.canary import drawn
from services.readout.naming import CANARY_SHARE_TAG, CHALLENGER, SHADOW, calibration_model
from services.settings import RegistrySettings, ServingMode
from tests.unit.services.embedded.asking import Asking, asking
from tests.unit.services.embedded.real_line import ENGLISH, settings_for, until
from tests.unit.services.readout.shelf import UNEVALUATED
from tests.unit.services.tiny import build_checkpoint, tiny_calibration, tiny_own, tiny_readout

KEYS = [f"user {number}" for number in range(12)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("qwen2") / "tiny")


@pytest.fixture
def client(quiet_mlflow: None, checkpoint: Path, tmp_path: Path) -> MlflowClient:
    """A registry in which half of the English traffic is the challenger's, who steers all of it."""
    registry = open_registry(tmp_path, environ={})
    readout = save_readout(tiny_readout(load_backbone(str(checkpoint))), tmp_path / "readout")
    registry.register_readout(tmp_path / "readout")
    model = calibration_model(readout.backbone.name, "en")
    for steer in (1e6, -1e6, 1e6):
        made = tiny_calibration(readout, "en", steer=steer, release=None)
        made = replace(made, own=tiny_own(readout) if steer < 0 else None)
        save_calibration(made, tmp_path / "en")
        registry.register_calibration(tmp_path / "en")
    registry.promote(model, 1, force_reason=UNEVALUATED)
    registry.promote(f"{model.rpartition('.')[0]}.readout", 1)
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    client.set_registered_model_alias(model, CHALLENGER, "2")
    client.set_registered_model_alias(model, SHADOW, "3")
    client.set_registered_model_tag(model, CANARY_SHARE_TAG, "0.5")
    return client


async def checked(line: Asking) -> list[str]:
    """Which calibration decides for each key, by Check."""
    found = await asyncio.gather(*(line.check(ENGLISH, routing_key=key) for key in KEYS))
    return [each.verdict.calibration_version for each in found]


async def answered(line: Asking) -> list[str]:
    """The same by Generate."""
    few = pb.Sampling(max_tokens=2)
    found = await asyncio.gather(
        *(line.generate(ENGLISH, routing_key=key, sampling=few) for key in KEYS)
    )
    return [each.verdict.calibration_version for each in found]


@pytest.mark.parametrize("mode", ["split", "fused", "sidecar"])
async def test_every_mode_draws_the_same_keys_and_follows_the_registry(
    client: MlflowClient, checkpoint: Path, tmp_path: Path, mode: ServingMode
):
    registry = RegistrySettings(tracking_uri=client.tracking_uri, poll_interval_s=0.1)
    settings = settings_for(
        checkpoint, tmp_path, mode=mode, registry=registry, state_dir=tmp_path / "state"
    )
    expected = ["en@2" if drawn(key, "en@2") < 0.5 else "en@1" for key in KEYS]
    assert set(expected) == {"en@1", "en@2"}
    async with asking(settings) as line:
        assert await checked(line) == expected
        if mode != "sidecar":
            assert await answered(line) == expected
        challenger = ("en@2", pb.CANDIDATE_ROLE_CHALLENGER, 0.5)
        shadow = ("en@3", pb.CANDIDATE_ROLE_SHADOW, 0.0)
        assert await line.candidates() == [challenger, shadow]
        metrics = generate_latest(line.runtime.meter.registry).decode()
        model = calibration_model(checkpoint.name, "en")
        client.delete_registered_model_alias(model, CHALLENGER)
        # services look at the registry each at its own time
        await until(lambda: checked(line), ["en@1"] * len(KEYS))
        if mode != "sidecar":
            await until(lambda: answered(line), ["en@1"] * len(KEYS))
        assert await line.candidates() == [shadow]
        labels = {"language": "en", "calibration_version": "en@3"}
        actions = {"champion_action": "none", "shadow_action": "none"}
        n_compared = line.counted("recal_shadow_comparisons_total", **labels, **actions)
    # the probe of the edge asks in English, too
    assert n_compared >= len(KEYS) * (1 if mode == "sidecar" else 2)
    assert 'recal_canary_share{language="en"} 0.5' in metrics
    assert "user 7" not in metrics
