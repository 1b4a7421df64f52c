from __future__ import annotations

import numpy as np
import pytest

from recal.maths.components import principal_components


def cloud(n: int = 300, d: int = 6) -> np.ndarray:
    """Wide along one axis, less so along another, narrow elsewhere; far from the origin."""
    rng = np.random.default_rng(0)
    return 50 + rng.normal(size=(n, d)) * np.array([9.0, 3.0, *[0.3] * (d - 2)])


def test_the_widest_axis_comes_first() -> None:
    rows = cloud()
    found = principal_components(rows)
    assert abs(np.corrcoef(found.coordinates[:, 0], rows[:, 0])[0, 1]) > 0.999
    assert found.shares[0] > 0.85 > found.shares[1] > 0.05
    assert found.shares.sum() <= 1.0


def test_coordinates_are_centred_and_a_shift_changes_nothing() -> None:
    found = principal_components(cloud())
    assert found.coordinates.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert principal_components(cloud() - 70).coordinates == pytest.approx(found.coordinates)


def test_all_axes_keep_every_distance_and_two_do_not() -> None:
    rows = cloud(20)
    full, two = (principal_components(rows, k=k).coordinates for k in (6, 2))
    apart = np.linalg.norm(rows[3] - rows[8])
    assert np.linalg.norm(full[3] - full[8]) == pytest.approx(apart)
    assert np.linalg.norm(two[3] - two[8]) < apart - 1e-4


def test_a_picture_does_not_flip_when_rows_do() -> None:
    rows = cloud()
    mirrored = 2 * rows.mean(axis=0) - rows
    one, other = principal_components(rows), principal_components(mirrored)
    assert other.coordinates == pytest.approx(-one.coordinates)


@pytest.mark.parametrize(
    ("rows", "k", "words"),
    [
        (np.ones((4, 3)), 2, "all 4 rows are the same"),
        (cloud(3, 2), 3, "`k` is 3"),
        (cloud(3, 2), 0, "`k` is 0"),
        (np.full((3, 2), np.nan), 1, "non-finite"),
    ],
)
def test_rows_without_components_are_refused(rows: np.ndarray, k: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        principal_components(rows, k=k)
