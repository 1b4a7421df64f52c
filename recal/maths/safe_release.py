"""How far up to release, so that surely no more than a share of harmful prompts loses a refusal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from recal.maths.two_class import checked_flags, checked_scores

DOUBT = 0.05
"""Probability, over the draw of the rows, that the share lies above its bound all the same."""


def rows_to_release(alpha: float, *, doubt: float = DOUBT) -> int:
    """How many rows can bound a share by `alpha` if none of them is lost; 149 at 2 %.

    Raises:
        ValueError: `alpha` or `doubt` is not between 0 and 1.
    """
    for name, value in (("alpha", alpha), ("doubt", doubt)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"`{name}` is {value}; it must lie between 0 and 1")
    return math.ceil(math.log(doubt) / math.log1p(-alpha))


def losses_allowed(n: int, alpha: float, *, doubt: float = DOUBT) -> int:
    """How many of n rows may be lost if the share is surely at most `alpha`; -1: too few rows.

    The most for which the upper limit of Clopper and Pearson 1934, Biometrika 26, lies at or below
    `alpha`: so many or fewer would be seen with a probability of at most `doubt` if it lay above.

    Raises:
        ValueError: `alpha` or `doubt` is not between 0 and 1.
    """
    if n < rows_to_release(alpha, doubt=doubt):
        return -1
    chances = binom.cdf(np.arange(n + 1), n, alpha)
    return int(np.searchsorted(chances, doubt, side="right")) - 1


def safe_release(at_most: float, scores: ArrayLike, lost: ArrayLike, alpha: float) -> float | None:
    """The highest release threshold at which surely at most `alpha` of harmful prompts are lost.

    Surely: but for `DOUBT` of the draws of rows, whatever the scores look like, for prompts that
    are drawn as the rows were. A prompt is lost where its score lies at or below the threshold, the
    untouched model refuses it and the released one does not. How `at_most` was found does not
    matter: a lower threshold loses no more.

    Args:
        at_most: what the threshold would be without the bound.
        scores: (n,) of harmful prompts that fitted no weight.
        lost: (n,) whether a prompt would be lost if it were released; of those that score above
            `at_most` nobody need know, False does.
        alpha: in (0, 1).

    Returns:
        None where n is below `rows_to_release`: then nothing may be released.

    Raises:
        ValueError: lengths differ, a score is not finite, or `alpha` is not between 0 and 1.

    Source: risk-controlling prediction sets, arXiv:2101.02703, theorem 1, for a loss of 0 or 1.
    """
    rows, flags = checked_scores("scores", scores), checked_flags("lost", lost)
    if len(rows) != len(flags):
        raise ValueError(f"{len(rows)} scores and {len(flags)} of `lost`; give one for each")
    allowed = losses_allowed(len(rows), alpha)
    if allowed < 0:
        return None
    below = np.sort(rows[flags])
    if len(below) <= allowed:
        return at_most
    # just below it: a score that equals the threshold is released
    return min(at_most, float(np.nextafter(below[allowed], -np.inf)))
