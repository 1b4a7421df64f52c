"""Numbers as people read them, the same in every form of the report."""

from __future__ import annotations

from collections.abc import Sequence

from recal.evaluation.report import ALL_LANGUAGES, OTHER, Estimate, Share

NOTHING = "–"
"""Stands where there was nothing to count."""

_TIERS = {
    "low": "low-resource languages",
    "mid": "mid-resource languages",
    "high": "high-resource languages",
    OTHER: "other languages",
    ALL_LANGUAGES: "all languages",
}


def tier_name(tier: str) -> str:
    """A tier in words."""
    return _TIERS[tier]


def points(value: float) -> str:
    """A number in points, without a negative zero."""
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def signed(value: float) -> str:
    """A difference in points, with its sign."""
    text = points(value)
    return text if text.startswith("−") or text == "0.0" else f"+{text}"


def interval(estimate: Estimate) -> str:
    """A number with its interval."""
    return f"{points(estimate.value)} ({points(estimate.low)} to {points(estimate.high)})"


def share(found: Share) -> str:
    """A rate with what it is a rate of."""
    return f"{points(found.points)} (n = {found.n:,})" if found.n else NOTHING


def probability(p: float) -> str:
    """A p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def duration(seconds: float) -> str:
    """A time to wait, roughly."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
