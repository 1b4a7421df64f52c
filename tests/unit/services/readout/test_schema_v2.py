"""What the second schema version saved still loads, byte for byte, and belongs together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from services.readout.artefact import (
    load_calibration,
    load_readout,
    save_calibration,
    save_readout,
)
from services.readout.bundle import Bundle
from services.readout.manifest import MANIFEST
from services.readout.scores import score_all
from tests.unit.services.readout.factories import BACKBONE

V2 = Path(__file__).with_name("v2")
"""A readout and a calibration as builds saved them that knew no own readouts."""


def test_a_readout_of_schema_version_2_still_loads_and_is_still_written_so(
    tmp_path: Path,
) -> None:
    old = load_readout(V2 / "readout", backbone=BACKBONE)
    assert old.digest == "3684892c417959d7e72580dbbfde44b1aa7cfa6a46562c495dd07bd343290d27"
    assert save_readout(old, tmp_path / "readout").digest == old.digest


def test_a_calibration_of_schema_version_2_still_loads_and_is_still_written_so(
    tmp_path: Path,
) -> None:
    old = load_calibration(V2 / "sw", backbone=BACKBONE)
    assert old.digest == "59152f9d57fb5819c680bfb7df25997970dfc1137b36d4e182978cdb746ee6b6"
    assert (old.own, old.thresholds.steer, old.evidence["own_sd"]) == (None, 0.4, 0.3)
    save_calibration(old, tmp_path / "sw")
    for path in (V2 / "sw").iterdir():
        assert (tmp_path / "sw" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "sw" / MANIFEST).is_file()


def test_the_frozen_score_decides_under_a_calibration_of_schema_version_2() -> None:
    bundle = Bundle(load_readout(V2 / "readout"), {"sw": load_calibration(V2 / "sw")})
    rows = torch.stack([torch.arange(8.0), torch.arange(8.0).flip(0)])[None]
    (scores,) = score_all(bundle, rows)
    assert scores.under(bundle.calibrations["sw"]) == pytest.approx(-7.2302074, abs=1e-6)
