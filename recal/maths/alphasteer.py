"""AlphaSteer's map: steer harmful states, and leave the space of benign ones alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import FloatArray, checked_rows


def null_space_projector(benign: ArrayLike, *, share: float) -> FloatArray:
    """The projector on the directions along which benign states are smallest.

    Args:
        benign: (n, d_model) states; not centred, since what is added must vanish on the states
            themselves.
        share: of the directions, in (0, 1]; published: 0.3 to 0.6. 1 projects nothing away.

    Returns:
        (d_model, d_model), symmetric and idempotent.

    Raises:
        ValueError: rows are empty or not finite, or `share` is outside (0, 1] or keeps nothing.

    Source: arXiv:2506.07022.
    """
    rows = checked_rows("benign", benign)
    if not (math.isfinite(share) and 0.0 < share <= 1.0):
        raise ValueError(f"`share` is {share}; it lies in (0, 1]")
    kept = math.floor(share * rows.shape[1])
    if kept < 1:
        raise ValueError(f"a share of {share} of {rows.shape[1]} directions is none; raise it")
    _, directions = np.linalg.eigh(rows.T @ rows)
    smallest = directions[:, :kept]
    return np.asarray(smallest @ smallest.T)


def amount_of(harmful: ArrayLike, projector: ArrayLike, *, ridge: float = 10.0) -> FloatArray:
    """The vector that says how much of the refusal direction a state gets: about 1 if harmful.

    The ridge solution of Δ̃·P·h ≈ r for every harmful h has rank one, Δ̃·P = r·aᵀ, because all its
    targets are the same r; a is what is returned.

    Args:
        harmful: (n, d_model) states.
        projector: (d_model, d_model), of `null_space_projector`.
        ridge: strength of the penalty, above 0.

    Returns:
        (d_model,) a: a state h is moved by (a·h)·r.

    Raises:
        ValueError: rows are empty or not finite, widths differ, or `ridge` is not positive.

    Source: arXiv:2506.07022.
    """
    rows, p = checked_rows("harmful", harmful), checked_rows("projector", projector)
    if p.shape != (rows.shape[1], rows.shape[1]):
        raise ValueError(f"states of width {rows.shape[1]} and a projector of shape {p.shape}")
    if not (math.isfinite(ridge) and ridge > 0.0):
        raise ValueError(f"`ridge` is {ridge}; it must be finite and above 0")
    projected = rows @ p
    gram = projected.T @ projected + ridge * np.eye(rows.shape[1])
    return np.asarray(p @ np.linalg.solve(gram, projected.sum(axis=0)))
