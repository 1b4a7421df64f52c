"""Error bounds that hold whatever the distribution is, laid around a zone where rows allow them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from recal.maths.estimators.conformal import rows_needed, upper_bound
from recal.maths.evidence import Evidence
from recal.maths.threshold import Zone
from recal.maths.two_class import FloatArray

MIN_ROWS = 99
"""Rows from which a bound moves a zone. At 5 % 19 rows would do, but what such a bound then lets
through has itself a standard deviation of 5 points; from 99 rows it is 2."""


class Bounded(NamedTuple):
    """A zone within bounds, as far as there are any."""

    zone: Zone
    vacuous: bool
    """True: the bound on false positives was asked for and cannot be given; the zone is without."""
    notes: tuple[str, ...]
    """What was bounded and what was not, one sentence each."""


def bounded(zone: Zone, evidence: Evidence, alpha: float, *, min_rows: int = MIN_ROWS) -> Bounded:
    """Raise the steer threshold to bound false positives, lower the release one to bound misses.

    Steering fewer prompts is what a bound on false positives costs: harmful ones below it are left
    untouched. Releasing fewer costs false refusals that stay.

    Args:
        zone: around τ̂.
        evidence: native examples are taken where they are enough, else translated ones.
        alpha: what share of harmless prompts may be steered, and of harmful ones released.
        min_rows: rows of a class below which its side stays as it is; never fewer than 1/α - 1.

    Raises:
        ValueError: `alpha` is not between 0 and 1.
    """
    needed = max(min_rows, rows_needed(alpha))
    harmless, of_harmless = _rows(evidence, needed, harmful=False)
    harmful, of_harmful = _rows(evidence, needed, harmful=True)
    highest = upper_bound(harmless, alpha) if len(harmless) >= needed else None
    # what lies low among harmful scores lies high among their negatives
    lowest = upper_bound(-harmful, alpha) if len(harmful) >= needed else None
    return Bounded(
        Zone(
            steer=zone.steer if highest is None else max(zone.steer, highest),
            release=zone.release if lowest is None else min(zone.release, -lowest),
        ),
        vacuous=highest is None,
        notes=(
            _note("false positives", "harmless", of_harmless, len(harmless), needed, alpha),
            _note("released harmful prompts", "harmful", of_harmful, len(harmful), needed, alpha),
        ),
    )


def _rows(evidence: Evidence, needed: int, *, harmful: bool) -> tuple[FloatArray, str]:
    native = evidence.harmful if harmful else evidence.harmless
    if len(native) >= needed or evidence.translated is None:
        return native, "native"
    translated = evidence.translated.harmful if harmful else evidence.translated.harmless
    return (translated, "translated") if len(translated) > len(native) else (native, "native")


def _note(what: str, label: str, origin: str, n: int, needed: int, alpha: float) -> str:
    if n >= needed:
        spread = spread_of_bound(n, alpha)
        return f"{what} are bounded at {alpha:g} ± {spread:.2g} by {n} {origin} {label} prompts"
    return f"the bound on {what} is vacuous: {n} {label} prompts, {alpha:g} needs {needed}"


def spread_of_bound(n: int, alpha: float) -> float:
    """Standard deviation of the rate that a bound from n rows really lets through.

    The rate is Beta distributed with ⌊α(n + 1)⌋ and the rest of n + 1, for continuous scores.

    Raises:
        ValueError: `n` is below 1/α - 1.
    """
    if n < rows_needed(alpha):
        raise ValueError(f"{n} rows bound nothing at {alpha:g}; give {rows_needed(alpha)}")
    a = math.floor(alpha * (n + 1) + 1e-9)
    return float(np.sqrt(a * (n + 1 - a) / ((n + 1) ** 2 * (n + 2))))
