"""A checkpoint that is no judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.services.tiny import build_checkpoint


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2 with random weights."""
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("checkpoint") / "tiny-qwen2")
