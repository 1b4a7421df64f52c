from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recal.maths.subspace import basis
from tests.unit.recal.maths.samples import unit


def directions(n: int, d: int = 8, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([unit(row) for row in rng.normal(size=(n, d))])


@given(n=st.integers(1, 8), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=30)
def test_columns_are_orthonormal_at_every_rank(n: int, seed: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, n))
    found = basis(directions(n, seed=seed), rank=rank)
    assert found.shape == (8, rank)
    np.testing.assert_allclose(found.T @ found, np.eye(rank), atol=1e-10)


def test_the_full_basis_reproduces_every_direction() -> None:
    rows = directions(5)
    found = basis(rows)
    np.testing.assert_allclose(rows @ found @ found.T, rows, atol=1e-10)


def test_a_truncated_basis_does_not() -> None:
    rows = directions(5)
    found = basis(rows, rank=2)
    assert np.abs(rows @ found @ found.T - rows).max() > 0.1


def test_the_first_column_is_what_the_directions_share() -> None:
    shared = unit(np.ones(8))
    rows = np.stack([unit(shared + 0.1 * row) for row in directions(6)])
    assert basis(rows, rank=1)[:, 0] @ shared > 0.95


def test_lower_ranks_are_the_first_columns_of_higher_ones() -> None:
    rows = directions(5)
    np.testing.assert_allclose(basis(rows, rank=2), basis(rows, rank=4)[:, :2])


def test_directions_are_not_centred() -> None:
    same_but_little = np.stack([unit(np.array([1.0, e, 0.0])) for e in (-0.1, 0.1)])
    assert abs(basis(same_but_little, rank=1)[0, 0]) > 0.99


def test_each_column_has_the_sign_of_the_average_direction() -> None:
    rows = directions(5)
    assert (rows @ basis(rows)).sum(axis=0).min() >= 0


@pytest.mark.parametrize("rank", [0, -1, 4])
def test_a_rank_outside_the_number_of_directions_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"`rank` is {rank} with 3 directions"):
        basis(directions(3), rank=rank)


def test_a_rank_above_the_independent_directions_is_refused() -> None:
    twice = np.concatenate([directions(2), directions(2)])
    assert basis(twice).shape == (8, 2)
    with pytest.raises(ValueError, match="only 2 of 4 directions are independent, `rank` is 3"):
        basis(twice, rank=3)
