"""What more examples bring: Δ and the gate's J over k."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from recal.evaluation.catalogue import BEST, ORACLE, UNTOUCHED
from recal.evaluation.pictures.ink import Look, Picture, canvas, drawn, legend, looks
from recal.evaluation.report import ArmReport, EvaluationReport
from recal.evaluation.wording import points, tier_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 250
_LEGEND_ROW = 16


def has_curves(report: EvaluationReport) -> bool:
    """Whether some method was run at more than one k."""
    return any(len(arms) > 1 for arms in _few_shot(report).values())


def delta_curve(report: EvaluationReport, tier: str) -> Picture:
    """Δ of the answers over k, with its interval; methods without examples are level lines."""
    drawing = looks(list(dict.fromkeys(arm.method for arm in report.arms)))
    level = [arm for arm in report.arms if arm.key in (UNTOUCHED, BEST, ORACLE)]
    curves = _few_shot(report)
    with _axes(len(curves) + len(level)) as axes:
        for method, arms in curves.items():
            found = [arm.tier(tier).delta for arm in arms]
            ks, look = [arm.k for arm in arms], drawing[method]
            _line(axes, ks, [each.value for each in found], look, _name(arms[0]))
            axes.fill_between(
                ks,
                [each.low for each in found],
                [each.high for each in found],
                color=look.colour,
                alpha=0.1,
                linewidth=0,
            )
        for index, arm in enumerate(level):
            dashes = (0, (1 + 2 * index, 2))
            axes.axhline(
                arm.tier(tier).delta.value,
                color=drawing[arm.method].colour,
                linestyle=dashes,
                linewidth=1.4,
                label=arm.title,
            )
        axes.set_ylabel("Δ, points")
        legend(axes)
        return drawn(
            axes,
            name=f"delta-curve-{tier}",
            alt=f"Δ over k in the {tier_name(tier)}. {_said(curves, tier)}",
            caption=(
                f"{tier_name(tier).capitalize()}: Δ of the answers. Shaded: 95 % intervals of "
                "each; they share languages and prompts, so differences are surer (Comparisons)."
            ),
        )


def gate_curve(report: EvaluationReport, tier: str) -> Picture:
    """The gate's mean J over k (thick), and its 5th percentile of the draws (thin)."""
    drawing = looks(list(dict.fromkeys(arm.method for arm in report.arms)))
    curves = _few_shot(report)
    with _axes(2 * len(curves)) as axes:
        for method, arms in curves.items():
            ks, look = [arm.k for arm in arms], drawing[method]
            j = [arm.tier(tier).j for arm in arms]
            _line(axes, ks, [each.mean for each in j], look, f"{_name(arms[0])}, mean")
            axes.plot(
                ks,
                [each.p5 for each in j],
                color=look.colour,
                linestyle=look.line,
                marker=look.marker,
                markersize=3.5,
                linewidth=0.9,
                label=f"{_name(arms[0])}, 5th percentile",
            )
        axes.set_ylabel("J × 100")
        legend(axes)
        said = "; ".join(
            f"{arm.title}: mean {points(arm.tier(tier).j.mean)}, 5th percentile "
            f"{points(arm.tier(tier).j.p5)}"
            for arms in curves.values()
            for arm in arms
        )
        return drawn(
            axes,
            name=f"gate-curve-{tier}",
            alt=f"Youden's J of the gate over k in the {tier_name(tier)}. {said}.",
            caption=(
                f"{tier_name(tier).capitalize()}: J over {report.plan.gate_draws} draws. Thick: "
                "mean. Thin: 5th percentile, what one operator in twenty gets, or less."
            ),
        )


def _few_shot(report: EvaluationReport) -> dict[str, list[ArmReport]]:
    found: dict[str, list[ArmReport]] = {}
    for arm in report.arms:
        if arm.k:
            found.setdefault(arm.method, []).append(arm)
    return found


def _axes(n_names: int) -> AbstractContextManager[Axes]:
    room = 8 + _LEGEND_ROW * ((n_names + 1) // 2)
    return canvas(_HEIGHT + room, top=room)


def _line(axes: Axes, ks: Sequence[int], values: Sequence[float], look: Look, name: str) -> None:
    axes.plot(
        ks,
        values,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markersize=6,
        linewidth=2,
        label=name,
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    axes.set_xlabel("k: examples per class")


def _name(arm: ArmReport) -> str:
    return arm.title.rsplit(", k = ", 1)[0]


def _said(curves: dict[str, list[ArmReport]], tier: str) -> str:
    lines = []
    for arms in curves.values():
        values = ", ".join(f"{points(a.tier(tier).delta.value)} at k = {a.k}" for a in arms)
        lines.append(f"{_name(arms[0])}: {values}.")
    return " ".join(lines)
