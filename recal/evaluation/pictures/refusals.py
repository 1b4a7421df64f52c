"""Harmful and harmless refusal of every language, untouched and under one arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recal.evaluation.pictures.ink import (
    HARMFUL,
    HARMLESS,
    INK,
    PAPER,
    Picture,
    canvas,
    drawn,
    legend,
)
from recal.evaluation.report import ArmReport, EvaluationReport
from recal.evaluation.tables import low_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 20
_GAP = 0.2


def refusals(report: EvaluationReport, arm: ArmReport) -> Picture:
    """Two rows a language: untouched above (hollow), the arm below (filled)."""
    languages = [r.language for r in low_first(report)]
    with canvas(52 + _ROW * len(languages), left=34, top=20) as axes:
        _rows(axes, report.untouched, languages, offset=-_GAP, hollow=True)
        _rows(axes, arm, languages, offset=_GAP, hollow=False)
        axes.set_yticks(range(len(languages)), languages)
        axes.set_ylim(len(languages) - 0.4, -0.6)
        axes.set_xlim(-3, 103)
        axes.set_xlabel("refused, %")
        axes.grid(False, axis="y")
        legend(axes)
        rose = sum(
            arm.of(la).harmful.value > report.untouched.of(la).harmful.value for la in languages
        )
        return drawn(
            axes,
            name=f"refusals-{arm.key}",
            alt=(
                f"Refusal by language, untouched and under {arm.title}. Harmful refusal is higher "
                f"than untouched in {rose} of {len(languages)} languages."
            ),
            caption=(
                f"Hollow: untouched. Filled: {arm.title}. The line between the two classes is Δ: "
                "the longer, the better."
            ),
        )


def _rows(axes: Axes, arm: ArmReport, languages: list[str], *, offset: float, hollow: bool) -> None:
    rows = [row + offset for row in range(len(languages))]
    harmful = [arm.of(language).harmful.value for language in languages]
    harmless = [arm.of(language).harmless.value for language in languages]
    for row, left, right in zip(rows, harmless, harmful, strict=True):
        axes.plot([left, right], [row, row], color=INK, linewidth=0.8, alpha=0.5)
    for values, colour, marker, what in (
        (harmful, HARMFUL, "o", "harmful"),
        (harmless, HARMLESS, "s", "harmless"),
    ):
        axes.plot(
            values,
            rows,
            marker,
            color=colour,
            markerfacecolor=PAPER if hollow else colour,
            markersize=5,
            label="" if hollow else what,
        )
