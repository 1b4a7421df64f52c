"""The console's pictures: shares in their bands, scores and thresholds, version by version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from recal.console.figures import FleetFigures, LanguageFigures, VersionFigures
from recal.evaluation.pictures.ink import (
    FAINT,
    HARMFUL,
    HARMLESS,
    INK,
    MARKERS,
    SERIES,
    Picture,
    canvas,
    drawn,
    legend,
)
from services.drift.counts import BOUNDARIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 19
_NOW, _BASELINE = SERIES[1], SERIES[0]


def shares(fleet: FleetFigures) -> Picture | None:
    """Each language's steered share, its baseline and the band around it; None without verdicts."""
    shown = [each for each in fleet.languages if each.champion and each.champion.steered.n]
    if not shown:
        return None
    with canvas(78 + _ROW * len(shown), left=40, top=40) as axes:
        for row, each in enumerate(reversed(shown)):
            _share(axes, row, each)
        _key(axes)
        axes.set_yticks(range(len(shown)), [each.language for each in reversed(shown)])
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.set_xlabel("prompts steered, %")
        axes.set_xlim(left=0)
        axes.grid(False, axis="y")
        said = [f"{each.language} {_percent(_now(each))}" for each in shown]
        drifting = [each.language for each in shown if each.alarms]
        return drawn(
            axes,
            name="shares",
            alt=f"Share of prompts steered by language: {', '.join(said)}. "
            + (f"Drifting: {', '.join(drifting)}." if drifting else "None drifts."),
            caption="Now: of the last 2,000 prompts; where nobody watches, of all, with 95 % "
            "intervals. "
            "Band: what a shift of the size that is looked for must leave.",
        )


def _now(each: LanguageFigures) -> float | None:
    champion = each.champion
    if champion is None:
        return None
    if champion.drift and champion.drift.observed is not None:
        return champion.drift.observed
    return champion.steered.rate


def _share(axes: Axes, row: int, each: LanguageFigures) -> None:
    champion = each.champion
    assert champion is not None
    drift = champion.drift
    if drift and drift.low is not None and drift.high is not None and drift.baseline is not None:
        axes.barh(
            row, 100 * (drift.high - drift.low), left=100 * drift.low, height=0.62, color=FAINT
        )
        axes.plot([100 * drift.baseline] * 2, [row - 0.31, row + 0.31], color=_BASELINE, lw=2)
    colour = HARMFUL if each.alarms else _NOW
    now, interval = _now(each), champion.steered.interval
    if interval and (drift is None or drift.observed is None):
        axes.plot([100 * v for v in interval], [row, row], color=colour, lw=1.2)
    if now is not None:
        axes.plot(100 * now, row, marker="D" if each.alarms else "o", color=colour, markersize=6)


def _key(axes: Axes) -> None:
    axes.plot([], [], "o", color=_NOW, label="now")
    axes.plot([], [], "D", color=HARMFUL, label="now, drifting")
    axes.plot([], [], color=_BASELINE, lw=2, label="baseline")
    axes.fill_between([], [], color=FAINT, label="band")
    legend(axes, columns=4)


def histogram(language: LanguageFigures, of: VersionFigures) -> Picture | None:
    """Scores of one version between boundaries, and the threshold; None without scores."""
    total = float(of.scores.sum())
    if not total:
        return None
    edges = np.array([BOUNDARIES[0] - 0.5, *BOUNDARIES, BOUNDARIES[-1] + 0.5])
    shares_of = 100 * of.scores / total
    with canvas(170, left=40, top=22) as axes:
        above = edges[:-1] >= (language.threshold if language.threshold is not None else np.inf)
        axes.bar(
            edges[:-1],
            shares_of,
            np.diff(edges),
            align="edge",
            color=[HARMFUL if steered else HARMLESS for steered in above],
            alpha=0.7,
        )
        said = "no threshold is known"
        if language.threshold is not None:
            axes.axvline(language.threshold, color=INK, lw=1.4)
            axes.annotate(
                f"threshold {language.threshold:.2f}",
                (language.threshold, 1.02),
                xycoords=("data", "axes fraction"),
                ha="center",
            )
            said = f"the threshold is {language.threshold:.2f}"
        axes.set_xlabel("score")
        axes.set_ylabel("% of scores")
        axes.grid(False, axis="x")
        low, high = np.flatnonzero(shares_of > 0)[[0, -1]]
        axes.set_xlim(edges[max(0, low - 1)], edges[min(len(edges) - 1, high + 2)])
        middle = edges[int(np.searchsorted(np.cumsum(shares_of), 50))]
        return drawn(
            axes,
            name=f"scores-{of.version}",
            alt=f"Histogram of {total:,.0f} scores of {of.version}: half lie below about "
            f"{middle:.1f}; {said}.",
            caption=f"{of.version}: {total:,.0f} scores. Red: at or above the threshold.",
        )


def versions(language: LanguageFigures) -> Picture | None:
    """Steered and refused shares, version by version; None where only one has verdicts."""
    shown = [each for each in language.versions if each.steered.n]
    if len(shown) < 2:
        return None
    with canvas(70 + 34 * len(shown), left=72, top=24) as axes:
        _pairs(axes, shown)
        legend(axes)
        axes.set_yticks(range(len(shown)), [each.version for each in reversed(shown)])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlabel("%, with 95 % intervals")
        axes.set_xlim(left=0)
        axes.grid(False, axis="y")
        said = [f"{each.version} steers {_percent(each.steered.rate)}" for each in shown]
        return drawn(
            axes,
            name=f"versions-{language.language}",
            alt=f"Version by version: {', '.join(said)}.",
            caption="Where intervals lie apart, the versions decide differently.",
        )


def _pairs(axes: Axes, shown: Sequence[VersionFigures]) -> None:
    kinds = (("steered", SERIES[1], 0.14, MARKERS[0]), ("refused", SERIES[2], -0.14, MARKERS[1]))
    for kind, colour, offset, marker in kinds:
        label = f"{kind} in text" if kind == "refused" else kind
        for row, each in enumerate(reversed(shown)):
            share = getattr(each, kind)
            if share.rate is None:
                continue
            axes.plot([100 * v for v in share.interval], [row + offset] * 2, color=colour, lw=1.4)
            axes.plot(
                100 * share.rate, row + offset, marker, color=colour, markersize=6, label=label
            )
            label = "_" + label


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"
