"""Where each arm's points go: from 100 down to Δ."""

from __future__ import annotations

from recal.evaluation.pictures.ink import FAINT, SERIES, Picture, canvas, drawn, legend
from recal.evaluation.report import EvaluationReport, Losses
from recal.evaluation.wording import points, tier_name

_ROW = 22
_PARTS = (
    ("Δ", SERIES[1], ""),
    ("gate: readout", SERIES[2], "////"),
    ("gate: threshold", SERIES[5], "\\\\\\\\"),
    ("gate", SERIES[5], ""),
    ("actuation", SERIES[4], ".."),
    ("judge", SERIES[0], "xx"),
)


def losses(report: EvaluationReport, tier: str) -> Picture:
    """A bar for each arm; a loss below 0 takes no room and stands in the table."""
    found = [each for each in report.losses if each.tier == tier]
    with canvas(92 + _ROW * len(found), left=172, top=54) as axes:
        left = [max(0.0, each.split.delta) for each in found]
        rows = range(len(found))
        for index, (name, colour, hatch) in enumerate(_PARTS):
            widths = [_widths(each)[index] for each in found]
            start = [0.0] * len(found) if index == 0 else list(left)
            if not any(widths):
                continue
            axes.barh(
                rows,
                widths,
                left=start,
                height=0.66,
                color=colour,
                hatch=hatch,
                edgecolor=FAINT,
                linewidth=0.5,
                label=name,
            )
            if index:
                left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(rows, [report.arm(each.arm).title for each in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xlim(0, 103)
        axes.set_xlabel("points of Δ")
        axes.grid(False, axis="y")
        legend(axes, columns=2)
        said = "; ".join(
            f"{report.arm(each.arm).title}: Δ {points(each.split.delta)}, gate "
            f"{points(each.split.gate_loss)}, actuation {points(each.split.actuation_loss)}, judge "
            f"{points(each.split.judge_loss)}"
            for each in found
        )
        return drawn(
            axes,
            name=f"losses-{tier}",
            alt=f"Losses in the {tier_name(tier)}, in points. {said}.",
            caption=(
                f"{tier_name(tier).capitalize()}: a perfect gate, model and judge would reach 100."
            ),
        )


def _widths(each: Losses) -> tuple[float, ...]:
    split = each.split
    whole = max(0.0, split.gate_loss)
    known = each.readout_loss is not None
    readout = min(whole, max(0.0, each.readout_loss or 0.0))
    return (
        max(0.0, split.delta),
        readout if known else 0.0,
        whole - readout if known else 0.0,
        0.0 if known else whole,
        max(0.0, split.actuation_loss),
        max(0.0, split.judge_loss),
    )
