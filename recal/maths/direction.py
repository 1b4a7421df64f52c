"""Harmfulness directions: difference in means, per language and pooled, and where classes lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import FloatArray, TwoClass, checked_rows, stacked

_UNIT_TOLERANCE = 1e-3
_NO_DIFFERENCE = 1e-9


class ProjectionStatistics(NamedTuple):
    """Where the classes lie along a direction, in the residual's own units."""

    target: float
    """q₊: third quartile of the harmful projections."""
    centre: float
    """q₀: mean of the harmless projections."""
    gap: float
    """g: `projection_gap`."""


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
    vector = _checked_direction("direction", direction)
    harmful_projections = checked_rows("harmful", harmful) @ vector
    harmless_projections = checked_rows("harmless", harmless) @ vector
    high = np.quantile(harmful_projections, upper)
    return float(high - np.quantile(harmless_projections, lower))


def projection_statistics(
    harmful: ArrayLike, harmless: ArrayLike, direction: ArrayLike
) -> ProjectionStatistics:
    """What steering to a target and affine ablation aim at; arguments and errors as above."""
    vector = _checked_direction("direction", direction)
    return ProjectionStatistics(
        target=float(np.quantile(checked_rows("harmful", harmful) @ vector, 0.75)),
        centre=float((checked_rows("harmless", harmless) @ vector).mean()),
        gap=projection_gap(harmful, harmless, vector),
    )


def surgical_direction(
    false_refusal: ArrayLike, true_refusal: ArrayLike, *, share: float = 1.0
) -> FloatArray:
    """The false-refusal direction without what it shares with true refusal: w - λ(w·r̂)r̂.

    Ablating it takes false refusals away and leaves the component along true refusal alone.

    Args:
        false_refusal: (d_model,) w, unit norm: falsely refused harmless minus other harmless.
        true_refusal: (d_model,) r̂, unit norm: the harmfulness direction.
        share: λ in [0, 1], how much of the shared part is taken out.

    Returns:
        (d_model,), unit norm.

    Raises:
        ValueError: a direction is not unit norm within 1e-3, `share` is outside [0, 1], or nothing
            is left because both directions are the same.

    Source: Wang et al. 2024, arXiv:2410.03415, whose λ below 1 trades one refusal for the other;
    the remainder is normalised here.
    """
    w = _checked_direction("false_refusal", false_refusal)
    r = _checked_direction("true_refusal", true_refusal)
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise ValueError(f"`share` is {share}; it lies in [0, 1]")
    rest = w - share * float(w @ r) * r
    norm = float(np.linalg.norm(rest))
    if norm <= _UNIT_TOLERANCE:
        raise ValueError(
            f"false and true refusal have cosine {float(w @ r):.6f}: nothing is left to ablate; "
            "use another layer"
        )
    return np.asarray(rest / norm)


def _checked_direction(name: str, direction: ArrayLike) -> FloatArray:
    vector = np.asarray(direction, dtype=np.float64)
    norm = float(np.linalg.norm(vector))
    if vector.ndim != 1 or not abs(norm - 1.0) <= _UNIT_TOLERANCE:
        raise ValueError(
            f"`{name}` has shape {vector.shape} and norm {norm:.6g}; it is a unit vector"
        )
    return vector
