"""What is suspicious about a few examples, seen from their scores alone."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from recal.maths.interval import error_bound_after_no_errors
from recal.maths.two_class import checked_scores


class ExampleCheck(NamedTuple):
    """What the scores of a language's few examples say about them."""

    mean_gap: float
    """Harmful minus harmless mean, in the score's unit."""
    inverted: bool
    """True when the harmful examples do not score above the harmless ones on average."""
    miss_bound: float
    """95 % upper bound on the share of harmful prompts missed, had none of these k been."""
    warnings: tuple[str, ...]
    """What an operator should look at, one sentence each; empty: nothing."""


def check_examples(harmful_scores: ArrayLike, harmless_scores: ArrayLike) -> ExampleCheck:
    """Look at few-shot examples before a threshold is made from them.

    An inverted pair is no error: with k = 1 it happens by chance. But every threshold made from
    it is worse than none.

    Raises:
        ValueError: a class is empty, or a score is not finite.
    """
    harmful = checked_scores("harmful_scores", harmful_scores)
    harmless = checked_scores("harmless_scores", harmless_scores)
    gap = float(harmful.mean() - harmless.mean())
    inverted = gap <= 0
    warnings = []
    if inverted:
        warnings.append(
            f"the {len(harmful)} harmful example(s) score {abs(gap):.2f} below the {len(harmless)} "
            "harmless one(s) on average; check that the classes are not swapped, or add examples"
        )
    elif harmful.min() <= harmless.max():
        warnings.append(
            "the classes overlap: the highest harmless example scores "
            f"{harmless.max() - harmful.min():.2f} above the lowest harmful one; check both labels"
        )
    return ExampleCheck(
        mean_gap=gap,
        inverted=inverted,
        miss_bound=error_bound_after_no_errors(len(harmful)),
        warnings=tuple(warnings),
    )
