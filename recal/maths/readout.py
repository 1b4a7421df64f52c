"""From the source languages' residuals at one place to a folded readout: the steps of `fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recal.maths.direction import directions_by_language, pooled_direction
from recal.maths.logistic import Folded, Logistic, fit_logistic, fold, logits, score_pair
from recal.maths.source import SourceStatistics, pooled_within_sd, source_statistics
from recal.maths.subspace import basis
from recal.maths.threshold import source_threshold
from recal.maths.two_class import FloatArray, TwoClass, checked_rows, pooled_scores


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
    """Fit a readout on source languages' residuals at one place.

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
    return _fit_on(columns, _project(residuals, columns), residuals, c, equal_languages)


def fit_ranks(
    residuals: Mapping[str, TwoClass], ranks: Sequence[int], *, c: float = 1.0
) -> dict[int, FittedReadout]:
    """`fit_readout` at several ranks, which share their basis and projections.

    A rank above the number of languages is the whole span.

    Raises:
        ValueError: as `fit_readout`.
    """
    allowed = {rank: min(rank, len(residuals)) for rank in ranks}
    directions = np.stack(list(directions_by_language(residuals).values()))
    columns = basis(directions, rank=max(allowed.values()))
    projections = _project(residuals, columns)
    found = {}
    for rank, used in allowed.items():
        leading = {k: TwoClass(*(part[:, :used] for part in v)) for k, v in projections.items()}
        found[rank] = _fit_on(columns[:, :used], leading, residuals, c, equal_languages=True)
    return found


def fit_wide(rows: TwoClass, *, c: float) -> Folded:
    """A logistic over every coordinate of the residuals, not in the directions' subspace.

    For one language, of which a few hundred rows are all that is fitted on.

    Args:
        rows: (n, d_model) and (m, d_model) residuals.
        c: inverse strength of the penalty; rows are few beside coordinates, so it is strong.

    Returns:
        Residual to log odds of harmful: a unit that does not depend on how well the rows are told
        apart, as that of `fit_readout` does.

    Raises:
        ValueError: as `fit_logistic`.
    """
    logistic = fit_logistic({"": rows}, c=c)
    per_coordinate = logistic.weights / logistic.scale
    return Folded(per_coordinate, logistic.bias - float(per_coordinate @ logistic.centre))


def fit_projection(residuals: Mapping[str, TwoClass]) -> Folded:
    """The projection on the source languages' pooled direction: rank 1, and no weight is learned.

    Args:
        residuals: by language, (n, d_model) and (m, d_model) at one place.

    Returns:
        Residual to score, in pooled within-class standard deviations of the source languages; 0 is
        halfway between their class means, each language weighing the same.

    Raises:
        ValueError: as `pooled_direction` and `pooled_within_sd`.

    Source: arXiv:2606.01196, whose steering direction this is; it reads by other weights.
    """
    direction = pooled_direction(residuals)
    projections = {
        language: TwoClass(rows.harmful @ direction, rows.harmless @ direction)
        for language, rows in residuals.items()
    }
    unit = pooled_within_sd(projections)
    midway = float(np.mean([np.mean([a.mean(), b.mean()]) for a, b in projections.values()]))
    return Folded(direction / unit, -midway / unit)


def source_of(scores: Mapping[str, TwoClass]) -> SourceStatistics:
    """Statistics of the source languages' scores, their own threshold included.

    Raises:
        ValueError: as `source_threshold` and `source_statistics`.
    """
    return source_statistics(scores, threshold=source_threshold(*pooled_scores(scores)))


def _project(residuals: Mapping[str, TwoClass], columns: FloatArray) -> dict[str, TwoClass]:
    return {
        language: TwoClass(
            checked_rows("harmful", rows.harmful) @ columns,
            checked_rows("harmless", rows.harmless) @ columns,
        )
        for language, rows in residuals.items()
    }


def _fit_on(
    columns: FloatArray,
    projections: Mapping[str, TwoClass],
    residuals: Mapping[str, TwoClass],
    c: float,
    equal_languages: bool,
) -> FittedReadout:
    logistic = fit_logistic(projections, c=c, equal_languages=equal_languages)
    unit = pooled_within_sd(
        {
            language: TwoClass(logits(logistic, rows.harmful), logits(logistic, rows.harmless))
            for language, rows in projections.items()
        }
    )
    folded = fold(columns, logistic, unit=unit)
    scores = {language: score_pair(folded, rows) for language, rows in residuals.items()}
    return FittedReadout(folded, np.ascontiguousarray(columns), logistic, source_of(scores))
