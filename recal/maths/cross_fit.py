"""Scores of rows by fits that had not seen them: what weights are worth beyond their own rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recal.maths.logistic import Folded, score
from recal.maths.metrics import auroc
from recal.maths.two_class import BoolArray, FloatArray, TwoClass

N_FOLDS = 5
"""Each fit sees four fifths of the rows."""

Learn = Callable[[BoolArray], Folded]
"""Weights from the rows that are marked."""


class Chosen(NamedTuple):
    """One of several ways to learn, and what it is worth."""

    number: int
    """Which, from 0."""
    scores: FloatArray
    """(n,) of every row, by a fit that had not seen it."""


def folds_of(
    groups: Sequence[str], harmful: BoolArray, *, n_folds: int = N_FOLDS
) -> NDArray[np.int64]:
    """A fold for every row: the same for all of a group, each class spread over all of them.

    Args:
        groups: (n,) names; rows of one group would give each other away.
        harmful: (n,) labels; a group with both counts to one of them.
        n_folds: at least 2.

    Returns:
        (n,) from 0. By a hash of the names: the rows' order changes nothing.

    Raises:
        ValueError: a class has fewer groups than there are folds.
    """
    classes: dict[str, bool] = {}
    for group, label in zip(groups, harmful, strict=True):
        classes.setdefault(group, bool(label))
    fold_of: dict[str, int] = {}
    for label in (True, False):
        mine = [group for group, each in classes.items() if each is label]
        if len(mine) < n_folds:
            raise ValueError(
                f"{len(mine)} different {'harmful' if label else 'harmless'} prompts make no "
                f"{n_folds} folds; give at least {n_folds}"
            )
        mine.sort(key=lambda group: hashlib.sha256(group.encode()).digest())
        fold_of |= {group: place % n_folds for place, group in enumerate(mine)}
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def cross_fitted(rows: FloatArray, folds: NDArray[np.int64], learn: Learn) -> FloatArray:
    """Score each fold by what is learned from the others.

    Args:
        rows: (n, d_model).
        folds: (n,) from `folds_of`.
        learn: weights whose unit does not depend on how well they fit, or folds cannot be held
            side by side.

    Returns:
        (n,) scores, in the rows' order.
    """
    scores = np.empty(len(rows))
    for fold in np.unique(folds):
        left_out = folds == fold
        scores[left_out] = score(learn(~left_out), rows[left_out])
    return scores


def best_of(
    rows: FloatArray, harmful: BoolArray, folds: NDArray[np.int64], ways: Sequence[Learn]
) -> Chosen:
    """The way to learn whose cross-fitted scores rank best; of equal ones the first.

    Args:
        rows: (n, d_model).
        harmful: (n,) labels.
        folds: (n,) from `folds_of`.
        ways: at least one, the most careful first.

    Raises:
        ValueError: as the ways.
    """
    tried = [cross_fitted(rows, folds, learn) for learn in ways]
    areas = [auroc(scores[harmful], scores[~harmful]) for scores in tried]
    number = int(np.argmax(areas))
    return Chosen(number, tried[number])


def by_class(scores: FloatArray, harmful: BoolArray) -> TwoClass:
    """Scores of both classes, (n,) and (m,)."""
    return TwoClass(scores[harmful], scores[~harmful])
