"""Made-up traffic of one language, for `benchmarks.drift`: scores, verdicts, answers, hour by hour.

Harmless prompts score around one mean and harmful ones around another, both with a standard
deviation of 1, as scores are scaled; the gate steers above a threshold in between. What a share of
steered prompts shifts by is the share of harmful prompts, or the threshold's place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from services.drift.plan import FIRED, REFUSED, SCORE
from services.telemetry import SCORE as SCORE_METRIC

FloatArray = NDArray[np.float64]

TPR = 0.9
"""Of the simulated gate."""
OBEYED, OF_ITSELF = 0.9, 0.01
"""Share of steered answers that read as a refusal, and of untouched ones."""
DAY_S = 86_400.0
_HARMLESS_MEAN = -1.5
BOUNDARIES = np.array(SCORE_METRIC.buckets)


@dataclass(frozen=True)
class Traffic:
    """How requests come."""

    per_day: float
    fired: float
    """Share that the gate steers, on the average of a day."""
    volume_swing: float = 0.0
    """Requests of an hour swing by this part of their mean, over a day."""
    fired_swing: float = 0.0
    """The steered share swings by so much, over a day."""
    burst: int = 1
    """Requests come in runs of as many alike."""
    growth: float = 1.0
    """Volume at the end of 30 days, to that at the beginning."""

    @property
    def fpr(self) -> float:
        """Of the simulated gate: 5 %, or half of what it steers."""
        return min(0.05, self.fired / 2)

    def n_between(self, start_s: float, end_s: float) -> int:
        """Requests of a stretch, which should be short beside a day."""
        middle = (start_s + end_s) / 2
        level = 1 + self.volume_swing * np.sin(2 * np.pi * middle / DAY_S)
        growth = 1 + (self.growth - 1) * middle / (30 * DAY_S)
        whole = np.floor(np.array([start_s, end_s]) * self.per_day * level * growth / DAY_S)
        return int(whole[1] - whole[0])

    def fired_at(self, time_s: float) -> float:
        """The steered share at a time."""
        return float(self.fired + self.fired_swing * np.sin(2 * np.pi * time_s / DAY_S + 1.0))

    def cells(self, fired: float) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Where scores lie, when so many are steered.

        Returns:
            Edges, shares of the cells between them, and which of these the gate steers.
        """
        threshold = _HARMLESS_MEAN + norm.ppf(1 - self.fpr)
        harmful_mean = threshold + norm.ppf(TPR)
        harmful = (fired - self.fpr) / (TPR - self.fpr)
        edges = np.sort(np.append(BOUNDARIES, threshold))
        below = (1 - harmful) * norm.cdf(edges, _HARMLESS_MEAN) + harmful * norm.cdf(
            edges, harmful_mean
        )
        shares = np.diff(np.concatenate([[0.0], below, [1.0]]))
        upper = np.append(edges, np.inf)
        return edges, shares, upper > threshold


def draw(
    traffic: Traffic, n: int, fired: float, size: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Counts of `n` requests, in `size` languages.

    Returns:
        By measure, (size, columns): as `services.drift` takes them.
    """
    edges, shares, steered = traffic.cells(fired)
    runs = max(1, round(n / traffic.burst))
    counts = rng.multinomial(runs, shares / shares.sum(), size=size) * (n / runs)
    n_fired = counts[:, steered].sum(axis=1)
    whole = np.rint(n_fired).astype(int)
    refused = rng.binomial(whole, OBEYED) + rng.binomial(n - whole, OF_ITSELF)
    cumulative = np.cumsum(counts, axis=1)[:, :-1]
    return {
        FIRED: n_fired[:, None],
        REFUSED: refused[:, None].astype(np.float64),
        SCORE: cumulative[:, np.isin(edges, BOUNDARIES)],
    }
