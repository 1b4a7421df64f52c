"""A registry of a test module's own, with a shelf of artefacts for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from recal.registry import Registry, open_registry
from tests.unit.services.readout.shelf import Shelf


@pytest.fixture(scope="module")
def registry(quiet_mlflow: None, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """In an sqlite file; the tests of a module share it."""
    return open_registry(tmp_path_factory.mktemp("state"), environ={})


@pytest.fixture
def shelf(registry: Registry, tmp_path: Path, request: pytest.FixtureRequest) -> Shelf:
    """Artefacts of a backbone that is named after the test."""
    return Shelf(registry, tmp_path, request.node.name)
