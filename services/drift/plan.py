"""What is watched of a language, and how its budget of false alarms is shared out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from services.drift.measure import Plan

FIRED, REFUSED, SCORE = "fired", "refused", "score"
"""Verdicts that steer or refuse, of those by score; answers that read as a refusal, of those
generated; scores at or below a boundary of their histogram."""
MEASURES = (FIRED, REFUSED, SCORE)
_BUDGET = {FIRED: 0.5, REFUSED: 0.12, SCORE: 0.08}
"""Less than one together: a baseline that came out badly raises more than its share."""
CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""A distribution is watched where it has so much of its scores below."""


def plans(
    shift: float = 0.05, false_alarms: float = 1.0, least_s: float = 86_400.0
) -> Mapping[str, Plan]:
    """The plan of each measure.

    Args:
        shift: that is looked for, as a share.
        false_alarms: a language and month, all measures together.
        least_s: a baseline lasts at least so long.
    """
    return MappingProxyType(
        {
            name: Plan(
                shift=shift,
                false_alarms=false_alarms * part,
                least_s=least_s,
                cuts=CUTS if name == SCORE else (),
            )
            for name, part in _BUDGET.items()
        }
    )
