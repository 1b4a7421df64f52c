"""Shares of an ensemble's parts, learned from the scores of languages that no part has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from recal.maths.two_class import FloatArray, TwoClass, stacked

_LEAST = 0.02
"""Share, beside the largest, below which a part is not worth reading."""


class Stack(NamedTuple):
    """Which parts an ensemble keeps, and their shares."""

    kept: tuple[int, ...]
    """Indices of the parts, the largest share first; none where no part separates the classes."""
    shares: FloatArray
    """(len(kept),), above 0; they sum to 1."""


def stack(parts: Sequence[Mapping[str, TwoClass]], *, most: int = 8, c: float = 0.3) -> Stack:
    """Weigh parts so that their sum tells the classes apart, and leave out what adds nothing.

    A logistic on the parts' scores with shares that may not be negative, so that no part is read
    backwards and parts that say the same do not fight. Languages and classes weigh the same, and
    every language's own midpoint is taken away first: thresholds are another question. The largest
    shares are kept and learned once more.

    Args:
        parts: by language, (n,) and (m,) scores in standard deviations, of readouts that have not
            seen the language; the same prompts in every part.
        most: parts that are kept.
        c: inverse strength of the penalty, which spreads the shares of parts that agree.

    Raises:
        ValueError: there are no parts, they do not score the same prompts, `most` is below 1, or
            `c` is not positive.

    Source: stacking (Wolpert 1992) with non-negative weights (Breiman 1996).
    """
    if most < 1:
        raise ValueError(f"`most` is {most}; an ensemble keeps at least one part")
    if not (math.isfinite(c) and c > 0):
        raise ValueError(f"`c` is {c}; it must be finite and above 0")
    table, harmful, weight = _centred(parts)
    first = _shares(table, harmful, weight, c)
    if not first.max() > 0:
        return Stack((), np.empty(0))
    order = np.argsort(-first, kind="stable")[:most]
    kept = order[first[order] >= _LEAST * first.max()]
    again = _shares(table[:, kept], harmful, weight, c)
    left = np.flatnonzero(again >= _LEAST * again.max())
    left = left[np.argsort(-again[left], kind="stable")]
    return Stack(tuple(int(i) for i in kept[left]), again[left] / again[left].sum())


def _centred(
    parts: Sequence[Mapping[str, TwoClass]],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(rows, parts) scores without each language's midpoint; labels; weights of mean 1."""
    if not parts or any(part.keys() != parts[0].keys() for part in parts):
        raise ValueError(f"{len(parts)} parts do not score the same languages")
    tables, labels, weights = [], [], []
    for language in parts[0]:
        columns = [(part[language].harmful, part[language].harmless) for part in parts]
        if any(tuple(map(len, column)) != tuple(map(len, columns[0])) for column in columns):
            raise ValueError(f"the parts score different prompts of `{language}`")
        rows = stacked(
            {
                language: TwoClass(
                    np.column_stack([harmful for harmful, _ in columns]),
                    np.column_stack([harmless for _, harmless in columns]),
                )
            }
        )
        middle = (rows.harmful.mean(axis=0) + rows.harmless.mean(axis=0)) / 2
        for label, side in ((1.0, rows.harmful), (0.0, rows.harmless)):
            tables.append(side - middle)
            labels.append(np.full(len(side), label))
            weights.append(np.full(len(side), 1.0 / len(side)))
    weight = np.concatenate(weights)
    return np.concatenate(tables), np.concatenate(labels), weight / weight.mean()


def _shares(table: FloatArray, harmful: FloatArray, weight: FloatArray, c: float) -> FloatArray:
    n_rows, n_parts = table.shape

    def loss(found: FloatArray) -> tuple[float, FloatArray]:
        shares, bias = found[:-1], found[-1]
        log_odds = table @ shares + bias
        each = np.logaddexp(0.0, log_odds) - harmful * log_odds
        error = weight * (expit(log_odds) - harmful)
        gradient = np.append(table.T @ error + shares / c, error.sum()) / n_rows
        return float((weight * each).mean() + shares @ shares / (2 * c * n_rows)), gradient

    start = np.append(np.full(n_parts, 1.0 / n_parts), 0.0)
    bounds = [(0.0, None)] * n_parts + [(None, None)]
    solved = minimize(
        loss, start, jac=True, bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": 5000}
    )
    return np.asarray(solved.x[:-1], dtype=np.float64)
