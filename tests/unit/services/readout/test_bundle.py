from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
import torch

from services.readout.bundle import Readout, Thresholds
from services.readout.place import Place
from tests.unit.services.readout.factories import D_MODEL, a_readout


@pytest.mark.parametrize("number", [nan, inf, -inf])
@pytest.mark.parametrize("name", ["steer", "release"])
def test_a_threshold_that_is_not_finite_is_refused(name: str, number: float):
    with pytest.raises(ValueError, match=f"the {name} threshold is {number}; it must be finite"):
        Thresholds(**{"steer": 1.0, "release": -1.0, name: number})


def test_a_release_threshold_above_the_steer_threshold_is_refused():
    with pytest.raises(ValueError, match="lies above"):
        Thresholds(steer=1.0, release=1.5)


@pytest.mark.parametrize("release", [None, -1.0, 1.0])
def test_never_releasing_three_zones_and_two_ways_are_all_possible(release: float | None):
    assert Thresholds(steer=1.0, release=release).release == release


def read_at(n: int, *, seed: int = 0) -> torch.Tensor:
    """Residuals at both places of `a_readout`."""
    return torch.randn(n, 2, D_MODEL, generator=torch.Generator().manual_seed(seed))


def test_a_score_is_the_sum_of_its_parts_by_their_shares():
    readout, rows = a_readout(), read_at(5)
    first, second = (part.linear.score(rows[:, i]) for i, part in enumerate(readout.parts))
    torch.testing.assert_close(readout.score(rows), 0.6 * first + 0.6 * second)


def test_a_readout_of_one_part_scores_as_that_part():
    readout = replace(a_readout(), parts=(replace(a_readout().parts[0], share=1.0),))
    rows = read_at(5)[:, :1]
    assert torch.equal(readout.score(rows), readout.parts[0].linear.score(rows[:, 0]))


@pytest.mark.parametrize("place", [0, 1])
def test_every_part_moves_the_score(place: int):
    rows = read_at(1)
    moved = rows.clone()
    moved[0, place] += a_readout().parts[place].linear.weight
    assert float(a_readout().score(moved) - a_readout().score(rows)) > 0.5


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("bad", [inf, -inf, nan])
def test_a_residual_that_is_not_finite_at_any_place_never_looks_like_a_score(
    place: int, bad: float
):
    rows = read_at(2)
    rows[1, place, 3] = bad
    assert a_readout().score(rows).isfinite().tolist() == [True, False]


@pytest.mark.parametrize("shape", [(5, 1, 8), (5, 3, 8), (8,)])
def test_residuals_of_another_number_of_places_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="a readout of 2 places"):
        a_readout().score(torch.zeros(shape))


def test_residuals_of_another_width_are_refused():
    with pytest.raises(ValueError, match="the residual has width 7, the readout 8"):
        a_readout().score(torch.zeros(5, 2, 7))


def test_the_deepest_layer_that_is_read_decides_how_many_blocks_run():
    readout = a_readout()
    assert (readout.layers, readout.deepest_layer) == ((1, 2), 2)
    assert readout.places == (Place(2, "last"), Place(1, "mean"))
    assert readout.reads == "block 2 (last) and block 1 (mean)"


def with_parts(*indices: int) -> Readout:
    return replace(a_readout(), parts=tuple(a_readout().parts[i] for i in indices))


def test_a_readout_reads_at_least_one_place_and_none_twice():
    with pytest.raises(ValueError, match="at least one place"):
        with_parts()
    with pytest.raises(ValueError, match="each place once"):
        with_parts(0, 1, 0)
