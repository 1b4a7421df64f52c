"""One registry for the tests of a module, and a backbone of its own in it for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from recal.registry import open_registry
from tests.unit.recal.commands.shelved import Desk
from tests.unit.services.readout.shelf import Shelf


@pytest.fixture(scope="module")
def state(quiet_mlflow: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose registry is made at the first look."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def desk(state: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """The command line over a backbone that nothing is registered of."""
    shelf = Shelf(open_registry(state, environ={}), tmp_path, f"test/{request.node.name}")
    return Desk(shelf, state)
