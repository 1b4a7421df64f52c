"""A readout fitted again on a language's translated prompts: past the ceiling of any threshold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recal.maths.direction import directions_by_language
from recal.maths.logistic import fit_logistic, fold, logits, score
from recal.maths.readout import FittedReadout
from recal.maths.source import pooled_within_sd, source_statistics
from recal.maths.subspace import basis
from recal.maths.threshold import source_threshold
from recal.maths.two_class import TwoClass, checked_rows, stacked


def refit_on_translations(
    source: Mapping[str, TwoClass],
    translated: Mapping[str, TwoClass],
    *,
    c: float = 1.0,
    keep_source: bool = False,
) -> FittedReadout:
    """Fit a readout on translations of labelled source prompts, at one place.

    The subspace is spanned by the directions of source and translations together; the weights are
    those of the translations, with the source languages' rows among them where `keep_source` says
    so. It is another readout than the frozen one: whoever serves it fits and registers it as such.

    Args:
        source: residuals of the source languages, (n, d_model) and (m, d_model).
        translated: the same of the translations, by target language; none of the source's.
        c: inverse strength of the logistic's penalty.
        keep_source: fit on the source languages' rows too; every language weighs the same.

    Returns:
        The readout; its `source` is of the languages that it was fitted on.

    Raises:
        ValueError: no translations, a language that is among the source languages too, or as
            `recal.maths.readout.fit_readout`.
    """
    if not translated or set(source) & set(translated):
        both = ", ".join(sorted(set(source) & set(translated)))
        raise ValueError(
            f"translations are given for {len(translated)} language(s)"
            + (f", and {both} is a source language already" if both else "")
            + "; give those of at least one language that is not a source"
        )
    spanned = {**source, **translated}
    stacked(spanned)
    columns = basis(np.stack(list(directions_by_language(spanned).values())))
    rows = spanned if keep_source else dict(translated)
    projections = {
        language: TwoClass(*(checked_rows("residuals", each) @ columns for each in pair))
        for language, pair in rows.items()
    }
    logistic = fit_logistic(projections, c=c)
    log_odds = {
        language: TwoClass(*(logits(logistic, each) for each in pair))
        for language, pair in projections.items()
    }
    folded = fold(columns, logistic, unit=pooled_within_sd(log_odds))
    scores = {la: TwoClass(*(score(folded, each) for each in pair)) for la, pair in rows.items()}
    pooled = [np.concatenate(parts) for parts in zip(*scores.values(), strict=True)]
    found = source_statistics(scores, threshold=source_threshold(*pooled))
    return FittedReadout(folded, columns, logistic, found)
