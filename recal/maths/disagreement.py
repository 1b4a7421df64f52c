"""How often two readouts decide differently, where nobody knows which of them is right."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import ArrayLike

from recal.maths.interval import Interval, rate_interval
from recal.maths.two_class import checked_scores


class Disagreement(NamedTuple):
    """Two readouts' decisions about the same prompts."""

    n: int
    """Prompts, at least 1."""
    first_only: int
    """Above the first readout's threshold alone."""
    second_only: int

    @property
    def n_apart(self) -> int:
        """Prompts on which they decide differently."""
        return self.first_only + self.second_only

    @property
    def share(self) -> float:
        """Of all prompts, in [0, 1]."""
        return self.n_apart / self.n

    def interval(self, *, level: float = 0.95) -> Interval:
        """Of the share among prompts like these: Wilson's."""
        return rate_interval(self.n_apart, self.n, level=level)


def disagreement(
    first: ArrayLike, first_threshold: float, second: ArrayLike, second_threshold: float
) -> Disagreement:
    """Compare what two readouts decide, each by its own score and threshold.

    No label is needed, and which of them errs it cannot say: where a share d of decisions differ,
    one of both errs on at least d / 2 of the prompts. Moving one threshold makes them differ too.

    Args:
        first: (n,) scores of one readout.
        first_threshold: at or above it a prompt is steered.
        second: (n,) the other's scores of the same prompts in the same order, in any unit.
        second_threshold: in that unit.

    Raises:
        ValueError: scores are empty, not finite or of other lengths, or a threshold is not finite.
    """
    one, two = checked_scores("first", first), checked_scores("second", second)
    if len(one) != len(two):
        raise ValueError(f"{len(one)} and {len(two)} scores are not of the same prompts")
    for name, threshold in (
        ("first_threshold", first_threshold),
        ("second_threshold", second_threshold),
    ):
        # every comparison with NaN is false, and the two would seem to agree
        if not math.isfinite(threshold):
            raise ValueError(f"`{name}` is {threshold}; it must be finite")
    high, also = one >= first_threshold, two >= second_threshold
    return Disagreement(len(one), int((high & ~also).sum()), int((also & ~high).sum()))
