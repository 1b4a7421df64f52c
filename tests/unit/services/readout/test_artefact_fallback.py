"""Readouts that keep a direction readout beside them, on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from services.errors import ArtefactRefused
from services.readout.artefact import load_readout, save_readout
from services.readout.bundle import Readout
from services.readout.linear import LinearReadout
from services.readout.own import OwnReadout
from tests.unit.services.readout.factories import D_MODEL, a_readout, an_own_readout
from tests.unit.services.readout.spoilt_content import vouch
from tests.unit.services.readout.test_artefact import rewritten

WEIGHTS = "readout.safetensors"


def keeping(fallback: OwnReadout | None = None) -> Readout:
    own = fallback or an_own_readout(places=a_readout().places)
    return replace(a_readout(), fallback=replace(own, method="direction"))


def test_a_fallback_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = save_readout(keeping(), tmp_path / "readout")
    loaded = load_readout(tmp_path / "readout", digest=saved.digest)
    mine, theirs = loaded.fallback, saved.fallback
    assert mine is not None
    assert theirs is not None
    rows = torch.randn(4, 2, D_MODEL, generator=torch.Generator().manual_seed(3))
    assert torch.equal(mine.score(rows), theirs.score(rows))
    assert (mine.places, mine.method) == (loaded.places, "direction")
    assert mine.statistics == theirs.statistics


def test_the_readout_itself_is_read_as_without_one(tmp_path: Path) -> None:
    save_readout(keeping(), tmp_path / "with")
    save_readout(a_readout(), tmp_path / "without")
    one, other = (load_readout(tmp_path / name) for name in ("with", "without"))
    rows = torch.randn(4, 2, D_MODEL, generator=torch.Generator().manual_seed(3))
    assert torch.equal(one.score(rows), other.score(rows))
    assert torch.equal(one.steering.direction, other.steering.direction)
    assert one.digest != other.digest


def test_a_readout_without_one_is_written_as_older_builds_read_it(tmp_path: Path) -> None:
    save_readout(a_readout(), tmp_path / "readout")
    assert "fallback" not in json.loads((tmp_path / "readout" / "readout.json").read_bytes())
    assert load_readout(tmp_path / "readout").fallback is None


def test_other_weights_of_a_fallback_give_another_digest(tmp_path: Path) -> None:
    places = a_readout().places
    digests = [
        save_readout(keeping(an_own_readout(seed, places=places)), tmp_path / f"{i}").digest
        for i, seed in enumerate((0, 0, 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def kept(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record["fallback"]
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: kept(record).update(share=1.0), "`fallback.share`"),
        (lambda record: kept(record).update(parts=[]), "`fallback.parts`"),
        (lambda record: kept(record)["parts"].pop(), "tensors of shapes"),
        (lambda record: kept(record)["parts"].reverse(), "reads other places, or in another"),
        (lambda record: kept(record)["parts"][0].update(layer=0), "reads other places, or in"),
        (lambda record: record.pop("fallback"), "tensors of shapes"),
    ],
)
def test_a_fallback_that_is_odd_is_refused_even_when_vouched_for(
    change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
) -> None:
    save_readout(keeping(), tmp_path / "readout")
    rewritten(tmp_path / "readout", "readout.json", change)
    with pytest.raises(ArtefactRefused, match=words):
        load_readout(tmp_path / "readout")


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (None, "tensors of shapes"),
        (torch.zeros(D_MODEL + 1), "tensors of shapes"),
        (torch.full((D_MODEL,), math.nan), "`fallback.1` of .* must be finite float32"),
    ],
    ids=["missing", "wide", "not a number"],
)
def test_weights_of_a_fallback_that_are_odd_are_refused_even_when_vouched_for(
    weight: torch.Tensor | None, words: str, tmp_path: Path
) -> None:
    save_readout(keeping(), tmp_path / "readout")
    tensors = load_file(tmp_path / "readout" / WEIGHTS)
    del tensors["fallback.1"]
    if weight is not None:
        tensors["fallback.1"] = weight
    (tmp_path / "readout" / WEIGHTS).write_bytes(save(tensors))
    vouch(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match=words):
        load_readout(tmp_path / "readout")


def test_a_fallback_that_would_be_refused_is_not_saved(tmp_path: Path) -> None:
    own = an_own_readout(places=a_readout().places)
    wrong = replace(own.parts[1], linear=LinearReadout(torch.full((D_MODEL,), math.inf), 0.0))
    with pytest.raises(ArtefactRefused, match="finite"):
        save_readout(keeping(replace(own, parts=(own.parts[0], wrong))), tmp_path / "readout")
    assert list(tmp_path.iterdir()) == []
