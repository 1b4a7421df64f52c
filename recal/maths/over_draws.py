"""How a number varies over few-shot draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import checked_scores


@dataclass(frozen=True)
class Spread:
    """A number over draws, where larger is better."""

    mean: float
    sd: float
    """Sample standard deviation; 0 for a single draw."""
    p5: float
    """5th percentile: what one operator in twenty gets, or less."""
    worst: float
    n: int
    """Draws."""


def spread(values: ArrayLike) -> Spread:
    """Summarise one number per draw.

    Raises:
        ValueError: empty or not finite.
    """
    array = checked_scores("values", values)
    return Spread(
        mean=float(array.mean()),
        sd=float(array.std(ddof=1)) if len(array) > 1 else 0.0,
        p5=float(np.quantile(array, 0.05)),
        worst=float(array.min()),
        n=len(array),
    )
