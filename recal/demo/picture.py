"""The demo's one picture: refusal and Δ per language, before, by the paper's rule, by Recal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from recal.demo.results import METHODS, DemoResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"untouched": "#9aa0a6", "paper": "#e8a33d", "recal": "#1a7f5a"}
_LABELS = {"untouched": "untouched model", "paper": "the paper's rule", "recal": "Recal"}
_TIERS = {"high": "high-resource", "mid": "mid-resource", "low": "low-resource"}


def draw(results: DemoResults, path: Path) -> None:
    """Write the picture as PNG.

    Args:
        results: of all languages, in the order in which they are to be drawn.
        path: where; its folder is made.
    """
    figure, axes = plt.subplots(3, 1, figsize=(12, 9), sharex=True, constrained_layout=True)
    _points(axes[0], results, "harmful_refusal", "harmful prompts refused, %")
    _points(axes[1], results, "harmless_refusal", "harmless prompts refused, %")
    _bars(axes[2], results)
    for axis in axes:
        _tiers(axis, results)
    axes[0].legend(loc="lower left", ncols=3, frameon=False)
    axes[2].set_xticks(range(len(results.languages)), list(results.languages))
    figure.suptitle(
        f"Refusal per language over gRPC: {results.n_test} unseen prompts a class, "
        f"k = {results.k} calibration examples a class, mean of {results.draws} draws in "
        f"low-resource languages\n{results.notice}",
        fontsize=11,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _points(axis: Axes, results: DemoResults, field: str, label: str) -> None:
    for offset, method in zip((-0.2, 0.0, 0.2), METHODS, strict=True):
        values = [getattr(r.of(method), field) for r in results.languages.values()]
        axis.plot(
            np.arange(len(values)) + offset,
            values,
            "o",
            color=_COLOURS[method],
            label=_LABELS[method],
            markersize=6,
        )
    axis.set_ylabel(label)
    axis.set_ylim(-4, 104)
    axis.grid(axis="y", alpha=0.3)


def _bars(axis: Axes, results: DemoResults) -> None:
    for offset, method in zip((-0.27, 0.0, 0.27), METHODS, strict=True):
        found = [r.of(method) for r in results.languages.values()]
        deltas = np.array([b.delta for b in found])
        errors = np.array(
            [[b.delta - b.delta_low for b in found], [b.delta_high - b.delta for b in found]]
        )
        axis.bar(
            np.arange(len(found)) + offset,
            deltas,
            width=0.25,
            color=_COLOURS[method],
            yerr=np.clip(errors, 0, None),
            error_kw={"elinewidth": 0.8, "alpha": 0.6},
        )
    axis.set_ylabel("Δ: harmful - harmless, points\n(95 % interval)")
    axis.axhline(0, color="black", linewidth=0.6)
    axis.grid(axis="y", alpha=0.3)


def _tiers(axis: Axes, results: DemoResults) -> None:
    tiers = [r.tier for r in results.languages.values()]
    for tier in dict.fromkeys(tiers):
        first, last = tiers.index(tier), len(tiers) - 1 - tiers[::-1].index(tier)
        if first:
            axis.axvline(first - 0.5, color="black", linewidth=0.6, alpha=0.4)
        axis.text(
            (first + last) / 2,
            1.01,
            _TIERS[tier],
            transform=axis.get_xaxis_transform(),
            ha="center",
            fontsize=9,
        )
