"""The released procedure, as it is: its probe, its refit for each language, its threshold.

Kept to compare with. Nothing here is served by default: `recal.maths.readout` is ours.

Source: arXiv:2606.01196, its released code; every function says where it deviates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from recal.maths.direction import directions_by_language
from recal.maths.estimators.paper import paper_f1
from recal.maths.evidence import Evidence
from recal.maths.logistic import Folded, Logistic, fold, score_pair
from recal.maths.source import SourceStatistics, source_statistics
from recal.maths.subspace import basis
from recal.maths.two_class import FloatArray, TwoClass, pooled_scores, stacked

RANK = 10
"""Of the released configuration; with ten source languages it is the whole span."""
_EPOCHS = 80
_LEARNING_RATE = 0.05
_WEIGHT_DECAY = 0.01
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class PaperGate(NamedTuple):
    """A readout with the threshold that belongs to it."""

    folded: Folded
    """Residual to log odds, in the probe's own unit."""
    basis: FloatArray
    """(d_model, rank), orthonormal columns."""
    threshold: float
    """Harmful where score >= threshold."""
    f1: float
    """Of the rows that the threshold was chosen on, both classes weighted by one half."""
    source: SourceStatistics
    """Of the source languages' log odds."""


def fit_probe(projections: TwoClass, rng: np.random.Generator) -> Logistic:
    """Their probe: a logistic that 80 full-batch epochs of AdamW leave short of convergence.

    Standardised by the population's standard deviation; Xavier uniform weights and bias 0 at the
    start; learning rate 0.05, decoupled weight decay 0.01 on weights and bias; harmful rows
    weigh n₋/n₊.

    Args:
        projections: (n, rank) and (m, rank).
        rng: of the initial weights alone.

    Raises:
        ValueError: rows are empty or not finite, or a projection does not vary.

    Source: arXiv:2606.01196; in float64, and with another generator than torch's.
    """
    rows = stacked({"all": projections})
    table = np.concatenate(rows)
    centre, scale = table.mean(axis=0), table.std(axis=0)
    if constant := np.flatnonzero(scale <= 1e-12 * np.abs(table).max(axis=0)).tolist():
        raise ValueError(
            f"projection(s) {constant} do not vary over {len(table)} rows; lower the rank"
        )
    labels = np.repeat([1.0, 0.0], [len(rows.harmful), len(rows.harmless)])
    rank = table.shape[1]
    bound = math.sqrt(6.0 / (rank + 1))
    start = np.append(rng.uniform(-bound, bound, size=rank), 0.0)
    found = _adamw((table - centre) / scale, labels, start)
    return Logistic(centre, scale, found[:-1], float(found[-1]))


def fit_paper(
    source: Mapping[str, TwoClass],
    rng: np.random.Generator,
    *,
    examples: TwoClass | None = None,
    rank: int = RANK,
) -> PaperGate:
    """Their gate of one language.

    Without examples (k = 0) the probe is fitted on the source languages, and the threshold is the
    one of best F1 on their rows. With examples both happen anew for the language: the probe is
    fitted on source rows and examples together, every row weighing the same, and the threshold is
    the one of best F1 on those very examples. Basis and scaler: the basis stays the source
    languages', the scaler is the fit's own.

    Args:
        source: by language, (n, d_model) and (m, d_model) residuals at one place.
        rng: of the probe's initial weights.
        examples: (k, d_model) of each class.
        rank: of the subspace, at most the number of source languages.

    Raises:
        ValueError: as `directions_by_language`, `basis`, `fit_probe`; or the source languages do
            not come out the right way round.

    Source: arXiv:2606.01196.
    """
    columns = basis(np.stack(list(directions_by_language(source).values())), rank=rank)
    parts = dict(source) if examples is None else {**source, "the examples": examples}
    together = stacked(parts)
    probe = fit_probe(TwoClass(together.harmful @ columns, together.harmless @ columns), rng)
    folded = fold(columns, probe, unit=1.0)
    of_source = {language: score_pair(folded, rows) for language, rows in source.items()}
    chosen_on = pooled_scores(of_source)
    if examples is not None:
        chosen_on = score_pair(folded, examples)
    statistics = source_statistics(of_source, threshold=0.0)
    threshold = f1_threshold(chosen_on, statistics)
    return PaperGate(
        folded=folded,
        basis=columns,
        threshold=threshold,
        f1=balanced_f1(*chosen_on, threshold),
        source=source_statistics(of_source, threshold=threshold),
    )


def f1_threshold(scores: TwoClass, source: SourceStatistics) -> float:
    """The threshold of the best F1 on these very scores.

    Raises:
        ValueError: a class is empty, or a score is not finite.
    """
    return paper_f1(Evidence(*scores), source=source).threshold


def balanced_f1(harmful_scores: ArrayLike, harmless_scores: ArrayLike, threshold: float) -> float:
    """F1 of the harmful class at a threshold, with both classes weighted by one half.

    Source: arXiv:2606.01196, `balanced_macro_f1` of its released code.
    """
    tpr = float((np.asarray(harmful_scores) >= threshold).mean())
    fpr = float((np.asarray(harmless_scores) >= threshold).mean())
    return 2 * tpr / (tpr + fpr + 1)


def _adamw(rows: FloatArray, labels: FloatArray, start: FloatArray) -> FloatArray:
    """80 steps on the mean weighted logistic loss; the last parameter is the bias."""
    table = np.column_stack([rows, np.ones(len(rows))])
    weight = np.where(labels == 1.0, (labels == 0.0).sum() / (labels == 1.0).sum(), 1.0)
    found, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, _EPOCHS + 1):
        gradient = table.T @ (weight * (expit(table @ found) - labels)) / len(table)
        found *= 1 - _LEARNING_RATE * _WEIGHT_DECAY
        first = _BETAS[0] * first + (1 - _BETAS[0]) * gradient
        second = _BETAS[1] * second + (1 - _BETAS[1]) * gradient**2
        size = np.sqrt(second / (1 - _BETAS[1] ** step)) + _EPSILON
        found -= _LEARNING_RATE * first / (1 - _BETAS[0] ** step) / size
    return found
