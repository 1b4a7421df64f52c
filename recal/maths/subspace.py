"""The harmfulness subspace: what the source languages' directions span."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import FloatArray, checked_rows


def basis(directions: ArrayLike, *, rank: int | None = None) -> FloatArray:
    """An orthonormal basis of the leading subspace of stacked unit directions.

    Args:
        directions: (n_languages, d_model), one unit direction a row. Not centred: what the
            languages share is the point, and centring would remove it.
        rank: how many basis vectors; None: as many as the directions are independent.

    Returns:
        (d_model, rank), orthonormal columns, the most shared first. Each column's sign is the one
        with which the directions project on it positively on average.

    Raises:
        ValueError: `rank` is below 1, above the number of directions, or above the number of
            independent ones (the rest would be noise).

    Source: arXiv:2606.01196, its released code (rank 10 of 10 languages).
    """
    rows = checked_rows("directions", directions)
    if rank is not None and not 1 <= rank <= len(rows):
        raise ValueError(
            f"`rank` is {rank} with {len(rows)} directions; it lies between 1 and their number"
        )
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    tolerance = singular[0] * max(rows.shape) * np.finfo(np.float64).eps
    independent = int((singular > tolerance).sum())
    if independent < (rank or 1):
        raise ValueError(
            f"only {independent} of {len(rows)} directions are independent, `rank` is {rank}; "
            "lower it or add source languages"
        )
    columns = right[: rank or independent].T
    signs = np.where((rows @ columns).sum(axis=0) < 0, -1.0, 1.0)
    return np.ascontiguousarray(columns * signs)
