"""Activations on their two principal axes, by class and by language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recal.evaluation.exhibits import Exhibits
from recal.evaluation.pictures.ink import (
    FAINT,
    HARMFUL,
    HARMLESS,
    MARKERS,
    SERIES,
    Picture,
    canvas,
    drawn,
    legend,
)
from recal.evaluation.report import EvaluationReport
from recal.evaluation.wording import points, tier_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 310
_COLUMNS = 5


def by_class(exhibits: Exhibits) -> Picture:
    """Every prompt, coloured by its label."""
    with canvas(_HEIGHT, top=26) as axes:
        for harmful, colour, marker, name in (
            (False, HARMLESS, "s", "harmless"),
            (True, HARMFUL, "o", "harmful"),
        ):
            rows = exhibits.components.coordinates[exhibits.harmful == harmful]
            _cloud(axes, rows, colour, marker, name)
        _label(axes, exhibits)
        return drawn(
            axes,
            name="scatter-class",
            alt=(
                f"{exhibits.n_prompts} prompts' residuals at block {exhibits.layer} on two "
                f"principal axes, by class.{_between(exhibits)}"
            ),
            caption=(
                f"By class: residuals at block {exhibits.layer}, all languages together; "
                f"{len(exhibits.languages)} of {exhibits.n_prompts} prompts are drawn."
            ),
        )


def by_language(report: EvaluationReport, exhibits: Exhibits, tier: str) -> Picture:
    """The prompts of one tier, a colour and mark for each language; the others faint."""
    languages = [r.language for r in report.readouts if r.tier == tier]
    tags = np.array(exhibits.languages)
    rows = exhibits.components.coordinates
    n_rows = (len(languages) + _COLUMNS - 1) // _COLUMNS
    with canvas(_HEIGHT + 16 * n_rows, top=10 + 16 * n_rows) as axes:
        others = rows[~np.isin(tags, languages)]
        axes.plot(*others.T, "o", color=FAINT, markersize=2, markeredgewidth=0)
        for index, language in enumerate(languages):
            _cloud(
                axes,
                rows[tags == language],
                SERIES[index % len(SERIES)],
                MARKERS[index % len(MARKERS)] if index < len(SERIES) else "1",
                language,
            )
        _label(axes, exhibits, columns=_COLUMNS)
        return drawn(
            axes,
            name=f"scatter-{tier}",
            alt=(
                f"The same residuals, those of the {tier_name(tier)} by language: "
                f"{', '.join(languages)}."
            ),
            caption=f"By language: {tier_name(tier)}. Faint: all other languages.",
        )


def _cloud(axes: Axes, rows: np.ndarray, colour: str, marker: str, name: str) -> None:
    axes.plot(
        rows[:, 0],
        rows[:, 1],
        marker,
        color=colour,
        markersize=3,
        markeredgewidth=0,
        alpha=0.5,
        label=name,
    )


def _label(axes: Axes, exhibits: Exhibits, *, columns: int = 2) -> None:
    first, second = (points(100 * share) for share in exhibits.components.shares)
    axes.set_xlabel(f"first axis ({first} % of the variance)")
    axes.set_ylabel(f"second axis ({second} %)")
    legend(axes, columns=columns)


def _between(exhibits: Exhibits) -> str:
    """How far apart the class means lie, against the spread, on each axis."""
    rows, harmful = exhibits.components.coordinates, exhibits.harmful
    gap = np.abs(rows[harmful].mean(axis=0) - rows[~harmful].mean(axis=0)) / rows.std(axis=0)
    return (
        f" The class means lie {gap[0]:.1f} standard deviations apart on the first axis and "
        f"{gap[1]:.1f} on the second."
    )
