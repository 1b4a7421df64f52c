"""`recal demo`, as a newcomer runs it: Ray Serve, gRPC, MLflow, the shipped organism."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recal.demo.stage import free_port

pytestmark = [pytest.mark.serve, pytest.mark.organism]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("demo")
    environment = {
        **os.environ,
        "RECAL_STATE_DIR": str(folder),
        "RECAL_EDGE__PORT": str(free_port()),
        "RECAL_EDGE__METRICS_PORT": str(free_port()),
        "RECAL_SERVE__GRPC_PORT": str(free_port()),
        "RECAL_SERVE__HTTP_PORT": str(free_port()),
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "recal", "demo", "--once", "--per-class", "16"]
    done = subprocess.run(
        [*command, "--json", str(folder / "demo.json")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert (folder / "demo.json").is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    return {
        **json.loads((folder / "demo.json").read_text()),
        "exit": done.returncode,
        "output": done.stdout,
        "picture": folder / "demo" / "refusal.png",
    }


def test_every_bar_is_met(demo: dict[str, Any]) -> None:
    assert [bar for bar in demo["bars"] if not bar["met"]] == []
    assert demo["exit"] == 0


def test_it_measured_23_languages_three_ways(demo: dict[str, Any]) -> None:
    assert len(demo["languages"]) == 23
    for row in demo["languages"].values():
        assert {"tier", "auc", "untouched", "paper", "recal"} <= set(row)


def test_four_examples_lift_low_resource_selectivity(demo: dict[str, Any]) -> None:
    low = demo["mean_low"]
    assert demo["k"] == 4
    assert low["recal_delta"] - low["untouched_delta"] >= 30
    assert low["recal_delta"] >= low["paper_delta"]


def test_every_screen_says_that_it_is_a_model_organism(demo: dict[str, Any]) -> None:
    assert "model organism" in demo["notice"]
    assert demo["output"].count("model organism") >= 3


def test_it_leaves_a_picture(demo: dict[str, Any]) -> None:
    picture: Path = demo["picture"]
    assert picture.read_bytes().startswith(b"\x89PNG")
