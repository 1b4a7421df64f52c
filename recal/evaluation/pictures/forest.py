"""Δ of every arm in one tier, with its interval."""

from __future__ import annotations

from recal.evaluation.pictures.ink import PAPER, Picture, canvas, drawn, looks
from recal.evaluation.report import EvaluationReport
from recal.evaluation.wording import interval, points, tier_name

_ROW = 22


def forest(report: EvaluationReport, tier: str) -> Picture:
    """One row for each arm: a point and its interval; hollow for a bound that knows the labels."""
    drawing = looks(list(dict.fromkeys(arm.method for arm in report.arms)))
    with canvas(46 + _ROW * len(report.arms), left=172) as axes:
        for row, arm in enumerate(report.arms):
            delta, look = arm.tier(tier).delta, drawing[arm.method]
            axes.plot([delta.low, delta.high], [row, row], color=look.colour, linewidth=1.8)
            axes.plot(
                [delta.value],
                [row],
                look.marker,
                color=look.colour,
                markerfacecolor=PAPER if arm.sees_labels else look.colour,
                markersize=7,
            )
        axes.set_yticks(range(len(report.arms)), [arm.title for arm in report.arms])
        axes.set_ylim(len(report.arms) - 0.4, -0.6)
        lowest = min(arm.tier(tier).delta.low for arm in report.arms)
        axes.set_xlim(min(-2.0, lowest - 2.0), 102)
        axes.set_xlabel("Δ, points")
        axes.grid(False, axis="y")
        said = "; ".join(f"{arm.title} {points(arm.tier(tier).delta.value)}" for arm in report.arms)
        best = max(
            (arm for arm in report.arms if not arm.sees_labels),
            key=lambda arm: arm.tier(tier).delta.value,
        )
        return drawn(
            axes,
            name=f"forest-{tier}",
            alt=f"Δ in the {tier_name(tier)} by arm, in points: {said}.",
            caption=(
                f"{tier_name(tier).capitalize()}. Of what can be deployed {best.title} reaches "
                f"most: {interval(best.tier(tier).delta)}. Hollow marks know the labels."
            ),
        )
