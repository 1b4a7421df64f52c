"""One language's scores by class, with the thresholds that methods set on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recal.evaluation.exhibits import Exhibits
from recal.evaluation.pictures.ink import (
    HARMFUL,
    HARMLESS,
    INK,
    Look,
    Picture,
    canvas,
    drawn,
    looks,
)
from recal.evaluation.report import ArmReport, EvaluationReport, ReadoutResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 30
_WIDTH, _HEIGHT = 270, 140


def shown_thresholds(report: EvaluationReport) -> tuple[ArmReport, ...]:
    """The arms whose thresholds are drawn: each method at the reference's k, else its largest."""
    k = report.arm(report.reference).k
    found: dict[str, ArmReport] = {}
    for arm in report.arms:
        sets_thresholds = any(result.gate.steer_thresholds for result in arm.results)
        if sets_thresholds and (arm.method not in found or found[arm.method].k != k):
            found[arm.method] = arm
    return tuple(found.values())


def histogram(report: EvaluationReport, exhibits: Exhibits, of: ReadoutResult) -> Picture:
    """Harmful scores filled, harmless ones outlined; each threshold's mean and its middle 90 %."""
    scores = exhibits.scores[of.language]
    edges = _edges(exhibits)
    drawing = looks(list(dict.fromkeys(arm.method for arm in report.arms)))
    with canvas(_HEIGHT, width=_WIDTH, left=26) as axes:
        axes.hist(scores.harmless, edges, color=HARMLESS, histtype="step", linewidth=1.6)
        axes.hist(scores.harmful, edges, color=HARMFUL, alpha=0.55)
        axes.axvline(exhibits.source_threshold, color=INK, linestyle=":", linewidth=1)
        said = [f"source threshold {exhibits.source_threshold:.2f}"]
        for arm in shown_thresholds(report):
            thresholds = np.array(arm.of(of.language).gate.steer_thresholds)
            if not len(thresholds):
                continue  # this language's are of a score of its own
            _threshold(axes, thresholds, drawing[arm.method])
            said.append(f"{arm.title} {thresholds.mean():.2f}")
        axes.set_xlabel("score")
        axes.set_xlim(edges[0], edges[-1])
        axes.locator_params(axis="y", integer=True, nbins=3)
        axes.grid(False)
        return drawn(
            axes,
            name=f"histogram-{of.language}",
            alt=(
                f"Scores of `{of.language}`: {of.n_harmful} harmful with mean "
                f"{scores.harmful.mean():.2f}, {of.n_harmless} harmless with mean "
                f"{scores.harmless.mean():.2f}. Thresholds: {', '.join(said)}."
            ),
            caption=f"{of.language} ({of.tier}), AUC {of.auc:.3f}",
        )


def _edges(exhibits: Exhibits) -> list[float]:
    """The same for every language, so that a shift shows."""
    scores = np.concatenate([each for pair in exhibits.scores.values() for each in pair])
    return list(np.linspace(scores.min() - 0.1, scores.max() + 0.1, _BINS + 1))


def _threshold(axes: Axes, thresholds: np.ndarray, look: Look) -> None:
    if len(thresholds) > 1:
        low, high = np.quantile(thresholds, [0.05, 0.95])
        axes.axvspan(low, high, color=look.colour, alpha=0.16, linewidth=0)
    axes.axvline(thresholds.mean(), color=look.colour, linestyle=look.line, linewidth=1.8)
