"""Parts of knowledge about one threshold, weighed by their precision."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recal.maths.prior import OwnThreshold
from recal.maths.threshold import Part

PRIOR = "prior"
"""Name of the part that other languages contribute."""
WEAK_PRIOR = "source threshold"
"""Name of the part that stands in for it where no other language is known."""


def fuse(parts: Sequence[Part]) -> OwnThreshold:
    """The precision-weighted mean: Σ (x / sd²) / Σ (1 / sd²), with the spread 1 / √(Σ 1 / sd²).

    Raises:
        ValueError: no parts.
    """
    if not parts:
        raise ValueError("nothing is known of the threshold; give examples, prompts or a prior")
    weights = [part.sd**-2 for part in parts]
    total = sum(weights)
    mean = sum(w * part.threshold for w, part in zip(weights, parts, strict=True)) / total
    return OwnThreshold(mean, math.sqrt(1 / total))


def limited(part: Part, reference: Part, *, at: float) -> Part:
    """A part that may not lie more than `at` standard deviations from the reference.

    What disagrees more than chance would have it is less certain than it says: its spread grows
    until the difference is `at` standard deviations of the difference.

    Source: Efron and Morris 1972, JASA 67, limited translation; there the estimate is cut, here
    its variance grows.
    """
    needed = ((part.threshold - reference.threshold) / at) ** 2 - reference.sd**2
    return part._replace(sd=math.sqrt(max(part.sd**2, needed)))


def own_threshold(parts: Sequence[Part]) -> OwnThreshold | None:
    """What the parts say without other languages; None where nothing else is among them."""
    own = [part for part in parts if part.name not in (PRIOR, WEAK_PRIOR)]
    return fuse(own) if own else None
