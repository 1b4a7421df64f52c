"""The steps of the CronJob, run in order with the words of its manifest, register a version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.organism_served import artefacts, settings_for
from recal.registry import open_registry
from services.readout.naming import calibration_model, readout_model
from services.settings import ORGANISM
from tests.deploy.rendered import BIN
from tests.deploy.test_commands import steps

pytestmark = [pytest.mark.deploy, pytest.mark.organism]

SCRATCH = "/run/recal"
"""Where the job's volume is mounted."""


def run(words: list[str], folder: Path) -> None:
    """One step on this machine, its volume and its registry below `folder`."""
    program = {"recal": [sys.executable, "-m", "recal"], "mlflow": [str(BIN / "mlflow")]}
    here = [word.replace(SCRATCH, str(folder / "volume")) for word in words[1:]]
    environment = {
        **os.environ,
        "RECAL_STATE_DIR": str(folder / "state"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'state' / 'mlflow.db'}",
    }
    done = subprocess.run(
        [*program[words[0]], *here], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_language_is_recalibrated_and_registered_and_does_not_serve(tmp_path: Path) -> None:
    artefacts(settings_for(tmp_path), tmp_path)
    registry = open_registry(tmp_path / "state", {})
    readout = registry.register_readout(tmp_path / "readout")
    registry.promote(readout_model(ORGANISM.name), readout.version)
    for words in steps("dev"):
        run(words, tmp_path)
    [version] = registry.list_versions(calibration_model(ORGANISM.name, "sw"))
    assert not version.is_champion
    assert version.tags["k"] == "4"
