"""Tiny models of four architectures, built once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from services.backbone.load import Backbone, load_backbone
from tests.unit.services.tiny import ARCHITECTURES, build_checkpoint


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories of the checkpoints."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: build_checkpoint(name, root / f"tiny-{name}") for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def backbones(checkpoints: dict[str, Path]) -> dict[str, Backbone]:
    """The models, whole."""
    return {name: load_backbone(str(path)) for name, path in checkpoints.items()}


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Each of the four architectures in turn."""
    return str(request.param)


@pytest.fixture
def backbone(backbones: dict[str, Backbone], architecture: str) -> Backbone:
    """A whole tiny model, of each architecture in turn."""
    return backbones[architecture]


@pytest.fixture
def qwen2(backbones: dict[str, Backbone]) -> Backbone:
    """A whole tiny Qwen2, for what does not depend on the architecture."""
    return backbones["qwen2"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny matrices on shared cores."""
    torch.set_num_threads(1)
