"""One registry for the tests of a module, and a backbone of its own in it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recal.registry import open_registry
from services.readout.mlflow_environment import quieten_mlflow
from tests.unit.recal.commands.shelved import Desk
from tests.unit.services.readout.shelf import Shelf


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory whose registry is made at the first look."""
    with pytest.MonkeyPatch.context() as patch:
        environ: dict[str, str] = {}
        quieten_mlflow(environ)
        for name, value in environ.items():
            patch.setenv(name, value)
        yield tmp_path_factory.mktemp("state")


@pytest.fixture
def desk(state: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """The command line over a backbone that nothing is registered of."""
    shelf = Shelf(open_registry(state, environ={}), tmp_path, f"test/{request.node.name}")
    return Desk(shelf, state)
