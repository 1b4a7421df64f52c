"""A logistic regression in the subspace, solved to convergence, and its folding into one vector."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from recal.maths.two_class import FloatArray, TwoClass, checked_rows, stacked

_MAX_GRADIENT = 1e-6


class Logistic(NamedTuple):
    """Scaler and logistic weights over projections on a basis."""

    centre: FloatArray
    """(rank,) mean of the projections."""
    scale: FloatArray
    """(rank,) population standard deviation of the projections."""
    weights: FloatArray
    """(rank,), on standardised projections."""
    bias: float


class Folded(NamedTuple):
    """A readout as one linear map from the residual to the score."""

    weight: FloatArray
    """(d_model,)."""
    bias: float


def fit_logistic(
    projections: Mapping[str, TwoClass],
    *,
    c: float = 1.0,
    equal_languages: bool = True,
    max_iterations: int = 10_000,
) -> Logistic:
    """Fit an L2 logistic on standardised projections; both classes weigh the same.

    Minimises ½|w|² + C·Σ weight·loss, with weights that sum to the number of rows.

    Args:
        projections: by language, (n, rank) and (m, rank): residuals @ basis.
        c: inverse strength of the penalty, above 0.
        equal_languages: every language weighs the same too, however many rows it has.
        max_iterations: of the solver, which usually needs less than a hundred.

    Raises:
        ValueError: rows are empty or not finite, `c` is not positive, a projection does not vary,
            or the solution is not one (its gradient is not zero).

    Source: arXiv:2606.01196, which stops AdamW after 80 epochs from a random start, not converged.
    """
    if not (math.isfinite(c) and c > 0):
        raise ValueError(f"`c` is {c}; it must be finite and above 0")
    rows = np.concatenate(stacked(projections))
    harmful, sample_weight = _labels_and_weights(projections, equal_languages=equal_languages)
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    constant = np.flatnonzero(scale <= 1e-12 * np.abs(rows).max(axis=0))
    if constant.size:
        raise ValueError(
            f"projection(s) {constant.tolist()} do not vary over {len(rows)} rows; lower the rank"
        )
    standard = (rows - centre) / scale
    solver = LogisticRegression(C=c, solver="lbfgs", tol=1e-8, max_iter=max_iterations)
    with warnings.catch_warnings():
        # the gradient is checked below, and that is an error
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(standard, harmful, sample_weight=sample_weight)
    found = Logistic(centre, scale, solver.coef_[0].astype(np.float64), float(solver.intercept_[0]))
    _check_converged(found, standard, harmful, sample_weight, c=c)
    return found


def logits(logistic: Logistic, projections: ArrayLike) -> FloatArray:
    """Log odds of harmful, unfolded: (n, rank) projections to (n,)."""
    standard = (checked_rows("projections", projections) - logistic.centre) / logistic.scale
    return np.asarray(standard @ logistic.weights + logistic.bias, dtype=np.float64)


def fold(basis: ArrayLike, logistic: Logistic, *, unit: float) -> Folded:
    """One vector and one bias that do the same as basis, scaler and weights, in the score's unit.

    Args:
        basis: (d_model, rank), orthonormal columns.
        logistic: fitted on projections on that basis.
        unit: how many log odds one unit of score is: their pooled within-class standard deviation
            in the source languages.

    Raises:
        ValueError: `unit` is not positive, or the ranks differ.
    """
    columns = checked_rows("basis", basis)
    if not (math.isfinite(unit) and unit > 0):
        raise ValueError(f"`unit` is {unit}; it must be finite and above 0")
    if columns.shape[1] != len(logistic.weights):
        raise ValueError(
            f"the basis has rank {columns.shape[1]}, the logistic {len(logistic.weights)}"
        )
    per_projection = logistic.weights / logistic.scale
    bias = logistic.bias - float(per_projection @ logistic.centre)
    return Folded(weight=columns @ per_projection / unit, bias=bias / unit)


def score(folded: Folded, residuals: ArrayLike) -> FloatArray:
    """Scores of residuals, (n, d_model) to (n,); the float64 twin of the readout online."""
    rows = checked_rows("residuals", residuals)
    return np.asarray(rows @ folded.weight + folded.bias, dtype=np.float64)


def score_pair(folded: Folded, rows: TwoClass) -> TwoClass:
    """`score` of both classes' residuals."""
    return TwoClass(score(folded, rows.harmful), score(folded, rows.harmless))


def _labels_and_weights(
    projections: Mapping[str, TwoClass], *, equal_languages: bool
) -> tuple[FloatArray, FloatArray]:
    labels, weights = [], []
    for label, counts in (
        (1.0, [len(rows.harmful) for rows in projections.values()]),
        (0.0, [len(rows.harmless) for rows in projections.values()]),
    ):
        share = [1.0 / (len(counts) * n) if equal_languages else 1.0 / sum(counts) for n in counts]
        labels.append(np.full(sum(counts), label))
        weights.append(np.repeat(share, counts))
    all_weights = np.concatenate(weights)
    return np.concatenate(labels), all_weights * (len(all_weights) / all_weights.sum())


def _check_converged(
    found: Logistic, standard: FloatArray, harmful: FloatArray, weight: FloatArray, *, c: float
) -> None:
    error = weight * (expit(standard @ found.weights + found.bias) - harmful)
    gradient = np.append(found.weights / c + standard.T @ error, error.sum()) / weight.sum()
    largest = float(np.abs(gradient).max())
    if not largest <= _MAX_GRADIENT:
        raise ValueError(
            f"the logistic did not converge: its gradient is {largest:.3g} a row, not 0; "
            "raise `max_iterations` or lower `c`"
        )
