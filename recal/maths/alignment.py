"""A language's projections turned onto a source language's, by parallel prompts (Procrustes)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import orthogonal_procrustes

from recal.maths.logistic import Folded, Logistic
from recal.maths.two_class import FloatArray, checked_rows


class Alignment(NamedTuple):
    """A rotation and two centres: no distance between two of the language's prompts changes."""

    rotation: FloatArray
    """(rank, rank), orthogonal; right-hand factor of the language's centred projections."""
    target_centre: FloatArray
    """(rank,)."""
    source_centre: FloatArray
    """(rank,)."""

    def __call__(self, projections: ArrayLike) -> FloatArray:
        """The language's projections (n, rank) where the source's lie.

        Raises:
            ValueError: projections are empty, not finite, or of another rank.
        """
        rows = checked_rows("projections", projections)
        if rows.shape[1] != len(self.target_centre):
            raise ValueError(
                f"projections have rank {rows.shape[1]}, the alignment {len(self.target_centre)}"
            )
        return np.asarray((rows - self.target_centre) @ self.rotation + self.source_centre)


def procrustes(target: ArrayLike, source: ArrayLike) -> Alignment:
    """The rotation that brings the projections of prompts nearest to those of their translations.

    It works within the readout's subspace, on projections and not on scores: a language whose
    harmfulness lies along a slightly other direction is read along its own.

    Args:
        target: (n, rank) projections of the language's prompts, residuals @ basis.
        source: (n, rank), row by row of the same prompts in a source language.

    Raises:
        ValueError: rows are empty or not finite, shapes differ, or there are no more pairs than
            the rank (any rotation would fit).

    Source: Schönemann 1966, Psychometrika 31; between languages: arXiv:1702.03859.
    """
    own, theirs = checked_rows("target", target), checked_rows("source", source)
    if own.shape != theirs.shape:
        raise ValueError(
            f"target projections have shape {own.shape}, source ones {theirs.shape}; give the "
            "same prompts in both languages, in the same order"
        )
    n, rank = own.shape
    if n <= rank:
        raise ValueError(f"{n} pairs do not fix a rotation of rank {rank}; give more than {rank}")
    own_centre, their_centre = own.mean(axis=0), theirs.mean(axis=0)
    rotation, _ = orthogonal_procrustes(own - own_centre, theirs - their_centre)
    return Alignment(np.asarray(rotation, dtype=np.float64), own_centre, their_centre)


def fold_aligned(
    alignment: Alignment, basis: ArrayLike, logistic: Logistic, *, unit: float
) -> Folded:
    """One vector and one bias that align, standardise and score a residual of the language.

    Args:
        alignment: of the language.
        basis: (d_model, rank), orthonormal columns.
        logistic: fitted on projections on that basis.
        unit: how many log odds one unit of score is, as in `recal.maths.logistic.fold`.

    Raises:
        ValueError: `unit` is not positive, or the ranks differ.
    """
    columns = checked_rows("basis", basis)
    ranks = {columns.shape[1], len(alignment.target_centre), len(logistic.weights)}
    if len(ranks) > 1:
        raise ValueError(f"basis, alignment and logistic have the ranks {sorted(ranks)}")
    if not (math.isfinite(unit) and unit > 0):
        raise ValueError(f"`unit` is {unit}; it must be finite and above 0")
    per_source = logistic.weights / logistic.scale
    per_target = alignment.rotation @ per_source
    bias = logistic.bias + float(per_source @ (alignment.source_centre - logistic.centre))
    bias -= float(per_target @ alignment.target_centre)
    return Folded(weight=np.asarray(columns @ per_target / unit), bias=bias / unit)
