"""Harmfulness directions: difference in means, per language and pooled, and the gap along one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import FloatArray, TwoClass, checked_rows, stacked

_UNIT_TOLERANCE = 1e-3
_NO_DIFFERENCE = 1e-9


def difference_in_means(harmful: ArrayLike, harmless: ArrayLike) -> FloatArray:
    """The unit vector from the harmless mean to the harmful mean.

    Args:
        harmful: (n, d_model) residuals.
        harmless: (m, d_model).

    Returns:
        (d_model,), unit norm; points toward harmful.

    Raises:
        ValueError: rows are empty or not finite, widths differ, or the means are the same.

    Source: Arditi et al. 2024, arXiv:2406.11717, whose direction is not normalised.
    """
    rows = stacked({"the only language": TwoClass(np.asarray(harmful), np.asarray(harmless))})
    difference = rows.harmful.mean(axis=0) - rows.harmless.mean(axis=0)
    norm = float(np.linalg.norm(difference))
    size = float(np.abs(rows.harmful).max() + np.abs(rows.harmless).max())
    if norm <= _NO_DIFFERENCE * size:
        raise ValueError(
            f"the class means differ by {norm:.3g} beside values of {size:.3g}, which has no "
            "direction; check that both classes are not the same prompts"
        )
    return np.asarray(difference / norm)


def directions_by_language(by_language: Mapping[str, TwoClass]) -> dict[str, FloatArray]:
    """`difference_in_means` of every language, in the mapping's order.

    Raises:
        ValueError: as `difference_in_means`, with the language; or no language.
    """
    if not by_language:
        raise ValueError("no languages were given; at least one is needed")
    directions = {}
    for language, rows in by_language.items():
        try:
            directions[language] = difference_in_means(rows.harmful, rows.harmless)
        except ValueError as error:
            raise ValueError(f"language `{language}`: {error}") from error
    return directions


def pooled_direction(by_language: Mapping[str, TwoClass]) -> FloatArray:
    """`difference_in_means` over the rows of all languages together: the steering direction.

    A language weighs as many rows as it has.

    Returns:
        (d_model,), unit norm.

    Raises:
        ValueError: as `difference_in_means`; or no language.

    Source: arXiv:2606.01196, its released code.
    """
    return difference_in_means(*stacked(by_language))


def projection_gap(
    harmful: ArrayLike,
    harmless: ArrayLike,
    direction: ArrayLike,
    *,
    upper: float = 0.75,
    lower: float = 0.25,
) -> float:
    """How far apart the classes lie along a direction: Q.75(harmful) - Q.25(harmless).

    The natural unit of the steering coefficient; negative when the classes are inverted.

    Args:
        harmful: (n, d_model) residuals.
        harmless: (m, d_model).
        direction: (d_model,), unit norm.
        upper: quantile of the harmful projections, in [0, 1].
        lower: quantile of the harmless projections, in [0, 1].

    Returns:
        g, in the residual's own units.

    Raises:
        ValueError: `direction` is not unit norm within 1e-3, or rows are empty or not finite.

    Source: arXiv:2606.01196, its released code.
    """
    vector = np.asarray(direction, dtype=np.float64)
    norm = float(np.linalg.norm(vector))
    if vector.ndim != 1 or not abs(norm - 1.0) <= _UNIT_TOLERANCE:
        raise ValueError(
            f"`direction` has shape {vector.shape} and norm {norm:.6g}; it is a unit vector"
        )
    harmful_projections = checked_rows("harmful", harmful) @ vector
    harmless_projections = checked_rows("harmless", harmless) @ vector
    high = np.quantile(harmful_projections, upper)
    return float(high - np.quantile(harmless_projections, lower))
