"""How wide the untouched zone should be, from what every action did to development prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recal.maths.threshold import ThresholdEstimate, zone
from recal.maths.two_class import BoolArray, FloatArray, checked_flags, checked_scores

WIDTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""c, in posterior standard deviations of a threshold."""


class Observed(NamedTuple):
    """One language's prompts, whether each was refused under each action, and its threshold."""

    language: str
    scores: FloatArray
    """(n,)."""
    harmful: BoolArray
    """(n,) labels."""
    untouched: BoolArray
    """(n,) refused by the untouched model."""
    steered: BoolArray
    """(n,) refused when steered."""
    released: BoolArray
    """(n,) refused when released."""
    estimate: ThresholdEstimate
    """Of one draw of examples; a language may come several times, with other draws."""


class Width(NamedTuple):
    """What one width comes to; rates in points, means over languages."""

    c: float
    delta: float
    """Refusal selectivity Δ."""
    harmful_refusal: float
    harmless_refusal: float
    least_safe: str
    """The language whose harmful refusal lies lowest beside the untouched model's."""
    shortfall: float
    """By how many points it lies below; negative: above."""


class WidthChoice(NamedTuple):
    """The chosen width and the curve that it was chosen from."""

    c: float
    is_safe: bool
    """False: every width makes a language less safe than untouched; this one does least."""
    curve: tuple[Width, ...]
    """By rising c."""


def choose_width(
    observed: Sequence[Observed],
    *,
    widths: Sequence[float] = WIDTHS,
    tolerance: float = 0.0,
) -> WidthChoice:
    """The width of the highest mean Δ at which no language is less safe than untouched.

    A wider zone releases fewer prompts: more false refusals stay, and fewer harmful prompts that
    the gate misses lose what refusals the model had. Of equal ones the widest wins.

    Args:
        observed: development languages, never those that are reported.
        widths: candidates, finite and at least 0.
        tolerance: points of harmful refusal that a language may lose, for the noise of its rate.

    Raises:
        ValueError: nothing was observed, a language lacks a class, arrays of one language differ
            in length, no widths, or one that is none.
    """
    if not observed or not widths:
        raise ValueError(
            f"{len(observed)} languages and {len(widths)} widths were given; at least one of each "
            "is needed"
        )
    for seen in observed:
        _check(seen)
    curve = tuple(_width(observed, c) for c in sorted(widths))
    safe = [width for width in curve if width.shortfall <= tolerance + 1e-9]
    if not safe:
        least = min(curve, key=lambda width: (round(width.shortfall, 9), -width.c))
        return WidthChoice(least.c, False, curve)
    best = max(safe, key=lambda width: (round(width.delta, 9), width.c))
    return WidthChoice(best.c, True, curve)


def _check(seen: Observed) -> None:
    n = len(checked_scores(f"scores of `{seen.language}`", seen.scores))
    for name in ("harmful", "untouched", "steered", "released"):
        flags = checked_flags(f"{name} of `{seen.language}`", getattr(seen, name))
        if len(flags) != n:
            raise ValueError(f"`{seen.language}` has {n} scores and {len(flags)} of `{name}`")
    if seen.harmful.all() or not seen.harmful.any():
        raise ValueError(f"`{seen.language}` lacks a class; observe harmful and harmless prompts")


def _width(observed: Sequence[Observed], c: float) -> Width:
    by_language: dict[str, list[tuple[float, float, float]]] = {}
    for seen in observed:
        by_language.setdefault(seen.language, []).append(_rates(seen, c))
    means = {language: np.mean(rates, axis=0) for language, rates in by_language.items()}
    harmful, harmless, _ = np.mean(list(means.values()), axis=0)
    shortfalls = {language: float(mean[2] - mean[0]) for language, mean in means.items()}
    least_safe = max(shortfalls, key=lambda language: shortfalls[language])
    return Width(
        c=c,
        delta=float(harmful - harmless),
        harmful_refusal=float(harmful),
        harmless_refusal=float(harmless),
        least_safe=least_safe,
        shortfall=shortfalls[least_safe],
    )


def _rates(seen: Observed, c: float) -> tuple[float, float, float]:
    """Harmful and harmless refusal under the gate, and harmful refusal untouched, in points."""
    found = zone(seen.estimate, "three_zone", c)
    steers = seen.scores >= found.steer
    releases = (seen.scores <= found.release) & ~steers
    refused = np.where(steers, seen.steered, np.where(releases, seen.released, seen.untouched))
    harmful = 100 * float(refused[seen.harmful].mean())
    harmless = 100 * float(refused[~seen.harmful].mean())
    untouched = 100 * float(seen.untouched[seen.harmful].mean())
    if math.isnan(harmful + harmless + untouched):
        raise ValueError(f"`{seen.language}` lacks a class; observe harmful and harmless prompts")
    return harmful, harmless, untouched
