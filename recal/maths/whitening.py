"""A direction after whitening: difference in means, seen by the shrunk within-class covariance.

Kept for the comparison of readouts; what wins there is served as any other linear readout.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage

from recal.maths.logistic import Folded
from recal.maths.source import pooled_within_sd
from recal.maths.two_class import FloatArray, TwoClass, checked_rows


def fit_whitened(residuals: Mapping[str, TwoClass], *, shrinkage: float | None = None) -> Folded:
    """Σ⁻¹ times the mean over languages of the difference in class means.

    Σ is the covariance within a class of a language, so neither differences between languages nor
    between classes count as spread, shrunk toward a multiple of the identity. With full shrinkage
    the direction is the plain mean difference.

    Args:
        residuals: by language, (n, d_model) and (m, d_model).
        shrinkage: in (0, 1]; None: the one that Ledoit and Wolf (2004) estimate.

    Returns:
        In pooled within-class standard deviations; 0 lies halfway between the class means.

    Raises:
        ValueError: no language, rows are empty or not finite, the spread is zero, or `shrinkage`
            is outside of (0, 1].
    """
    if not residuals:
        raise ValueError("no languages were given; at least one is needed")
    if shrinkage is not None and not 0 < shrinkage <= 1:
        raise ValueError(f"`shrinkage` is {shrinkage}; it lies in (0, 1]")
    pairs = {
        language: TwoClass(
            checked_rows(f"harmful of `{language}`", rows.harmful),
            checked_rows(f"harmless of `{language}`", rows.harmless),
        )
        for language, rows in residuals.items()
    }
    means = [TwoClass(*(part.mean(axis=0) for part in rows)) for rows in pairs.values()]
    difference = np.mean([mean.harmful - mean.harmless for mean in means], axis=0)
    centre = np.mean([mean.harmful + mean.harmless for mean in means], axis=0) / 2
    weight = np.asarray(np.linalg.solve(_shrunk(pairs, shrinkage), difference), dtype=np.float64)
    scores = {k: TwoClass(v.harmful @ weight, v.harmless @ weight) for k, v in pairs.items()}
    unit = pooled_within_sd(scores)
    return Folded(weight / unit, -float(weight @ centre) / unit)


def _shrunk(pairs: Mapping[str, TwoClass], shrinkage: float | None) -> FloatArray:
    centred = np.concatenate([part - part.mean(axis=0) for rows in pairs.values() for part in rows])
    covariance = centred.T @ centred / len(centred)
    amount = shrinkage
    if amount is None:
        amount = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    identity = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    if not np.trace(covariance) > 0:
        raise ValueError("the residuals do not vary within a class; there is nothing to whiten")
    return np.asarray((1 - amount) * covariance + amount * identity)
