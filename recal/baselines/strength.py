"""How strong a baseline's push is: chosen on the validation prompts of our own search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recal.prompts import Prompt, select
from recal.trials import Case, TrialRun, with_neighbours
from services.generation.treatment import Treatment

_MAX_DEGENERATE = 0.02


class TriedStrength(NamedTuple):
    """One strength, and what it did to prompts that all got it."""

    strength: float
    efficacy: float
    """Mean of both classes' shares of refusals."""
    degenerate: float
    """Larger share of degenerate texts of the two classes."""


class Strength(NamedTuple):
    """The chosen strength and what it was chosen from."""

    chosen: float
    tried: tuple[TriedStrength, ...]
    efficacy: float
    """Of the chosen one, in [0, 1]; 0 where every strength degenerates."""


def choose_strength(
    strengths: Sequence[float],
    treatments: Sequence[Treatment],
    validation: Sequence[Prompt],
    *,
    run: TrialRun,
) -> Strength:
    """The strength at which most steered prompts refuse in proper text.

    Where all degenerate too often, the one that does so least: a baseline is reported, not refused.

    Args:
        strengths: to choose from, rising.
        treatments: of each, at its full strength.
        validation: labelled prompts of both classes.
        run: answers and judges.

    Raises:
        ValueError: validation prompts lack a class, or there is not one treatment a strength.
    """
    classes = [select(validation, harmful=label) for label in (True, False)]
    if not all(classes):
        raise ValueError("validation prompts of both classes are needed to choose a strength")
    outcomes = run.outcomes([Case(each, some) for each in treatments for some in classes])
    tried = [
        TriedStrength(
            strength, (one.refused + other.refused) / 2, max(one.degenerate, other.degenerate)
        )
        for strength, one, other in zip(strengths, outcomes[::2], outcomes[1::2], strict=True)
    ]
    sound = [each.degenerate <= _MAX_DEGENERATE for each in tried]
    if not any(sound):
        least = min(tried, key=lambda each: each.degenerate)
        return Strength(least.strength, tuple(tried), efficacy=0.0)
    works = [each.efficacy if good else 0.0 for each, good in zip(tried, sound, strict=True)]
    # a baseline is shown at its best; the middle of a window decides among equals alone
    smooth = with_neighbours(works)
    best = max(
        (i for i, good in enumerate(sound) if good),
        key=lambda i: (round(works[i], 3), round(smooth[i], 3), -i),
    )
    return Strength(tried[best].strength, tuple(tried), efficacy=works[best])
