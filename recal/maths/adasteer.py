"""AdaSteer's laws: how strongly a prompt is steered, by where it lies between two anchors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.logistic import fit_logistic
from recal.maths.two_class import FloatArray, TwoClass, checked_rows, checked_scores


class Law(NamedTuple):
    """A coefficient that is linear in the position and clamped: clip(slope·(p - zero) + offset)."""

    slope: float
    zero: float
    low: float
    high: float
    offset: float = 0.0

    def of(self, positions: ArrayLike) -> FloatArray:
        """The coefficients at (n,) scaled positions."""
        p = checked_scores("positions", positions)
        return np.clip(self.slope * (p - self.zero) + self.offset, self.low, self.high)


class ReleasedLaws(NamedTuple):
    """The two laws of one backbone, and the blocks whose states they are read from."""

    alpha_layer: int
    alpha: Law
    """Multiplies the refusal direction."""
    beta_layer: int
    beta: Law
    """Multiplies the harmfulness direction, projected on the refusal direction."""


RELEASED: Mapping[str, ReleasedLaws] = MappingProxyType(
    {
        "llama": ReleasedLaws(
            alpha_layer=8,
            alpha=Law(0.02, -60.0, -0.22, -0.08),
            beta_layer=13,
            beta=Law(-0.05, -5.0, -0.75, math.inf, offset=-0.5),
        ),
        "qwen": ReleasedLaws(
            alpha_layer=5,
            alpha=Law(0.1, 140.0, -0.2, 0.0),
            beta_layer=13,
            beta=Law(-0.06, 50.0, -0.6, 0.4),
        ),
        "gemma": ReleasedLaws(
            alpha_layer=12,
            alpha=Law(0.004, 35.0, -0.02, 0.06),
            beta_layer=19,
            beta=Law(0.01, 50.0, -0.06, 0.02),
        ),
    }
)
"""As released for Llama-3.1, Qwen2.5 and Gemma-2: position 0 is the mean of complied harmful
prompts, 100 that of the other anchor, and a negative coefficient pushes toward rejection."""


def scaled_positions(rows: ArrayLike, at_0: ArrayLike, at_100: ArrayLike) -> FloatArray:
    """Where states lie between two anchors: 0 at the mean of one, 100 at that of the other.

    Args:
        rows: (n, d_model) residuals.
        at_0: (m, d_model) residuals of the anchor at 0.
        at_100: (k, d_model) residuals of the anchor at 100.

    Returns:
        (n,), in hundredths of the way; below 0 and above 100 beyond the anchors.

    Raises:
        ValueError: rows are empty or not finite, or the anchors have the same mean.

    Source: arXiv:2504.09466, its released code.
    """
    start = checked_rows("at_0", at_0).mean(axis=0)
    way = checked_rows("at_100", at_100).mean(axis=0) - start
    squared = float(way @ way)
    if not squared > 0.0:
        raise ValueError("both anchors have the same mean; give prompts of two kinds")
    # û·(h - μ₀) over û·(μ₁₀₀ - μ₀), with the norm of û cancelled
    return np.asarray(100.0 * ((checked_rows("rows", rows) - start) @ way) / squared)


def fit_law(positions: TwoClass, *, reach: float) -> Law:
    """A law for our anchors: nothing for harmless prompts, `reach` for harmful ones.

    A logistic regression of the label on the position gives the middle, and its tangent there the
    slope; the clamps are 0 and `reach`.

    Args:
        positions: (n,) and (m,) scaled positions of harmful and of harmless prompts.
        reach: the coefficient of a prompt that is surely harmful.

    Raises:
        ValueError: a class is empty, a position is not finite, `reach` is not, or harmful prompts
            do not lie higher than harmless ones.

    Source: arXiv:2504.09466, which names logistic regression and releases frozen linear laws; so
    this fit is our reading of it.
    """
    if not math.isfinite(reach):
        raise ValueError(f"`reach` is {reach}; it must be finite")
    rows = TwoClass(*(checked_scores(n, p)[:, None] for n, p in positions._asdict().items()))
    logistic = fit_logistic({"anchors": rows})
    steepness = float(logistic.weights[0] / logistic.scale[0])
    if not steepness > 0.0:
        raise ValueError("harmful prompts do not lie higher than harmless ones; swap the anchors")
    middle = float(logistic.centre[0]) - logistic.bias / steepness
    # the tangent of the logistic at its middle, where it is one half: slope steepness/4
    slope, zero = reach * steepness / 4.0, middle - 2.0 / steepness
    return Law(slope, zero, min(0.0, reach), max(0.0, reach))
