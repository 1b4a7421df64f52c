"""How a readout steers and releases, on disk: every form, and files older than the forms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.errors import ArtefactRefused
from services.readout.artefact import RELEASE_DIRECTION, load_readout, save_readout
from services.readout.bundle import (
    Readout,
    Release,
    ReleaseForm,
    Scope,
    SteerForm,
    Steering,
    SteeringStatistics,
)
from services.readout.manifest import MANIFEST, canonical_json, sha256
from services.readout.schema_v1 import ReadoutRecordV1, upgrade_record
from tests.unit.services.readout.factories import D_MODEL, a_readout

V1 = Path(__file__).with_name("v1")
STATISTICS = SteeringStatistics(target=3.0, centre=-2.0, gap=4.5)
AXIS = torch.eye(D_MODEL)[3]
RELEASES = (
    Release(),
    Release(ReleaseForm.AFFINE, Scope.LAST_THEN_DECODE, centre=-2.0),
    Release(ReleaseForm.SURGICAL, Scope.LAST, layer=1, direction=AXIS),
    Release(ReleaseForm.NOTHING),
)


def steered(**fields: Any) -> Readout:
    readout = a_readout()
    return replace(readout, steering=replace(readout.steering, **fields))


def round_trip(readout: Readout, directory: Path) -> Steering:
    save_readout(readout, directory)
    return load_readout(directory).steering


def rewritten(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `readout.json` and write a manifest that vouches for it."""
    record = json.loads((directory / "readout.json").read_bytes())
    change(record["steering"])
    (directory / "readout.json").write_bytes(json.dumps(record).encode())
    vouch(directory)


def vouch(directory: Path) -> None:
    manifest = json.loads((directory / MANIFEST).read_bytes())
    manifest["files"] = {n: sha256((directory / n).read_bytes()) for n in manifest["files"]}
    (directory / MANIFEST).write_bytes(canonical_json(manifest))


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("form", SteerForm)
def test_every_form_and_scope_of_steering_comes_back(
    form: SteerForm, scope: Scope, tmp_path: Path
) -> None:
    saved = steered(form=form, scope=scope, statistics=STATISTICS)
    found = round_trip(saved, tmp_path / "readout")
    assert (found.form, found.scope, found.statistics) == (form, scope, STATISTICS)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.form.value)
def test_every_form_of_release_comes_back(release: Release, tmp_path: Path) -> None:
    found = round_trip(steered(release=release), tmp_path / "readout").release
    assert (found.form, found.scope, found.layer) == (release.form, release.scope, release.layer)
    assert found.centre == release.centre
    if release.direction is None:
        assert found.direction is None
    else:
        assert torch.equal(found.direction, release.direction)


@pytest.mark.parametrize(
    ("decodes", "scope"), [(True, Scope.LAST_THEN_DECODE), (False, Scope.LAST)]
)
def test_a_file_of_before_there_were_forms_means_what_it_meant(decodes: bool, scope: Scope) -> None:
    raw = json.loads((V1 / "readout" / "readout.json").read_bytes())
    raw["steering"]["decodes"] = decodes
    found = upgrade_record(ReadoutRecordV1.model_validate_json(json.dumps(raw))).steering
    assert (found.form, found.scope) == (SteerForm.ADD, scope)
    assert (found.release.form, found.release.scope) == (ReleaseForm.ABLATE, Scope.ALL)
    assert found.statistics is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decodes": True}, "Extra inputs"),
        ({"scope": "sometimes"}, "scope"),
        ({"form": "to_target"}, "without the statistics"),
        ({"statistics": {"target": 1.0, "centre": 0.0}}, "statistics.gap"),
        ({"release": {"form": "affine"}}, "without the harmless centre"),
        ({"release": {"form": "surgical"}}, "without a layer of its own"),
        ({"release": {"layer": 4}}, "layer 4 of a backbone with 4"),
        ({"release": {"layer": 1}}, "has tensors of shapes"),
    ],
    ids=str,
)
def test_a_steering_that_cannot_be_used_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    save_readout(a_readout(), tmp_path / "readout")

    def broken(steering: dict[str, Any]) -> None:
        steering.update(change)

    rewritten(tmp_path / "readout", broken)
    with pytest.raises(ArtefactRefused, match=words):
        load_readout(tmp_path / "readout")


@pytest.mark.parametrize("value", [2.0, math.nan])
def test_a_release_direction_must_be_a_finite_unit_vector(value: float, tmp_path: Path) -> None:
    save_readout(steered(release=RELEASES[2]), tmp_path / "readout")
    tensors = tmp_path / "readout" / "readout.safetensors"
    save_file(load_file(tensors) | {RELEASE_DIRECTION: value * AXIS}, tensors)
    vouch(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match="release_direction"):
        load_readout(tmp_path / "readout")


@pytest.mark.parametrize(
    "broken",
    [
        {"form": ReleaseForm.SURGICAL},
        {"form": ReleaseForm.AFFINE},
        {"layer": 1},
        {"direction": AXIS},
    ],
    ids=str,
)
def test_a_release_without_what_its_form_needs_is_not_made(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs"):
        Release(**broken)


def test_steering_to_a_target_without_statistics_is_not_made() -> None:
    with pytest.raises(ValueError, match="needs the statistics"):
        steered(form=SteerForm.TO_TARGET)
