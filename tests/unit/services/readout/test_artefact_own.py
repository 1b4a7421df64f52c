"""Calibrations with a readout of their own, on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from services.errors import ArtefactRefused
from services.readout.artefact import load_calibration, load_readout, save_calibration
from services.readout.assembly import Loaders, assemble
from services.readout.bundle import Calibration
from services.readout.directory_source import DirectorySource
from services.readout.linear import LinearReadout
from services.readout.manifest import MANIFEST, canonical_json
from services.readout.own import OwnPart
from services.readout.place import Place
from tests.unit.services.readout.factories import (
    BACKBONE,
    D_MODEL,
    a_calibration,
    a_readout,
    an_own_readout,
    saved_calibration,
    saved_readout,
)
from tests.unit.services.readout.spoilt_content import vouch
from tests.unit.services.readout.test_artefact import rewritten

BOTH = a_readout().places
WEIGHTS = "calibration.safetensors"


def owning(language: str = "sw", *, places: tuple[Place, ...] = BOTH) -> Calibration:
    return replace(a_calibration(language), own=an_own_readout(places=places))


def part_with(**fields: Any) -> tuple[OwnPart, ...]:
    """The parts of an own readout, the second of which has other fields."""
    first, second = an_own_readout(places=BOTH).parts
    return (first, replace(second, **fields))


def test_an_own_readout_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = save_calibration(owning(), tmp_path / "sw")
    loaded = load_calibration(tmp_path / "sw", backbone=BACKBONE)
    mine, theirs = loaded.own, saved.own
    assert mine is not None
    assert theirs is not None
    rows = torch.randn(4, 2, D_MODEL, generator=torch.Generator().manual_seed(3))
    assert torch.equal(mine.score(rows), theirs.score(rows))
    assert (mine.places, mine.method) == (BOTH, "translate_train")
    assert mine.statistics == theirs.statistics
    assert replace(loaded, own=None, version="") == replace(saved, own=None)


def test_equal_own_weights_give_an_equal_digest_and_other_ones_another(tmp_path: Path) -> None:
    first = save_calibration(owning(), tmp_path / "a")
    again = save_calibration(owning(), tmp_path / "b")
    moved = replace(a_calibration(), own=an_own_readout(1, places=BOTH))
    assert first.digest == again.digest != save_calibration(moved, tmp_path / "c").digest


def test_older_builds_are_told_the_version_that_they_cannot_read(tmp_path: Path) -> None:
    for calibration, version in ((owning(), 3), (a_calibration(), 2)):
        save_calibration(calibration, tmp_path / "sw")
        for name in (MANIFEST, "calibration.json"):
            assert json.loads((tmp_path / "sw" / name).read_bytes())["schema_version"] == version


def test_a_calibration_of_the_frozen_score_is_written_as_older_builds_read_it(
    tmp_path: Path,
) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    assert "own" not in json.loads((tmp_path / "sw" / "calibration.json").read_bytes())
    assert sorted(path.name for path in (tmp_path / "sw").iterdir()) == [
        "calibration.json",
        MANIFEST,
    ]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"parts": part_with(linear=LinearReadout(torch.full((8,), math.nan), 0.0))}, "finite"),
        ({"parts": part_with(linear=LinearReadout(torch.zeros(7), 0.0))}, "shapes"),
        ({"parts": part_with(linear=LinearReadout(torch.zeros(8), math.inf))}, "bias"),
        ({"parts": part_with(place=Place(4, "last"))}, "reads layer 4 of a backbone with 4"),
        ({"parts": part_with(place=Place(0, "first"))}, "reading"),  # type: ignore[arg-type]
        ({"statistics": {"sd_within": math.nan}}, "sd_within"),
        ({"method": ""}, "method"),
    ],
    ids=str,
)
def test_an_own_readout_that_would_be_refused_is_not_saved(
    broken: dict[str, Any], words: str, tmp_path: Path
) -> None:
    own = replace(an_own_readout(places=BOTH), **broken)
    with pytest.raises(ArtefactRefused, match=words):
        save_calibration(replace(a_calibration(), own=own), tmp_path / "sw")
    assert list(tmp_path.iterdir()) == []


def own_record(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record["own"]
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.update(own=None), "exactly in schema version 3"),
        (lambda record: record.update(schema_version=2), "exactly in schema version 3"),
        (lambda record: own_record(record).update(share=1.0), "`own.share`"),
        (lambda record: own_record(record)["parts"][0].update(share=1.0), "`own.parts.0.share`"),
        (lambda record: own_record(record).update(parts=[]), "`own.parts`"),
        (
            lambda record: own_record(record)["parts"][1].update(layer=2, reading="last"),
            "reads the same place twice",
        ),
        (lambda record: own_record(record)["parts"].pop(), "tensors of shapes"),
        (lambda record: own_record(record)["parts"][0].update(bias="1"), "bias"),
    ],
)
def test_an_own_record_that_is_odd_is_refused_even_when_vouched_for(
    change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
) -> None:
    save_calibration(owning(), tmp_path / "sw")
    rewritten(tmp_path / "sw", "calibration.json", change)
    with pytest.raises(ArtefactRefused, match=words):
        load_calibration(tmp_path / "sw")


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight.0": torch.zeros(8)}, "tensors of shapes"),
        ({f"weight.{i}": torch.zeros(8) for i in range(3)}, "tensors of shapes"),
        ({f"weight.{i}": torch.zeros(9) for i in range(2)}, "tensors of shapes"),
        ({f"weight.{i}": torch.zeros(8, dtype=torch.float64) for i in range(2)}, "finite float32"),
        ({f"weight.{i}": torch.full((8,), math.inf) for i in range(2)}, "finite float32"),
        (None, "is not a safetensors file; run `recal recalibrate` again"),
    ],
    ids=["one", "three", "wide", "double", "infinite", "no file of tensors"],
)
def test_own_weights_that_are_odd_are_refused_even_when_vouched_for(
    tensors: dict[str, torch.Tensor] | None, words: str, tmp_path: Path
) -> None:
    save_calibration(owning(), tmp_path / "sw")
    (tmp_path / "sw" / WEIGHTS).write_bytes(b"x" * 64 if tensors is None else save(tensors))
    vouch(tmp_path / "sw")
    with pytest.raises(ArtefactRefused, match=words):
        load_calibration(tmp_path / "sw")


def test_own_weights_that_are_missing_are_refused(tmp_path: Path) -> None:
    save_calibration(owning(), tmp_path / "sw")
    (tmp_path / "sw" / WEIGHTS).unlink()
    with pytest.raises(ArtefactRefused, match="cannot be read"):
        load_calibration(tmp_path / "sw")


def without_weights(directory: Path) -> None:
    """Take the weights away and out of the manifest too, as an attacker would."""
    (directory / WEIGHTS).unlink()
    manifest = json.loads((directory / MANIFEST).read_bytes())
    del manifest["files"][WEIGHTS]
    (directory / MANIFEST).write_bytes(canonical_json(manifest))


def test_thresholds_of_an_own_score_are_never_left_to_the_frozen_one(tmp_path: Path) -> None:
    save_calibration(owning(), tmp_path / "sw")
    without_weights(tmp_path / "sw")
    with pytest.raises(ArtefactRefused, match=r"has no `calibration\.safetensors`, and an own"):
        load_calibration(tmp_path / "sw")


def test_own_weights_without_a_record_of_them_are_refused(tmp_path: Path) -> None:
    save_calibration(owning(), tmp_path / "yo")
    save_calibration(a_calibration(), tmp_path / "sw")
    manifest = json.loads((tmp_path / "sw" / MANIFEST).read_bytes())
    manifest["files"][WEIGHTS] = ""
    (tmp_path / "sw" / MANIFEST).write_bytes(canonical_json(manifest))
    (tmp_path / "sw" / WEIGHTS).write_bytes((tmp_path / "yo" / WEIGHTS).read_bytes())
    vouch(tmp_path / "sw")
    with pytest.raises(ArtefactRefused, match=r"has `calibration\.safetensors`, and no own"):
        load_calibration(tmp_path / "sw")


def test_a_manifest_of_another_version_than_its_record_is_refused(tmp_path: Path) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    manifest = json.loads((tmp_path / "sw" / MANIFEST).read_bytes())
    manifest["schema_version"] = 3
    (tmp_path / "sw" / MANIFEST).write_bytes(canonical_json(manifest))
    with pytest.raises(ArtefactRefused, match="is of schema version 2, and its manifest says 3"):
        load_calibration(tmp_path / "sw")


def test_a_readout_of_a_version_that_only_calibrations_have_is_refused(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    manifest = json.loads((tmp_path / "readout" / MANIFEST).read_bytes())
    manifest["schema_version"] = 3
    (tmp_path / "readout" / MANIFEST).write_bytes(canonical_json(manifest))
    with pytest.raises(ArtefactRefused, match="is of schema version 2, and its manifest says 3"):
        load_readout(tmp_path / "readout")


def test_one_that_reads_elsewhere_than_the_readout_takes_down_no_other_language(
    tmp_path: Path,
) -> None:
    readout = saved_readout(tmp_path / "readout")
    own = {"sw": (Place(0, "last"),), "yo": BOTH, "am": (BOTH[1], BOTH[0])}
    for language, places in own.items():
        saved_calibration(
            tmp_path / "calibrations" / language,
            readout,
            language,
            own=an_own_readout(places=places),
        )
    bundle = DirectorySource(tmp_path, backbone=BACKBONE).fetch()
    assert bundle.calibrations.keys() == {"yo"}
    assert bundle.refused.keys() == {"sw", "am"}
    assert "reads 0.last, and the frozen one reads 2.last, 1.mean" in bundle.refused["sw"]
    assert "run `recal recalibrate --language sw` with this readout" in bundle.refused["sw"]


def test_a_calibration_without_own_weights_fits_any_places() -> None:
    readout = a_readout(digest="d" * 64)
    assert assemble(readout, Loaders({"sw": a_calibration})).calibrations.keys() == {"sw"}
