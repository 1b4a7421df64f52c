"""Principal components: many residuals on two axes, for a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import FloatArray, checked_rows


class Components(NamedTuple):
    """Rows seen along their leading principal axes."""

    coordinates: FloatArray
    """(n, k), centred."""
    shares: FloatArray
    """(k,): of the total variance, in [0, 1], falling."""


def principal_components(rows: ArrayLike, *, k: int = 2) -> Components:
    """Project centred rows on the k axes of largest variance.

    Each axis' sign is the one that makes its largest loading positive, so that a picture does not
    flip from run to run.

    Args:
        rows: (n, d), n at least 2.
        k: at least 1, at most the smaller of n and d.

    Raises:
        ValueError: rows are empty, not finite or all the same, or `k` does not fit.
    """
    matrix = checked_rows("rows", rows)
    if not 1 <= k <= min(matrix.shape):
        raise ValueError(f"`k` is {k} for rows of shape {matrix.shape}; it must fit both")
    centred = matrix - matrix.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    total = float((singular**2).sum())
    if total <= 0:
        raise ValueError(f"all {len(matrix)} rows are the same; they have no components")
    largest = np.abs(right[:k]).argmax(axis=1)
    signs = np.sign(right[np.arange(k), largest])
    return Components(left[:, :k] * singular[:k] * signs, singular[:k] ** 2 / total)
