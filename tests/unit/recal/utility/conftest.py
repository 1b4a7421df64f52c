"""A tiny model, and no test where the harness is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from services.backbone.load import Backbone, load_backbone
from tests.unit.services.tiny import build_checkpoint

pytest.importorskip("lm_eval", reason="NOT CHECKED: lm-eval is not installed (extra `utility`)")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2."""
    torch.set_num_threads(1)
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("utility") / "tiny-qwen2")


@pytest.fixture(scope="session")
def backbone(checkpoint: Path) -> Backbone:
    """The same, loaded."""
    return load_backbone(str(checkpoint))
