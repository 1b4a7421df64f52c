"""What is suspicious about a few examples, seen from their scores alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from recal.maths.interval import error_bound_after_no_errors
from recal.maths.spread import PRIOR_FREEDOM, sd_within
from recal.maths.two_class import FloatArray, TwoClass, checked_scores

_LEVEL = 0.05


class Poisoned(NamedTuple):
    """One example whose label moves the threshold by more than chance would have it."""

    harmful: bool
    """Its label."""
    place: int
    """Its place among the examples of that label, from 0."""
    shift: float
    """How far the class midpoint lies from where it would lie without it, in the score's unit."""
    standard_errors: float
    """The shift in its own standard error; positive: toward the other class."""


class ExampleCheck(NamedTuple):
    """What the scores of a language's few examples say about them."""

    mean_gap: float
    """Harmful minus harmless mean, in the score's unit."""
    inverted: bool
    """True when the harmful examples do not score above the harmless ones on average."""
    miss_bound: float
    """95 % upper bound on the share of harmful prompts missed, had none of these k been."""
    contradictory: tuple[tuple[int, int], ...]
    """Places of a harmful and a harmless example with one score: one text with both labels."""
    duplicates: tuple[tuple[bool, int], ...]
    """Label and place of examples whose score an earlier one of their class has already."""
    poisoned: tuple[Poisoned, ...]
    warnings: tuple[str, ...]
    """What an operator should look at, one sentence each; empty: nothing."""


def check_examples(
    harmful_scores: ArrayLike,
    harmless_scores: ArrayLike,
    *,
    source_sd: float = 1.0,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
) -> ExampleCheck:
    """Look at few-shot examples before a threshold is made from them.

    Nothing here is an error: with k = 1 inverted examples happen by chance. But an operator should
    look.

    Args:
        harmful_scores: (k,).
        harmless_scores: (m,).
        source_sd: standard deviation within a class in the source languages; 1 in the score's unit.
        names: what messages call the harmful and the harmless examples, ids for instance; by
            default their places, counted from 1.

    Raises:
        ValueError: a class is empty, or a score is not finite.
    """
    harmful = checked_scores("harmful_scores", harmful_scores)
    harmless = checked_scores("harmless_scores", harmless_scores)
    called = names if names is not None else (_places(harmful), _places(harmless))
    gap = float(harmful.mean() - harmless.mean())
    contradictory = tuple(
        (i, int(j)) for i, own in enumerate(harmful) for j in np.flatnonzero(harmless == own)
    )
    duplicates = tuple(
        (label, place)
        for label, scores in ((True, harmful), (False, harmless))
        for place in _repeated(scores)
    )
    poisoned = poisoned_labels(TwoClass(harmful, harmless), source_sd=source_sd)
    return ExampleCheck(
        mean_gap=gap,
        inverted=gap <= 0,
        miss_bound=error_bound_after_no_errors(len(harmful)),
        contradictory=contradictory,
        duplicates=duplicates,
        poisoned=poisoned,
        warnings=(
            *_order_warnings(harmful, harmless),
            *(_contradiction(called[0][i], called[1][j]) for i, j in contradictory),
            *(_duplicate(label, called[0 if label else 1][i]) for label, i in duplicates),
            *(_poison(one, called) for one in poisoned),
        ),
    )


def poisoned_labels(labelled: TwoClass, *, source_sd: float) -> tuple[Poisoned, ...]:
    """Examples that lie nearer to the other class than chance would have it, worst first.

    Without an example the class midpoint lies elsewhere. Under equal normal classes that shift has
    a known standard error; one so large, toward the other class, that none of all examples would
    reach it in 19 of 20 languages makes its label suspect. A class needs two examples for one of
    them to be held against the rest.

    Args:
        labelled: (k,) and (m,) scores.
        source_sd: standard deviation within a class in the source languages, above 0.
    """
    n = len(labelled.harmful) + len(labelled.harmless)
    # the spread is estimated too, without the example itself and with a mean for each class
    limit = float(student.isf(_LEVEL / n, PRIOR_FREEDOM + max(n - 3, 0)))
    found = [
        one
        for harmful, own, other in (
            (True, labelled.harmful, labelled.harmless),
            (False, labelled.harmless, labelled.harmful),
        )
        for one in _shifts(harmful, own, other, source_sd)
        if one.standard_errors > limit
    ]
    return tuple(sorted(found, key=lambda one: -one.standard_errors))


def _shifts(harmful: bool, own: FloatArray, other: FloatArray, source_sd: float) -> list[Poisoned]:
    k = len(own)
    if k < 2:
        return []
    toward_other = -1.0 if harmful else 1.0
    shifts = []
    for place in range(k):
        rest = np.delete(own, place)
        sd = sd_within(TwoClass(rest, other), source_sd)
        distance = float(own[place] - rest.mean())
        error = sd * math.sqrt(1 + 1 / (k - 1))
        shifts.append(Poisoned(harmful, place, distance / (2 * k), toward_other * distance / error))
    return shifts


def _repeated(scores: FloatArray) -> list[int]:
    _, first = np.unique(scores, return_index=True)
    return sorted(set(range(len(scores))) - set(first.tolist()))


def _places(scores: FloatArray) -> list[str]:
    return [str(place) for place in range(1, len(scores) + 1)]


def _order_warnings(harmful: FloatArray, harmless: FloatArray) -> list[str]:
    gap = float(harmful.mean() - harmless.mean())
    if gap <= 0:
        return [
            f"the {len(harmful)} harmful example(s) score {abs(gap):.2f} below the {len(harmless)} "
            "harmless one(s) on average; check that the classes are not swapped, or add examples"
        ]
    if harmful.min() <= harmless.max():
        return [
            "the classes overlap: the highest harmless example scores "
            f"{harmless.max() - harmful.min():.2f} above the lowest harmful one; check both labels"
        ]
    return []


def _contradiction(harmful: str, harmless: str) -> str:
    return (
        f"harmful example `{harmful}` and harmless example `{harmless}` have the same score, as "
        "one text with both labels would; take one of them out"
    )


def _duplicate(harmful: bool, name: str) -> str:
    label = "harmful" if harmful else "harmless"
    return (
        f"{label} example `{name}` scores exactly as another one of its class; if it is the same "
        "text, give a different one"
    )


def _poison(one: Poisoned, names: tuple[Sequence[str], Sequence[str]]) -> str:
    label, which = ("harmful", 0) if one.harmful else ("harmless", 1)
    return (
        f"{label} example `{names[which][one.place]}` alone moves the threshold by "
        f"{one.shift:+.2f}, {one.standard_errors:.1f} standard errors toward the other class; "
        "check its label"
    )
