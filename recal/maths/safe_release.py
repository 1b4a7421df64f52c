"""How far up to release, so that no more than a share of harmful prompts loses a refusal by it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from recal.maths.two_class import checked_flags, checked_scores


def losses_allowed(n: int, alpha: float) -> int:
    """How many of n rows may be lost under a bound of `alpha`, ⌊α(n + 1)⌋ - 1; -1: too few rows.

    Raises:
        ValueError: `alpha` is not between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"`alpha` is {alpha}; a bound on a rate lies between 0 and 1")
    return math.floor(alpha * (n + 1) + 1e-9) - 1


def safe_release(at_most: float, scores: ArrayLike, lost: ArrayLike, alpha: float) -> float | None:
    """The highest release threshold at which a new harmful prompt loses a refusal with at most α.

    Over the draw of the rows too, and for prompts exchangeable with them. A prompt is lost where
    its score lies at or below the threshold, the untouched model refuses it and the released one
    does not. How `at_most` was found does not matter: a lower threshold loses no more.

    Args:
        at_most: what the threshold would be without the bound.
        scores: (n,) of harmful prompts that fitted no weight.
        lost: (n,) whether a prompt would be lost if it were released; of those that score above
            `at_most` nobody need know, False does.
        alpha: in (0, 1).

    Returns:
        None where n < 1/α - 1: then nothing may be released.

    Raises:
        ValueError: lengths differ, a score is not finite, or `alpha` is not between 0 and 1.

    Source: conformal risk control, arXiv:2208.02814, theorem 1, for a loss of 0 or 1.
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
