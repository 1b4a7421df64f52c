"""The registry as production has it: MLflow on PostgreSQL, its files through MLflow's own proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.mlflow_server import MlflowServer
from recal.errors import PromotionRefused
from recal.registry import Registry
from recal.registry.connection import Connection
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.deploy.postgres import Postgres
from tests.unit.services.readout.shelf import Shelf

pytestmark = pytest.mark.deploy


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture
def server(quiet_mlflow: None, database: Postgres, tmp_path: Path) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path / "server", backend=database.uri) as running:
        running.start()
        yield running


def rows(database: Postgres, query: str) -> list[tuple[str, ...]]:
    with psycopg.connect(database.dsn) as connection:
        return [tuple(map(str, row)) for row in connection.execute(query).fetchall()]  # type: ignore[call-overload]


async def test_what_is_promoted_on_postgres_is_served_over_http(
    database: Postgres, server: MlflowServer, tmp_path: Path
) -> None:
    shelf = Shelf(Registry(Connection(server.uri)), tmp_path / "made", "test/On-PostgreSQL")
    readout = shelf.readout()
    for threshold in (0.25, 0.5):
        shelf.evaluated(readout, threshold=threshold)
    shelf.calibration(readout, threshold=0.75)
    registry, sw = shelf.registry, shelf.model_of("sw")
    registry.promote(shelf.readout_model, 1)
    registry.promote(sw, 1)
    store = BundleStore(shelf.source(tmp_path / "cache"), PrometheusMeter())
    assert await store.refresh() == "swapped"
    assert store.current.calibrations["sw"].threshold == 0.25

    registry.canary(sw, 2, 0.1)
    registry.shadow(sw, 3)
    with pytest.raises(PromotionRefused, match="evaluation"):
        registry.promote(sw, 3)
    registry.promote(sw, 2)
    assert await store.refresh() == "swapped"
    assert store.current.calibrations["sw"].version == "sw@2"

    server.stop()
    server.start()
    assert registry.standing(sw).aliases == {"champion": 2, "shadow": 3}
    assert registry.rollback(sw).to_version == 1
    assert await store.refresh() == "swapped"
    assert store.current.calibrations["sw"].version == "sw@1"
    # and it lies where it was said to lie
    kept = rows(
        database, f"select alias, version from registered_model_aliases where name = '{sw}'"
    )
    assert sorted(kept) == [("champion", "1"), ("shadow", "3")]
    files = list((tmp_path / "server" / "files").rglob("calibration.json"))
    assert len(files) == 3
    assert not list(tmp_path.rglob("*.db"))


async def test_the_password_is_in_no_file_of_the_server(
    database: Postgres, server: MlflowServer, tmp_path: Path
) -> None:
    shelf = Shelf(Registry(Connection(server.uri)), tmp_path / "made", "test/Secret")
    shelf.readout()
    secret = database.uri.partition(f"{'recal'}:")[2].partition("@")[0].encode()
    assert len(secret) == 32
    held = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert held
    assert [path for path in held if secret in path.read_bytes()] == []
