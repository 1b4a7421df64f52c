"""From the source languages' residuals to one folded readout: the steps of `fit`, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from recal.maths.direction import directions_by_language
from recal.maths.logistic import Folded, Logistic, fit_logistic, fold, logits, score
from recal.maths.source import SourceStatistics, pooled_within_sd, source_statistics
from recal.maths.subspace import basis
from recal.maths.threshold import source_threshold
from recal.maths.two_class import FloatArray, TwoClass, checked_rows


class FittedReadout(NamedTuple):
    """A readout with what it was folded from."""

    folded: Folded
    """Residual to score, in pooled within-class standard deviations of the source languages."""
    basis: FloatArray
    """(d_model, rank), orthonormal columns."""
    logistic: Logistic
    source: SourceStatistics
    """Of the source languages' scores, threshold included; `sd_within` is 1."""


def fit_readout(
    residuals: Mapping[str, TwoClass],
    *,
    rank: int | None = None,
    c: float = 1.0,
    equal_languages: bool = True,
) -> FittedReadout:
    """Fit a readout on source languages' residuals at one layer and position.

    Args:
        residuals: by language, (n, d_model) and (m, d_model).
        rank: of the subspace; None: as many as the languages' directions are independent.
        c: inverse strength of the logistic's penalty.
        equal_languages: every language weighs the same, however many rows it has.

    Raises:
        ValueError: as `directions_by_language`, `basis`, `fit_logistic`; or the source languages
            do not come out the right way round.

    Source: arXiv:2606.01196, with a converged logistic and a J threshold.
    """
    columns = basis(np.stack(list(directions_by_language(residuals).values())), rank=rank)
    projections = {
        language: TwoClass(
            checked_rows("harmful", rows.harmful) @ columns,
            checked_rows("harmless", rows.harmless) @ columns,
        )
        for language, rows in residuals.items()
    }
    logistic = fit_logistic(projections, c=c, equal_languages=equal_languages)
    unit = pooled_within_sd(
        {
            language: TwoClass(logits(logistic, rows.harmful), logits(logistic, rows.harmless))
            for language, rows in projections.items()
        }
    )
    folded = fold(columns, logistic, unit=unit)
    return FittedReadout(folded, columns, logistic, _source_of(folded, residuals))


def _source_of(folded: Folded, residuals: Mapping[str, TwoClass]) -> SourceStatistics:
    scores = {
        language: TwoClass(score(folded, rows.harmful), score(folded, rows.harmless))
        for language, rows in residuals.items()
    }
    threshold = source_threshold(
        np.concatenate([pair.harmful for pair in scores.values()]),
        np.concatenate([pair.harmless for pair in scores.values()]),
    )
    return source_statistics(scores, threshold=threshold)
