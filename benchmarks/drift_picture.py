"""One simulated shift as the monitor sees it, and how soon shifts are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.drift_traffic import DAY_S, Traffic, draw
from services.drift.measure import Measure
from services.drift.plan import FIRED, plans

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.drift import Cell

_CALM, _LOUD, _BAND = "#1a7f5a", "#c0392b", "#9aa0a6"
_SHIFT = 0.05


def draw_picture(cells: Sequence[Cell], path: Path, rng: np.random.Generator) -> None:
    """Write the picture as PNG; its folder is made."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), constrained_layout=True)
    _one_shift(axes[0], rng)
    _delays(axes[1], cells)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _one_shift(axis: Axes, rng: np.random.Generator) -> None:
    traffic, plan = Traffic(1e4, 0.1), plans()[FIRED]
    measure = Measure.of(1, 0.0)
    now, n, shift_at = 0.0, 20, None
    seen, observed, evidence = [], [], []
    while shift_at is None or measure.seen < shift_at + 3000:
        if shift_at is None and measure.chart and measure.seen > measure.baseline.n + 3000:
            shift_at = measure.seen
        fired = traffic.fired + (_SHIFT if shift_at is not None else 0.0)
        now += n * DAY_S / traffic.per_day
        measure.add(n, draw(traffic, n, fired, 1, rng)[FIRED][0], now, plan)
        if measure.chart:
            seen.append(measure.seen)
            observed.append(float(measure.observed[0]))
            evidence.append(measure.evidence)
    at = np.asarray(seen) - shift_at
    [rate] = measure.chart.rates if measure.chart else [np.nan]
    axis.axhspan(rate - _SHIFT, rate + _SHIFT, color=_BAND, alpha=0.2, lw=0)
    axis.plot(at, observed, color=_CALM, label="steered, of the last 2,000")
    axis.axhline(rate, color=_BAND, label="baseline, and 5 points around it")
    axis.set_ylim(0, 0.25)
    axis.set_xlabel("requests since the share rose by 5 points")
    axis.set_ylabel("steered share")
    axis.axvline(0, color="black", lw=0.8)
    right = axis.twinx()
    right.plot(at, evidence, color=_LOUD, lw=1)
    right.axhline(1, color=_LOUD, ls=":", lw=1)
    right.set_ylim(0, 2)
    right.set_ylabel("evidence, of an alarm's (red)", color=_LOUD)
    axis.legend(loc="upper left", frameon=False)
    axis.set_title("One language, 10,000 requests a day")


def _delays(axis: Axes, cells: Sequence[Cell]) -> None:
    volumes = sorted({c.per_day for c in cells})
    shares = sorted({c.fired for c in cells})
    width = 0.8 / len(volumes)
    for index, per_day in enumerate(volumes):
        mine = [c for c in cells if c.per_day == per_day]
        x = (
            np.array([shares.index(c.fired) for c in mine])
            + (index - (len(volumes) - 1) / 2) * width
        )
        axis.bar(
            x, [c.rise_mean for c in mine], width * 0.9, label=f"{per_day:,.0f} requests a day"
        )
        axis.plot(x, [c.rise_p95 for c in mine], "k_", markersize=10)
    axis.axhline(2000, color=_LOUD, ls=":", lw=1)
    axis.set_xticks(range(len(shares)), [f"{share:.0%}" for share in shares])
    axis.set_xlabel("steered before the shift")
    axis.set_ylabel("requests until the alert: mean, and 95 % (–)")
    axis.legend(loc="upper left", frameon=False)
    axis.set_title("A rise of 5 points, with at most one false alarm a month")
