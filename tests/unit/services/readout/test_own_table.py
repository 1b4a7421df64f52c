"""All own readouts in one table score as each of them does alone."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest
import torch

from services.readout.bundle import Bundle
from services.readout.canary import CalibrationKey
from services.readout.linear import LinearReadout
from services.readout.own import OwnPart, OwnReadout
from services.readout.own_table import OwnTable
from services.readout.scores import score_all
from tests.unit.services.readout.factories import (
    D_MODEL,
    a_calibration,
    a_readout,
    an_own_readout,
)

LAST, MEAN = PLACES = a_readout().places
OWN = {
    "sw": an_own_readout(0, places=(MEAN,)),
    "yo": an_own_readout(1, places=(LAST, MEAN)),
    "my": an_own_readout(2, places=(LAST,)),
    "am": an_own_readout(3, places=(MEAN,)),
}


def read(n: int = 5) -> torch.Tensor:
    return torch.randn(n, len(PLACES), D_MODEL, generator=torch.Generator().manual_seed(6))


def test_every_column_is_what_its_own_readout_gives_alone() -> None:
    rows, table = read(), OwnTable(OWN, PLACES)
    assert list(table.columns) == list(OWN)
    for column, own in enumerate(OWN.values()):
        alone = own.score(rows[:, own.rows_among(PLACES)])
        torch.testing.assert_close(table.score(rows)[:, column], alone, rtol=1e-6, atol=1e-6)


def test_what_is_not_finite_reaches_only_languages_that_read_its_place() -> None:
    rows = read()
    rows[2, 0, 1] = nan
    finite = OwnTable(OWN, PLACES).score(rows)[2].isfinite().tolist()
    assert dict(zip(OWN, finite, strict=True)) == {"sw": True, "yo": False, "my": False, "am": True}


def test_residuals_of_another_dtype_are_scored_in_float32() -> None:
    rows = read().bfloat16()
    scores = OwnTable(OWN, PLACES).score(rows)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, OwnTable(OWN, PLACES).score(rows.float()))


def test_without_own_readouts_the_table_is_empty() -> None:
    assert OwnTable({}, PLACES).score(read(3)).shape == (3, 0)


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=f"has width 3, the own readouts {D_MODEL}"):
        OwnTable(OWN, PLACES).score(torch.zeros(1, len(PLACES), 3))
    narrow = OwnReadout((OwnPart(MEAN, LinearReadout(torch.zeros(3), 0.0)),), "made up", {})
    with pytest.raises(ValueError, match=rf"have widths \[3, {D_MODEL}\]"):
        OwnTable({**OWN, "en": narrow}, PLACES)


def test_a_bundle_scores_by_the_table_of_its_own_readouts() -> None:
    digest = "d" * 64
    calibrations = {
        language: replace(a_calibration(language, readout_digest=digest), own=own)
        for language, own in OWN.items()
    }
    held = Bundle(a_readout(digest=digest), calibrations)
    (scored, *_) = score_all(held, read())
    keys = [CalibrationKey(language, "") for language in OWN]
    assert dict(scored.own) == pytest.approx(
        dict(zip(keys, held.own_table.score(read())[0].tolist(), strict=True))
    )
    assert CalibrationKey("xx", "") not in scored.own
