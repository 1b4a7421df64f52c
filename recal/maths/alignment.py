"""Parallel prompts to a language's own readout, without a label: turned onto the source, or taught.

What is learned belongs to one language. `distil` can be served (`recal.own_readout`); alignment is
kept for the comparison of readouts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import orthogonal_procrustes

from recal.maths.logistic import Folded
from recal.maths.two_class import FloatArray, checked_rows, checked_scores


class Alignment(NamedTuple):
    """From a language's coordinates in a subspace to the source's."""

    rotation: FloatArray
    """(rank, rank) orthogonal: source ≈ rotation @ target, both centred."""
    target_mean: FloatArray
    """(rank,)."""
    source_mean: FloatArray
    """(rank,)."""


def align(
    target: ArrayLike, source: ArrayLike, basis: ArrayLike, *, rotate: bool = True
) -> Alignment:
    """The rotation and shift that best carry translations onto their source prompts.

    Args:
        target: (n, d_model) residuals of a language's prompts.
        source: (n, d_model) of the same prompts in a source language, row by row.
        basis: (d_model, rank), orthonormal columns: the readout's subspace.
        rotate: False shifts the mean alone.

    Raises:
        ValueError: rows are empty, not finite, or not paired.

    Source: orthogonal Procrustes (Schönemann 1966), within the readout's subspace.
    """
    columns = checked_rows("basis", basis)
    rows = checked_rows("target", target) @ columns
    pairs = checked_rows("source", source) @ columns
    if rows.shape != pairs.shape:
        raise ValueError(f"{len(rows)} rows cannot be paired with {len(pairs)}")
    target_mean, source_mean = rows.mean(axis=0), pairs.mean(axis=0)
    rotation = np.eye(columns.shape[1])
    if rotate:
        found, _ = orthogonal_procrustes(rows - target_mean, pairs - source_mean)
        rotation = np.asarray(found.T, dtype=np.float64)
    return Alignment(rotation, target_mean, source_mean)


def aligned(folded: Folded, basis: ArrayLike, alignment: Alignment) -> Folded:
    """The readout that scores a language's residuals as the source readout scores their images.

    Args:
        folded: a readout whose weight lies in the span of `basis`.
        basis: (d_model, rank), orthonormal columns.
        alignment: of the language, on the same basis.

    Raises:
        ValueError: the weight does not lie in the span.
    """
    columns = checked_rows("basis", basis)
    inside = columns.T @ folded.weight
    if not np.allclose(columns @ inside, folded.weight, atol=1e-8 * np.abs(folded.weight).max()):
        raise ValueError("the readout's weight does not lie in the span of the basis")
    turned = alignment.rotation.T @ inside
    shift = float(inside @ alignment.source_mean - turned @ alignment.target_mean)
    return Folded(columns @ turned, folded.bias + shift)


def distil(target: ArrayLike, source_scores: ArrayLike, *, strength: float = 100.0) -> Folded:
    """A readout of a language that gives translations the score of their source prompts.

    A ridge regression on standardised residuals. The teacher's score is best the mean over several
    source languages' versions of a prompt, whose errors then cancel.

    Args:
        target: (n, d_model) residuals of a language's prompts.
        source_scores: (n,) of the same prompts in the source languages, row by row.
        strength: of the penalty, above 0; in units of one row.

    Raises:
        ValueError: rows or scores are empty, not finite, not paired or without spread, or
            `strength` is not positive.
    """
    if not (math.isfinite(strength) and strength > 0):
        raise ValueError(f"`strength` is {strength}; it must be finite and above 0")
    rows = checked_rows("target", target)
    scores = checked_scores("source_scores", source_scores)
    if len(rows) != len(scores):
        raise ValueError(f"{len(rows)} rows cannot be paired with {len(scores)} scores")
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    if not (scale.max() > 0 and scores.std() > 0):
        raise ValueError("rows or scores do not vary; there is nothing to learn from them")
    standard = (rows - centre) / np.where(scale > 0, scale, 1.0)
    weight = _ridge(standard, scores - scores.mean(), strength)
    per_coordinate = np.asarray(weight / np.where(scale > 0, scale, 1.0), dtype=np.float64)
    return Folded(per_coordinate, float(scores.mean() - per_coordinate @ centre))


def _ridge(rows: FloatArray, wanted: FloatArray, strength: float) -> FloatArray:
    """(d,) that minimise |rows @ w - wanted|² + strength·|w|², by whichever system is smaller."""
    n, d = rows.shape
    if n < d:
        dual = np.linalg.solve(rows @ rows.T + strength * np.eye(n), wanted)
        return np.asarray(rows.T @ dual)
    return np.asarray(np.linalg.solve(rows.T @ rows + strength * np.eye(d), rows.T @ wanted))
