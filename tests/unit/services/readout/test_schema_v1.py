"""What the first schema version saved still loads, and belongs together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from services.errors import ArtefactRefused
from services.readout.artefact import load_calibration, load_readout, save_readout
from services.readout.bundle import Bundle, Scope
from services.readout.place import Place
from tests.unit.services.readout.factories import BACKBONE
from tests.unit.services.readout.spoilt_content import vouch

V1 = Path(__file__).with_name("v1")
"""A readout and a calibration as the first schema version saved them."""


def test_a_readout_of_schema_version_1_still_loads(tmp_path: Path) -> None:
    old = load_readout(V1 / "readout", backbone=BACKBONE)
    assert old.digest == "9a08378888dd1f4385a3ad4262db5b9123c7497048e8f79b1828a9b3084b1ab7"
    assert old.places == (Place(2, "last"),)
    assert float(old.score(torch.arange(8.0)[None])) == pytest.approx(-4.2924, abs=1e-4)
    assert (old.steering.coefficient, old.steering.scope) == (3.5, Scope.LAST_THEN_DECODE)
    again = save_readout(old, tmp_path / "readout")
    assert json.loads((tmp_path / "readout" / "readout.json").read_bytes())["schema_version"] == 2
    assert load_readout(tmp_path / "readout").places == again.places


def test_a_calibration_of_schema_version_1_still_belongs_to_its_readout() -> None:
    old = load_calibration(V1 / "sw", backbone=BACKBONE)
    Bundle(load_readout(V1 / "readout"), {"sw": old})
    assert (old.thresholds.steer, old.k) == (0.4, 4)


@pytest.mark.parametrize(
    "broken", [{"position": -3}, {"layer": 4}, {"share": 1.0}, {"schema_version": 2}], ids=str
)
def test_a_broken_readout_of_schema_version_1_is_refused(
    broken: dict[str, object], tmp_path: Path
) -> None:
    shutil.copytree(V1 / "readout", tmp_path / "readout")
    path = tmp_path / "readout" / "readout.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | broken))
    vouch(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match=r"`readout\.json`"):
        load_readout(tmp_path / "readout")
