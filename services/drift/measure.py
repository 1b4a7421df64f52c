"""Shares of one stream of requests: learned as a baseline, then watched by a CUSUM for a shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field

from services.drift.baseline import Baseline, Block
from services.drift.cusum import FloatArray, advance, shifted, threshold, weights

DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
_LEAST_BLOCKS = 8
_RECENT_N = 2000.0
"""What is shown as the share of now is counted over so many requests, or a few more."""
_RECENT_PART = 100.0
_LOOK_AGAIN = 1.1
"""Traffic that differs by this factor is another one, as far as thresholds go."""


@dataclass(frozen=True)
class Plan:
    """What is looked for, and how often it may be seen where it is not."""

    shift: float
    """As a share."""
    false_alarms: float
    """A month, of this stream alone, all its columns together."""
    precision: float = 1.15
    """A baseline is learned until its own uncertainty makes thresholds at most so much higher."""
    least_s: float = DAY_S
    """And for at least so long: nights differ from days."""
    cuts: tuple[float, ...] = ()
    """Choose the columns whose shares are nearest to these; empty: all of them."""


class Chart(BaseModel):
    """The evidence for a shift of each chosen column, in nats."""

    columns: list[int]
    rates: list[float]
    dispersion: list[float]
    per_month: float
    """Requests that the thresholds are made for."""
    thresholds: list[float]
    up: list[float]
    down: list[float]
    alarms: list[int]
    """1: has risen, -1: has fallen, 0: neither. Until no evidence of it is left."""
    raised: int = 0
    """Alarms so far."""

    def add(self, n: float, hits: FloatArray, shift: float) -> None:
        """Weigh `n` more requests; `hits` (all columns,) as for the baseline."""
        spread, limit = np.asarray(self.dispersion), np.asarray(self.thresholds)
        rates, counted = np.asarray(self.rates), hits[self.columns] / spread
        low, high = shifted(rates, shift)
        up = advance(self.up, n / spread, counted, weights(rates, high))
        down = advance(self.down, n / spread, counted, weights(rates, low))
        alarms = np.asarray(self.alarms)
        alarms = np.where((alarms == 1) & (up <= 0) | (alarms == -1) & (down <= 0), 0, alarms)
        new = np.where(up >= limit, 1, np.where(down >= limit, -1, 0))
        self.raised += int(np.sum((new != 0) & (alarms == 0)))
        self.alarms = np.where(new != 0, new, alarms).tolist()
        # no more than the threshold, so that a shift that has ended is forgotten in time
        self.up, self.down = np.minimum(up, limit).tolist(), np.minimum(down, limit).tolist()


class Measure(BaseModel):
    """One stream; its columns are shares of the same requests."""

    begun: float
    """Seconds since 1970, as every time here."""
    seen: float = 0.0
    """Requests so far."""
    baseline: Baseline
    looked_at: float = 0.0
    """How many requests the baseline had when it was last asked whether it is precise."""
    chart: Chart | None = None
    recent: list[Block] = Field(default_factory=list)

    @classmethod
    def of(cls, columns: int, now: float) -> Measure:
        """Nothing seen yet."""
        return cls(begun=now, baseline=Baseline.of(columns))

    def add(self, n: float, hits: FloatArray, now: float, plan: Plan) -> None:
        """Take in `n` requests, `hits` (columns,) of which are of each kind."""
        if n <= 0:
            return
        self.seen += n
        self._remember(n, hits, now)
        if self.chart is None:
            self.baseline.add(n, hits, now)
            self._begin(now, plan)
        else:
            self._keep_up_with_traffic(self.chart, now, plan)
            self.chart.add(n, hits, plan.shift)

    @property
    def observed(self) -> FloatArray:
        """(columns,) shares over the last requests; not a number where there are none."""
        n = sum(part.n for part in self.recent)
        return self.recent_hits / n if n else np.full(len(self.baseline.hits), np.nan)

    @property
    def recent_hits(self) -> FloatArray:
        """(columns,) counts over the last requests."""
        parts = [part.hits for part in self.recent] or [[0.0] * len(self.baseline.hits)]
        counts: FloatArray = np.sum(parts, axis=0)
        return counts

    @property
    def evidence(self) -> float:
        """The strongest evidence as a part of its threshold: 1 is an alarm."""
        if self.chart is None:
            return 0.0
        strongest = np.maximum(self.chart.up, self.chart.down) / np.asarray(self.chart.thresholds)
        return float(np.max(strongest, initial=0.0))

    @property
    def alarm(self) -> bool:
        """True while any column has moved."""
        return self.chart is not None and any(self.chart.alarms)

    def _remember(self, n: float, hits: FloatArray, now: float) -> None:
        if not self.recent or self.recent[-1].n >= _RECENT_PART:
            self.recent.append(Block(since=now, hits=[0.0] * len(hits)))
        last = self.recent[-1]
        last.n += n
        last.hits = (np.asarray(last.hits) + hits).tolist()
        while sum(part.n for part in self.recent[1:]) >= _RECENT_N:
            del self.recent[0]

    def _per_month(self, now: float) -> float:
        return self.seen * MONTH_S / max(now - self.begun, DAY_S)

    def _begin(self, now: float, plan: Plan) -> None:
        """Begin to watch, once the baseline is long and precise enough."""
        base = self.baseline
        grown = base.n >= self.looked_at * _LOOK_AGAIN
        if not grown or now - self.begun < plan.least_s or base.blocks < _LEAST_BLOCKS:
            return
        self.looked_at = base.n
        columns = _chosen(base.rates, plan.cuts)
        rates, spread = base.rates[columns], base.dispersion[columns]
        wanted = _wanted(self._per_month(now), spread, plan)
        certain = _cases(rates, np.inf, plan, wanted)
        cases = _cases(rates, base.n / spread, plan, wanted)
        for index in np.argsort(np.abs(rates - 0.5)):  # the least certain first
            if not threshold(*cases[index]) <= plan.precision * threshold(*certain[index]):
                return
        zeros = [0.0] * len(columns)
        self.chart = Chart(
            columns=columns,
            rates=rates.tolist(),
            dispersion=spread.tolist(),
            per_month=self._per_month(now),
            thresholds=[threshold(*each) for each in cases],
            up=zeros,
            down=zeros,
            alarms=[0] * len(columns),
        )

    def _keep_up_with_traffic(self, chart: Chart, now: float, plan: Plan) -> None:
        """Make thresholds for the traffic that there is: false alarms are promised by the month."""
        per_month = self._per_month(now)
        if 1 / _LOOK_AGAIN < per_month / chart.per_month < _LOOK_AGAIN:
            return
        spread = np.asarray(chart.dispersion)
        wanted = _wanted(per_month, spread, plan)
        cases = _cases(np.asarray(chart.rates), self.baseline.n / spread, plan, wanted)
        found = [threshold(*each) for each in cases]
        if np.all(np.isfinite(found)):
            chart.per_month, chart.thresholds = per_month, found


def _chosen(rates: FloatArray, cuts: tuple[float, ...]) -> list[int]:
    if not cuts:
        return list(range(len(rates)))
    return sorted({int(np.argmin(np.abs(rates - cut))) for cut in cuts})


def _wanted(per_month: float, dispersion: FloatArray, plan: Plan) -> FloatArray:
    """(columns,) false alarms a request, in requests that count whole."""
    return plan.false_alarms / len(dispersion) * dispersion / per_month


def _cases(
    rates: FloatArray, n: FloatArray | float, plan: Plan, wanted: FloatArray
) -> list[tuple[float, float, float, float]]:
    counts = np.broadcast_to(np.asarray(n, dtype=np.float64), rates.shape)
    return [
        (float(rate), float(count), plan.shift, float(each))
        for rate, count, each in zip(rates, counts, wanted, strict=True)
    ]
