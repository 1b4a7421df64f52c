"""The life of artefacts over a real MLflow server, which is killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.mlflow_server import MlflowServer
from recal.registry import Registry
from recal.registry.connection import Connection
from services.errors import NotReady
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.shelf import Shelf


@pytest.fixture
def server(quiet_mlflow: None, tmp_path: Path) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path / "server") as running:
        running.start()
        yield running


def served(store: BundleStore) -> str:
    return store.current.calibrations["sw"].version


async def test_promotion_is_served_and_the_last_good_outlives_the_server(
    server: MlflowServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(Registry(Connection(server.uri)), tmp_path, "test/Over-REST")
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.calibration(readout, threshold=0.5)
    shelf.promote(1, sw=1)
    store = BundleStore(shelf.source(tmp_path / "cache"), PrometheusMeter())
    assert await store.refresh() == "swapped"
    assert (store.current.readout.version, served(store)) == ("readout@1", "sw@1")

    shelf.promote(sw=2)
    assert await store.refresh() == "swapped"
    assert served(store) == "sw@2"

    server.stop()
    assert await store.refresh() == "unreachable"
    assert served(store) == "sw@2"

    restarted = BundleStore(shelf.source(tmp_path / "cache"), PrometheusMeter())
    assert await restarted.refresh() == "unreachable"
    assert served(restarted) == "sw@2"
    elsewhere = BundleStore(shelf.source(tmp_path / "empty"), PrometheusMeter())
    assert await elsewhere.refresh() == "unreachable"
    with pytest.raises(NotReady, match=r"does not answer.*no last good set is kept"):
        _ = elsewhere.current

    server.start()
    assert shelf.registry.rollback(shelf.model_of("sw")).to_version == 1
    for each in (store, restarted, elsewhere):
        assert await each.refresh() == "swapped"
        assert served(each) == "sw@1"
    assert capfd.readouterr() == ("", "")
