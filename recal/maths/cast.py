"""CAST's condition: directions by principal components, its similarity, and its grid search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import BoolArray, FloatArray, TwoClass, checked_rows, checked_scores

Variant = Literal["pca_pairwise", "pca_diff", "pca_center"]
Comparator = Literal["larger", "smaller"]
"""Of the threshold: `larger` is met where the threshold is larger than the similarity."""


class ConditionPoint(NamedTuple):
    """When the condition is met."""

    layer: int
    threshold: float
    comparator: Comparator
    f1: float
    """Of the positive class, on the rows that it was searched on."""

    def met(self, similarities: ArrayLike) -> BoolArray:
        """(n,) bool."""
        return _met(checked_scores("similarities", similarities), self.threshold, self.comparator)


def contrastive_direction(
    positive: ArrayLike, negative: ArrayLike, variant: Variant = "pca_pairwise"
) -> FloatArray:
    """The first principal component of contrastive pairs, pointing to the positives.

    Args:
        positive: (n, d_model) states.
        negative: (n, d_model) states; row i is paired with row i.
        variant: `pca_pairwise` centres each pair on its own middle, `pca_center` all rows on their
            mean, `pca_diff` takes the pairs' differences as they are, which gives the direction of
            `pca_pairwise` again.

    Returns:
        (d_model,), unit norm, with the sign by which positives lie higher more often.

    Raises:
        ValueError: rows are empty, not finite or not paired, there is no such variant, or they do
            not differ.

    Source: arXiv:2409.05907, its released code.
    """
    plus, minus = checked_rows("positive", positive), checked_rows("negative", negative)
    if plus.shape != minus.shape:
        raise ValueError(f"rows of shapes {plus.shape} and {minus.shape} are not pairs")
    if variant not in get_args(Variant):
        raise ValueError(f"no variant `{variant}`; choose one of {', '.join(get_args(Variant))}")
    rows = _contrasts(plus, minus, variant)
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    if not singular[0] > 0.0:
        raise ValueError("the pairs do not differ; give prompts of two kinds")
    direction = right[0]
    higher = float(np.mean(plus @ direction > minus @ direction))
    lower = float(np.mean(plus @ direction < minus @ direction))
    return np.asarray(-direction if lower > higher else direction)


def _contrasts(plus: FloatArray, minus: FloatArray, variant: Variant) -> FloatArray:
    if variant == "pca_diff":
        return np.asarray(plus - minus)
    both = np.concatenate([plus, minus])
    if variant == "pca_center":
        return np.asarray(both - both.mean(axis=0))
    return np.asarray(both - np.tile((plus + minus) / 2.0, (2, 1)))


def similarities(rows: ArrayLike, direction: ArrayLike) -> FloatArray:
    """cos(h, tanh(proj_c h)), as published: nearly even in c·h, so it measures size, not side.

    Args:
        rows: (n, d_model) states.
        direction: (d_model,) c, of any norm.

    Returns:
        (n,), in [-1, 1]; 0 where a state has no component along c.

    Raises:
        ValueError: rows are empty or not finite, or `direction` is zero.

    Source: arXiv:2409.05907, its released code. The evenness is a weakness, kept on purpose.
    """
    states, c = checked_rows("rows", rows), checked_scores("direction", direction)
    squared = float(c @ c)
    if not squared > 0.0:
        raise ValueError("`direction` is zero; a condition needs one")
    projected = np.tanh((states @ c)[:, None] * (c / squared))
    norms = np.linalg.norm(states, axis=1) * np.linalg.norm(projected, axis=1)
    dots = (states * projected).sum(axis=1)
    return np.asarray(np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0.0))


def best_condition_point(by_layer: Mapping[int, TwoClass], thresholds: ArrayLike) -> ConditionPoint:
    """The layer, threshold and side with the highest F1; the first of equals, as published.

    Args:
        by_layer: similarities of harmful (positive) and harmless prompts.
        thresholds: (t,) to try, rising.

    Raises:
        ValueError: no layer, or no similarities.

    Source: arXiv:2409.05907, `find_best_condition_point` for one layer at a time.
    """
    grid = checked_scores("thresholds", thresholds)
    best: ConditionPoint | None = None
    for layer, pair in by_layer.items():
        positive = checked_scores("harmful similarities", pair.harmful)
        negative = checked_scores("harmless similarities", pair.harmless)
        for threshold in grid:
            for comparator in get_args(Comparator):
                f1 = _f1(
                    _met(positive, threshold, comparator), _met(negative, threshold, comparator)
                )
                if best is None or f1 > best.f1:
                    best = ConditionPoint(layer, float(threshold), comparator, f1)
    if best is None:
        raise ValueError("no layer was given to search for a condition")
    return best


def _met(values: FloatArray, threshold: float, comparator: Comparator) -> BoolArray:
    return np.asarray(threshold > values if comparator == "larger" else threshold < values)


def _f1(positives_met: BoolArray, negatives_met: BoolArray) -> float:
    hits = int(positives_met.sum())
    wrong = int(negatives_met.sum()) + len(positives_met) - hits
    return 2 * hits / (2 * hits + wrong) if hits else 0.0
