"""A random model on disk, artefacts that belong to it, and a look at every log record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.embedded.asking import CANARY
from tests.unit.services.embedded.real_line import save_artefacts
from tests.unit.services.tiny import build_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model."""
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def artefacts(checkpoint: Path, tmp_path: Path) -> Path:
    """English is left alone whatever its score, German steered."""
    return save_artefacts(checkpoint, tmp_path / "artefacts")


@pytest.fixture
def canary_in_no_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No log record of the test holds the canary: neither message nor arguments nor traceback."""
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert records, "nothing was logged, so nothing was looked at"
    assert [record for record in records if CANARY in str(vars(record))] == []
    assert CANARY not in caplog.text
