"""A tiny Qwen2 and requests to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.load import Job
from benchmarks.serving.peers.peer import Setting
from services.backbone.chat import encode
from services.backbone.load import Backbone, load_backbone
from services.readout.bundle import Thresholds
from tests.unit.services.tiny import TEXTS, build_checkpoint

TOKENS = (5, 1, 17, 9, 12, 3)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("serving") / "tiny-qwen2")


@pytest.fixture(scope="session")
def tiny(checkpoint: Path) -> Backbone:
    return load_backbone(str(checkpoint))


@pytest.fixture(scope="session")
def jobs(tiny: Backbone) -> tuple[Job, ...]:
    prompts = [*TEXTS, "bread", TEXTS[0] + TEXTS[3]]
    return tuple(
        Job(prompt, tuple(encode(tiny.tokenizer, prompt)), n)
        for prompt, n in zip(prompts, TOKENS, strict=True)
    )


@pytest.fixture
def setting(tiny: Backbone, checkpoint: Path, jobs: tuple[Job, ...]) -> Setting:
    """In which a third is released and a third steered."""
    return setting_of(tiny, checkpoint, thresholds_between(tiny, [job.prompt for job in jobs]))


def setting_of(backbone: Backbone, checkpoint: Path, thresholds: Thresholds) -> Setting:
    return Setting(
        backbone,
        lambda n_blocks: load_backbone(str(checkpoint), n_blocks=n_blocks),
        random_bundle(backbone, thresholds),
        max_rows=4,
    )
