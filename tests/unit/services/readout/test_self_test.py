"""Stored activations must get the scores that the fit gave them, or nothing serves."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
import torch

from services.errors import ArtefactRefused
from services.readout.artefact import load_readout, save_readout
from services.readout.assembly import Loaders, assemble
from services.readout.bundle import Bundle, Readout
from services.readout.canary import Challenger
from services.readout.own_table import OwnTable
from services.readout.references import References
from services.readout.self_test import refuse_other_scores
from tests.unit.services.readout.factories import D_MODEL, a_calibration, a_readout, an_own_readout

DIGEST = "d" * 64


def referenced(**fields: object) -> Readout:
    """A readout with six activations that are as large as a real model's."""
    made = a_readout(digest=DIGEST, version="readout@1")
    rows = 50 * torch.randn(6, 2, D_MODEL, generator=torch.Generator().manual_seed(1))
    exact = sum(
        part.share * (rows[:, index].double() @ part.linear.weight.double() + part.linear.bias)
        for index, part in enumerate(made.parts)
    )
    assert isinstance(exact, torch.Tensor)
    return replace(made, references=References(rows, tuple(exact.tolist())), **fields)  # type: ignore[arg-type]


def with_own(language: str = "sw", seed: int = 0, version: str = "sw@1"):
    made = a_calibration(language, readout_digest=DIGEST, version=version)
    return replace(made, own=an_own_readout(seed))


def test_a_bundle_that_scores_as_its_fit_did_is_taken() -> None:
    refuse_other_scores(Bundle(referenced(), {}))
    refuse_other_scores(
        Bundle(
            referenced(),
            {"sw": with_own()},
            challengers={"sw": Challenger(with_own(seed=2, version="sw@2"), 0.5)},
            shadows={"sw": with_own(seed=3, version="sw@3")},
        )
    )


def test_a_readout_of_an_older_fit_is_not_tested() -> None:
    refuse_other_scores(Bundle(replace(referenced(), references=None), {}))


@pytest.mark.parametrize("wrong", [0.1, -0.1, nan, inf])
def test_another_score_is_refused_with_both_numbers_and_a_way_out(wrong: float) -> None:
    made = referenced()
    assert made.references is not None
    scores = list(made.references.scores)
    scores[4] += wrong
    broken = replace(made, references=References(made.references.residuals, tuple(scores)))
    with pytest.raises(ArtefactRefused, match=r"`readout@1` scores its reference activation 4 as"):
        refuse_other_scores(Bundle(broken, {}))


def test_arithmetic_of_half_precision_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = referenced()
    rounded = [
        replace(part, linear=replace(part.linear, weight=part.linear.weight.bfloat16().float()))
        for part in made.parts
    ]
    with pytest.raises(ArtefactRefused, match="check this build of torch"):
        refuse_other_scores(Bundle(replace(made, parts=tuple(rounded)), {}))


@pytest.mark.parametrize("place", ["calibrations", "challengers", "shadows"])
def test_a_table_that_was_folded_wrongly_is_refused_wherever_it_stands(place: str) -> None:
    filed = {"sw": with_own()}
    if place == "challengers":
        held = Bundle(referenced(), {}, challengers={"sw": Challenger(filed["sw"], 0.5)})
    elif place == "shadows":
        held = Bundle(referenced(), {}, shadows=filed)
    else:
        held = Bundle(referenced(), filed)
    other = OwnTable({filed["sw"].key: an_own_readout(9)}, held.readout.places)
    object.__setattr__(held, "own_table", other)
    with pytest.raises(ArtefactRefused, match="the own readout of `sw@1` scores its reference"):
        refuse_other_scores(held)


def test_own_weights_that_overflow_are_refused_for_their_language_alone() -> None:
    own = an_own_readout()
    (part,) = own.parts
    linear = replace(part.linear, weight=torch.full((D_MODEL,), 3e38))
    sick = replace(with_own(), own=replace(own, parts=(replace(part, linear=linear),)))
    well = a_calibration("yo", readout_digest=DIGEST, version="yo@1")
    made = assemble(
        referenced(),
        Loaders({"sw": lambda: sick, "yo": lambda: well}, shadows={"sw": lambda: sick}),
    )
    assert made.calibrations.keys() == {"yo"}
    assert "are not finite; run `recal recalibrate --language sw`" in made.refused["sw"]
    assert "are not finite" in made.refused_beside["shadow of sw"]
    refuse_other_scores(made)


def test_references_come_back_from_disk_and_older_files_have_none(tmp_path: Path) -> None:
    made = referenced()
    assert made.references is not None
    save_readout(made, tmp_path / "readout")
    loaded = load_readout(tmp_path / "readout").references
    assert loaded is not None
    assert torch.equal(loaded.residuals, made.references.residuals)
    assert loaded.scores == made.references.scores
    save_readout(replace(made, references=None), tmp_path / "older")
    assert load_readout(tmp_path / "older").references is None
    assert b"references" not in (tmp_path / "older" / "readout.json").read_bytes()


def test_references_of_another_shape_are_refused(tmp_path: Path) -> None:
    made = referenced()
    assert made.references is not None
    flat = References(made.references.residuals[:, :1], made.references.scores)
    with pytest.raises(ArtefactRefused, match="has tensors of shapes"):
        save_readout(replace(made, references=flat), tmp_path / "readout")
    with pytest.raises(ValueError, match="5 scores for 6 activations"):
        References(made.references.residuals, made.references.scores[:5])
