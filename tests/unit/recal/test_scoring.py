"""One score: what the gate computes online is what collected activations give offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recal.collect import collect
from recal.prompts import Prompt
from recal.scoring import scores_at
from services.backbone.load import Backbone, load_backbone
from services.domain import GateRequest, LanguageGuess
from services.gate.policy import Policy
from services.gate.service import GateService
from services.readout.bundle import Bundle, Readout
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.place import READINGS, Place
from services.telemetry import PrometheusMeter
from tests.unit.services.tiny import (
    D_MODEL,
    TEXTS,
    build_checkpoint,
    tiny_bundle,
    tiny_calibration,
    tiny_readout,
)

PROMPTS = [
    Prompt(f"p{i}", "sw", i % 2 == 0, text, "test")
    for i, text in enumerate((*TEXTS, "hi", "bread " * 20, " ".join(TEXTS[:2]), "how?"))
]


class Held:
    def __init__(self, bundle: Bundle) -> None:
        self.current = bundle


@pytest.fixture(scope="module", params=["qwen2", "llama", "gemma2"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("scoring") / f"tiny-{request.param}"
    return load_backbone(str(build_checkpoint(request.param, directory)))


def of_three_readings(backbone: Backbone) -> Readout:
    weights = 0.1 * torch.randn(3, D_MODEL, generator=torch.Generator().manual_seed(3))
    parts = tuple(
        ReadoutPart(Place(layer, reading), LinearReadout(w, 0.1), torch.eye(D_MODEL, 1), share=0.5)
        for layer, reading, w in zip((2, 0, 1), READINGS, weights, strict=True)
    )
    return replace(tiny_readout(backbone), parts=parts)


async def online(backbone: Backbone, readout: Readout, prompts: Sequence[Prompt]) -> list[float]:
    bundle = tiny_bundle(readout, tiny_calibration(readout, "sw"))
    gate = GateService(backbone, Held(bundle), Policy(), PrometheusMeter())
    guess = LanguageGuess("sw", 0.9)
    readings = await gate.batch_check([GateRequest(p.text, guess) for p in prompts])
    await gate.close()
    return [float(r.verdict.score or "nan") for r in readings]


async def test_scores_online_and_offline_are_equal(backbone: Backbone, tmp_path: Path) -> None:
    readout = of_three_readings(backbone)
    found = await online(backbone, readout, PROMPTS)
    in_memory = scores_at(readout, collect(backbone, PROMPTS))
    cached = scores_at(readout, collect(backbone, PROMPTS, cache=tmp_path))
    assert in_memory.tolist() == pytest.approx(found, abs=1e-5)
    assert cached.tolist() == pytest.approx(found, abs=1e-5)


async def test_a_gate_that_read_another_token_would_score_otherwise(backbone: Backbone) -> None:
    readout = of_three_readings(backbone)
    swapped = tuple(
        replace(part, place=Place(part.place.layer, reading))
        for part, reading in zip(readout.parts, ("mean", "last", "instruction"), strict=True)
    )
    found = await online(backbone, replace(readout, parts=swapped), PROMPTS)
    offline = scores_at(readout, collect(backbone, PROMPTS))
    assert offline.tolist() != pytest.approx(found, abs=1e-2)


async def test_blocks_behind_the_deepest_that_is_read_change_nothing(
    backbone: Backbone, tmp_path: Path
) -> None:
    readout = of_three_readings(backbone)
    directory = build_checkpoint(_architecture(backbone), tmp_path / backbone.identity.name)
    truncated = load_backbone(str(directory), n_blocks=readout.deepest_layer + 1)
    whole = await online(backbone, readout, PROMPTS)
    assert await online(truncated, readout, PROMPTS) == pytest.approx(whole, abs=1e-5)


def _architecture(backbone: Backbone) -> str:
    return backbone.identity.name.removeprefix("tiny-")


def test_scores_of_one_language_and_class_are_those_rows(backbone: Backbone) -> None:
    readout = of_three_readings(backbone)
    activations = collect(backbone, PROMPTS)
    every = scores_at(readout, activations)
    harmful = scores_at(readout, activations, language="sw", harmful=True)
    assert harmful.tolist() == every[::2].tolist()


def test_a_layer_that_was_not_collected_is_named(backbone: Backbone) -> None:
    activations = collect(backbone, PROMPTS, layers=(0, 1))
    with pytest.raises(ValueError, match="layer 2 was not collected"):
        scores_at(of_three_readings(backbone), activations)
