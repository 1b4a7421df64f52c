"""How soon drift of a language is alerted, and how often an alert is false: a replayed simulation.

python -m benchmarks.drift [--quick] [--json FILE] [--picture FILE]

Traffic is made up (`benchmarks/drift_traffic.py`), the detector is the one that `recal monitor`
runs: each simulated language learns its baseline from its own first requests, is then watched for
a month without any change, and, in other runs, until a change of 5 points of its steered share is
alerted. Volumes, shares and what else moves are varied, also beyond what the bars are for. Where
`river` is installed (`make bench`), its ADWIN gets the same streams.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.arguments import count, writable
from benchmarks.drift_traffic import BOUNDARIES, DAY_S, FloatArray, Traffic, draw
from benchmarks.report import Benchmark, Found
from recal.demo.results import Bar
from services.drift.measure import Chart, Measure
from services.drift.plan import FIRED, MEASURES, SCORE, plans

MONTH_S = 30 * DAY_S
SHIFT = 0.05
MOST_REQUESTS = 2000
MOST_FALSE = 1.0
SURE_SHARE = 0.95
SURE_UP_TO, MEAN_UP_TO = 0.1, 0.3
"""Steered shares up to which nearly all shifts are found in time, and up to which the mean one."""
SCRAPE_S = 60.0
_LEAST_BATCH = 5
_MONTH_N = 300_000
_SHIFTS = 5
"""Of each language, one after the other, all from the same baseline."""
_LONGEST = 8000
"""Requests after which a shift counts as not found."""
VOLUMES = (1e3, 1e4, 1e5)
SHARES = (0.02, 0.1, 0.3, 0.5)


@dataclass(frozen=True)
class Cell:
    """What was found of languages of one traffic."""

    per_day: float
    fired: float
    baseline_requests: float
    """Until the last of a language's measures was watched; mean."""
    false_alarms: float
    """A language-month, all measures together."""
    rise_mean: float
    rise_p95: float
    rise_within: float
    """Share of the shifts that were alerted within `MOST_REQUESTS`."""
    fall_mean: float
    fall_p95: float
    fall_within: float


def batch_s(traffic: Traffic) -> float:
    """Time between two looks: a scrape, or until there is something to see."""
    return max(SCRAPE_S, _LEAST_BATCH * traffic.burst * DAY_S / traffic.per_day)


def learned(traffic: Traffic, size: int, rng: np.random.Generator) -> tuple[list[Any], float]:
    """Let `size` languages learn their baselines.

    Returns:
        Measures by name, of each language; and the time when the last began to be watched.

    Raises:
        ValueError: a month was not enough.
    """
    n_columns = {name: len(BOUNDARIES) if name == SCORE else 1 for name in MEASURES}
    languages = [{n: Measure.of(c, 0.0) for n, c in n_columns.items()} for _ in range(size)]
    step = max(3600.0, 100 * DAY_S / traffic.per_day)
    now, watch = 0.0, plans()
    while any(m.chart is None for each in languages for m in each.values()):
        if now > 3 * MONTH_S:
            raise ValueError(f"no baseline after three months of {traffic}")
        n = traffic.n_between(now, now + step)
        fired = traffic.fired_at(now + step / 2)
        now += step
        drawn = draw(traffic, n, fired, size, rng)
        for row, each in enumerate(languages):
            for name, measure in each.items():
                if measure.chart is None:
                    measure.add(n, drawn[name][row], now, watch[name])
    return languages, now


def together(languages: Sequence[Mapping[str, Measure]], name: str) -> Chart:
    """One chart over one measure of all languages, so that a simulation is fast."""
    charts = [each[name].chart for each in languages]
    n_columns = len(languages[0][name].baseline.hits)
    whole: dict[str, Any] = {"per_month": 1.0}
    whole["columns"] = [
        row * n_columns + column
        for row, chart in enumerate(charts)
        if chart
        for column in chart.columns
    ]
    for field in ("rates", "dispersion", "thresholds", "up", "down", "alarms"):
        whole[field] = [v for chart in charts if chart for v in getattr(chart, field)]
    return Chart(**whole)


def false_alarms(
    traffic: Traffic, languages: Sequence[Any], begun: float, days: float, rng: np.random.Generator
) -> float:
    """Alarms a language-month while nothing happens but what the traffic always does."""
    charts = {name: together(languages, name) for name in MEASURES}
    step, now = batch_s(traffic), begun
    while now < begun + days * DAY_S:
        n = traffic.n_between(now, now + step)
        drawn = draw(traffic, n, traffic.fired_at(now), len(languages), rng)
        now += step
        for name, chart in charts.items():
            chart.add(n, drawn[name].ravel(), SHIFT)
    return sum(chart.raised for chart in charts.values()) / len(languages) * 30 / days


def delays(
    traffic: Traffic, languages: Sequence[Any], after: float, rng: np.random.Generator
) -> FloatArray:
    """Requests until the steered share's alarm, of each language; infinite where there is none."""
    chart = together(languages, FIRED)
    n = max(_LEAST_BATCH, round(traffic.per_day * SCRAPE_S / DAY_S))
    for _ in range(1000 // n):
        chart.add(n, draw(traffic, n, traffic.fired, len(languages), rng)[FIRED].ravel(), SHIFT)
    chart.up, chart.down = (
        np.where(np.asarray(chart.alarms) != 0, 0.0, side).tolist()
        for side in (chart.up, chart.down)
    )
    chart.alarms = [0] * len(languages)
    found = np.full(len(languages), np.inf)
    for seen in range(n, _LONGEST + n, n):
        chart.add(n, draw(traffic, n, after, len(languages), rng)[FIRED].ravel(), SHIFT)
        found[(np.asarray(chart.alarms) != 0) & np.isinf(found)] = seen
    return found


def cell(traffic: Traffic, size: int, days: float, rng: np.random.Generator) -> Cell:
    """All figures of one traffic."""
    languages, begun = learned(traffic, size, rng)
    low = max(traffic.fpr, traffic.fired - SHIFT)
    rise, fall = (
        np.concatenate([delays(traffic, languages, after, rng) for _ in range(_SHIFTS)])
        for after in (traffic.fired + SHIFT, low)
    )
    no_fall = traffic.fired < SHIFT
    return Cell(
        traffic.per_day,
        traffic.fired,
        float(np.mean([max(m.seen for m in each.values()) for each in languages])),
        false_alarms(traffic, languages, begun, days, rng),
        *_summary(rise),
        *((float("nan"),) * 3 if no_fall else _summary(fall)),
    )


def _summary(found: FloatArray) -> tuple[float, float, float]:
    capped = np.minimum(found, _LONGEST)
    within = float(np.mean(found <= MOST_REQUESTS))
    return float(capped.mean()), float(np.quantile(capped, 0.95)), within


BREAKING: Mapping[str, Traffic] = {
    "as assumed": Traffic(1e4, 0.1),
    "volume swings by 80 % over a day": Traffic(1e4, 0.1, volume_swing=0.8),
    "volume grows threefold in the month": Traffic(1e4, 0.1, growth=3.0),
    "steered share swings by 1 point over a day": Traffic(1e4, 0.1, fired_swing=0.01),
    "steered share swings by 4 points over a day": Traffic(1e4, 0.1, fired_swing=0.04),
    "the same, 100,000 a day": Traffic(1e5, 0.1, fired_swing=0.04),
    "every prompt is sent 10 times": Traffic(1e4, 0.1, burst=10),
}


def broken(name: str, size: int, days: float, rng: np.random.Generator) -> dict[str, Any]:
    """What other traffic does to false alarms and to the time to a true one."""
    traffic = BREAKING[name]
    languages, begun = learned(traffic, size, rng)
    spread = [each[FIRED].chart.dispersion[0] for each in languages]
    rise = delays(replace(traffic, fired_swing=0.0), languages, traffic.fired + SHIFT, rng)
    return {
        "traffic": name,
        "dispersion": float(np.mean(spread)),
        "false_alarms": false_alarms(traffic, languages, begun, days, rng),
        "rise_mean": float(np.minimum(rise, _LONGEST).mean()),
    }


def adwin(fired: float, streams: int, rng: np.random.Generator) -> dict[str, float]:
    """River's ADWIN with its own δ on the steered share: alarms of 300,000 requests, and delays.

    The 300,000 are as drawn, ten alike in a row, or with a swing of 4 points over each 10,000.
    """
    few = max(1, streams // 10)
    swing = 0.04 * np.sin(2 * np.pi * np.arange(_MONTH_N) / 10_000)
    alarms = {"as_drawn": 0, "ten_alike": 0, "swinging": 0}
    for _ in range(few):
        alarms["as_drawn"] += len(_cuts(rng.random(_MONTH_N) < fired))
        alarms["ten_alike"] += len(_cuts(np.repeat(rng.random(_MONTH_N // 10) < fired, 10)))
        alarms["swinging"] += len(_cuts(rng.random(_MONTH_N) < fired + swing))
    found = np.full(streams, float(_LONGEST))
    for stream in range(streams):
        before, after = rng.random(20_000) < fired, rng.random(_LONGEST) < fired + SHIFT
        late = [cut for cut in _cuts(np.concatenate([before, after])) if cut >= len(before)]
        found[stream] = late[0] - len(before) + 1 if late else _LONGEST
    mean, p95, within = _summary(found)
    return {
        "fired": fired,
        **{name: n / few for name, n in alarms.items()},
        "rise_mean": mean,
        "rise_p95": p95,
        "rise_within": within,
    }


def _cuts(hits: Any) -> list[int]:
    """Where ADWIN drops what it knew."""
    from river.drift import ADWIN

    detector, found = ADWIN(), []
    for index, hit in enumerate(hits):
        detector.update(float(hit))
        if detector.drift_detected:
            found.append(index)
    return found


def bars(cells: Sequence[Cell]) -> tuple[Bar, ...]:
    """What must hold, and how it came out."""
    worst = max(cells, key=lambda each: each.false_alarms)
    usual = [each for each in cells if each.fired <= MEAN_UP_TO]
    slow = max((max(c.rise_mean, np.nan_to_num(c.fall_mean)), c.fired, c.per_day) for c in usual)
    low = [each for each in cells if each.fired <= SURE_UP_TO]
    sure = min((np.nanmin([c.rise_within, c.fall_within]), c.fired, c.per_day) for c in low)
    return (
        Bar(
            f"at most {MOST_FALSE:.0f} false alarm a language-month of stationary traffic",
            f"{worst.false_alarms:.2f} at worst ({worst.per_day:,.0f} a day, "
            f"{worst.fired:.0%} steered)",
            worst.false_alarms <= MOST_FALSE,
        ),
        Bar(
            f"a 5-point shift is alerted within {MOST_REQUESTS:,} requests on average, where up to "
            f"{MEAN_UP_TO:.0%} are steered",
            f"{slow[0]:,.0f} at worst ({slow[2]:,.0f} a day, {slow[1]:.0%} steered)",
            bool(slow[0] <= MOST_REQUESTS),
        ),
        Bar(
            f"{SURE_SHARE:.0%} of such shifts are, where up to {SURE_UP_TO:.0%} are steered",
            f"{sure[0]:.1%} at worst ({sure[2]:,.0f} a day, {sure[1]:.0%} steered)",
            bool(sure[0] >= SURE_SHARE),
        ),
    )


def tables(cells: Sequence[Cell], others: Sequence[Any], peers: Sequence[Any]) -> str:
    """All figures in Markdown."""
    lines = [
        "| requests a day | steered | baseline, requests | false alarms a month "
        "| rise of 5 points: mean, 95 %, within 2,000 | fall of 5 points |",
        "|---|---|---|---|---|---|",
    ]
    for c in cells:
        fall = "–"
        if not np.isnan(c.fall_mean):
            fall = f"{c.fall_mean:,.0f}, {c.fall_p95:,.0f}, {c.fall_within:.1%}"
        lines.append(
            f"| {c.per_day:,.0f} | {c.fired:.0%} | {c.baseline_requests:,.0f} | "
            f"{c.false_alarms:.2f} | {c.rise_mean:,.0f}, {c.rise_p95:,.0f}, {c.rise_within:.1%} | "
            f"{fall} |"
        )
    lines += ["", "| traffic | dispersion | false alarms a month | rise of 5 points, mean |"]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {o['traffic']} | {o['dispersion']:.1f} | {o['false_alarms']:.2f} | "
        f"{o['rise_mean']:,.0f} |"
        for o in others
    ]
    if peers:
        lines += ["", "| ADWIN: steered | alarms in 300,000 requests, as drawn "]
        lines[-1] += "| ten alike in a row | swinging by 4 points | rise of 5 points |"
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| {p['fired']:.0%} | {p['as_drawn']:.1f} | {p['ten_alike']:.0f} | "
            f"{p['swinging']:.0f} | {p['rise_mean']:,.0f}, {p['rise_p95']:,.0f}, "
            f"{p['rise_within']:.1%} |"
            for p in peers
        ]
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> Found:
    """Simulate everything.

    Raises:
        ImportError: a picture is asked for without matplotlib.
    """
    quick = options.quick
    size, days = (40, 6.0) if quick else (options.languages, 30.0)
    volumes, shares = ((1e3,), (0.1,)) if quick else (VOLUMES, SHARES)
    work: list[Callable[..., Any]] = [
        partial(cell, Traffic(per_day, fired), size, days)
        for per_day in volumes
        for fired in shares
    ]
    n_cells = len(work)
    if not quick:
        work += [partial(broken, name, size // 2, days) for name in BREAKING]
        work += [partial(adwin, fired, size) for fired in (0.1, 0.3) if find_spec("river")]
    found = _done(work, options.seed, options.processes)
    cells, others = found[:n_cells], found[n_cells : n_cells + len(BREAKING)]
    peers = found[n_cells + len(BREAKING) :]
    if options.picture is not None:
        from benchmarks.drift_picture import draw_picture

        draw_picture(cells, options.picture, np.random.default_rng(options.seed))
    results = {"cells": [asdict(c) for c in cells], "breaking": others, "adwin": peers}
    return Found(results, tables(cells, others, peers), bars(cells), seed=options.seed)


def _done(work: Sequence[Callable[..., Any]], seed: int, processes: int) -> list[Any]:
    """Everything, each part with random numbers of its own, so that their order does not matter."""
    seeded = [(each, [seed, index]) for index, each in enumerate(work)]
    if processes == 1:
        return [_one(each) for each in seeded]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_one, seeded))


def _one(given: tuple[Callable[..., Any], list[int]]) -> Any:
    work, seed = given
    return work(rng=np.random.default_rng(seed))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--languages", type=count, default=60, help="simulated in each setting")
    parser.add_argument("--processes", type=count, default=1, help="that share the work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=writable, metavar="FILE", help="draw it, as PNG")


BENCHMARK = Benchmark("benchmarks", "drift", __doc__ or "", measure, add_options, strict=True)

if __name__ == "__main__":
    BENCHMARK.main()
