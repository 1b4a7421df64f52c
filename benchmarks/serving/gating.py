"""What deciding inside an answer's prefill costs, and how near the ideal is, in processor time.

python -m benchmarks.serving.gating [--quick] [--models NAMES] [--loads NAMES] [--json FILE] ...

Three engines answer the same requests side by side in one thread, a pass of each after a pass of
the others: one that leaves the model alone, the same again, and a fused one; where all requests
come at once the ideal's passes are among them. Each has a clock that runs in its own passes only.
So what else the machine does meanwhile meets all of them alike; how far the engine and itself are
apart says what is left of it. Percentiles rest on a few requests each; `by request` is the median
over all of a request's time by the ungated engine's for the same one. The event loop's own work,
making laws and handing out text, is on no clock here; `generation` measures it too, by the clock on
the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.choice import add_loads, wanted
from benchmarks.serving.claims import (
    Repeats,
    bars,
    beside_ungated,
    claims_for,
    ratio_between,
)
from benchmarks.serving.load import FEW, MANY, Job, Load, all_at_once, closed, draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.catalogue import FUSED, IDEAL, UNGATED
from benchmarks.serving.peers.ideal import Ideal
from benchmarks.serving.peers.ours import Fused, Ungated
from benchmarks.serving.peers.own_clock import OwnTurns, Running
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.tables import markdown
from benchmarks.serving.timings import Timings, by_request
from recal.demo.results import Bar

AGAIN = "ungated, again"
LEFT_OUT = (
    "gating: left out, for its clock is the processor time of one thread: "
    "ask with `--device cpu --threads 1`"
)
N_REQUESTS = {"organism": 192, "30M": 64, "300M": 16}
"""Of 16 clients, and all at once."""
N_QUICK = 6
N_ALONE = {"organism": 24, "30M": 24, "300M": 4}
"""Of one client: what they cost does not depend on their number, but the medians rest on them."""
_N_WARM_UP = 4
QUICK = ("organism",)
_MADE: Mapping[str, Callable[[Setting, Running], Ungated | Ideal]] = {
    UNGATED: Ungated,
    AGAIN: Ungated,
    FUSED: Fused,
    IDEAL: Ideal,
}
FIGURES = ("tokens_per_s", "ttft_p50", "ttft_p99", "tpot_p50", "tpot_p99")
PAIRED = ("ttft", "tpot")


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    if options.device != "cpu" or options.threads != 1:
        # what a GPU or other threads do is on no clock here, so the ratios would look too good
        return Found({}, LEFT_OUT, ())
    tables: list[str] = []
    found_bars: list[Bar] = []
    results: dict[str, dict[str, Any]] = {}
    weights = {}
    for name in models.names_in(options, quick=QUICK):
        setting, jobs = _setting(name, options)
        weights[name] = setting.backbone.identity.weights_digest
        results[name] = {}
        for load in _loads(jobs, N_ALONE[name], options):
            timed = _repeats(name, setting, load, options)
            repeats = {each: [one.figures() for one in timed[each]] for each in timed}
            paired = _by_request(timed)
            tables.append(_table(name, load, repeats, paired))
            print(tables[-1], file=sys.stderr, flush=True)
            claims = claims_for(options.device)
            found_bars += bars(f"{name}, in turns", load.name, repeats, claims=claims)
            results[name][load.name] = {
                "requests": len(load.jobs),
                "peers": beside_ungated(repeats),
                "by_request": {
                    peer: {figure: asdict(spread) for figure, spread in figures.items()}
                    for peer, figures in paired.items()
                },
            }
    return Found({"models": results}, "\n\n".join(tables), tuple(found_bars), weights, options.seed)


def _loads(jobs: Sequence[Job], n_alone: int, options: argparse.Namespace) -> list[Load]:
    known = (closed(jobs[:n_alone], FEW), closed(jobs, MANY), all_at_once(jobs))
    return [load for load in known if load.name in wanted(options)]


def _setting(name: str, options: argparse.Namespace) -> tuple[Setting, tuple[Job, ...]]:
    backbone = models.load(name, options)
    n = options.requests or (N_QUICK if options.quick else N_REQUESTS[name])
    jobs = draw(backbone, n, seed=options.seed)
    bundle = random_bundle(backbone, thresholds_between(backbone, [job.prompt for job in jobs]))
    return Setting(backbone, lambda n_blocks: backbone, bundle, options.rows), jobs


def _repeats(
    name: str, setting: Setting, load: Load, options: argparse.Namespace
) -> dict[str, list[Timings]]:
    """Times of each repeat, by engine; the first in turn changes, so that nobody gains by it."""
    names = [UNGATED, AGAIN, FUSED, *([IDEAL] if load.clients is None else [])]
    found: dict[str, list[Timings]] = {each: [] for each in names}
    with ThreadPoolExecutor(1, thread_name_prefix="model") as thread:
        asyncio.run(side_by_side(setting, all_at_once(load.jobs[:_N_WARM_UP]), names, thread))
        for repeat in range(repeats_of(options)):
            gc.collect()
            first = repeat % len(names)
            order = names[first:] + names[:first]
            for each, timed in asyncio.run(side_by_side(setting, load, order, thread)).items():
                found[each].append(timed)
            progress = f"{repeat + 1} of {repeats_of(options)}"
            print(f"{name}, {load.name}, in turns: {progress}", file=sys.stderr, flush=True)
    return found


async def side_by_side(
    setting: Setting, load: Load, order: Sequence[str], thread: Executor
) -> dict[str, Timings]:
    """Times of engines that answer a load at the same time, each by its own clock.

    Args:
        setting: the model, and what decides.
        load: whose clients wait for answers, or all at once: no clock here runs between requests.
        order: of their first turns.
        thread: the one that runs the model.
    """
    peers = {}
    for name in order:
        turns = OwnTurns(thread)
        peers[name] = _MADE[name](setting, Running(turns, turns.now))
    found = await asyncio.gather(*(peer.timed(load) for peer in peers.values()))
    return dict(zip(peers, found, strict=True))


def _by_request(timed: Mapping[str, Sequence[Timings]]) -> dict[str, dict[str, Spread]]:
    """`by_request` beside the ungated engine, over repeats; nothing of what times no request."""
    return {
        peer: _over_repeats([by_request(*pair) for pair in zip(mine, timed[UNGATED], strict=True)])
        for peer, mine in timed.items()
        if peer != UNGATED and mine[0].answered
    }


def _over_repeats(ratios: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    return {figure: spread_of([each[figure] for each in ratios]) for figure in ratios[0]}


def _table(
    model: str, load: Load, repeats: Repeats, paired: Mapping[str, Mapping[str, Spread]]
) -> str:
    title = f"{model}, {load.name} ({len(load.jobs)} requests), processor time"
    head = [title, *FIGURES, *(f"{figure} by request" for figure in PAIRED)]
    ungated = [f"{_median(repeats, UNGATED, figure):.3g}" for figure in FIGURES]
    rows = [[UNGATED, *ungated, *("–" for _ in PAIRED)]]
    for each in repeats:
        if each != UNGATED:
            ratios = [_ratio(repeats, each, figure) for figure in FIGURES]
            own = paired.get(each, {})
            rows.append([f"{each} × it", *ratios, *(str(own.get(f, "–")) for f in PAIRED)])
    return markdown(head, rows)


def _ratio(repeats: Repeats, peer: str, figure: str) -> str:
    has_it = figure in repeats[peer][0]
    return str(ratio_between(repeats, peer, UNGATED, figure)) if has_it else "–"


def _median(repeats: Repeats, peer: str, figure: str) -> float:
    return spread_of([each[figure] for each in repeats[peer]]).median


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    add_loads(parser, ("one", "many", "at-once"))


BENCHMARK = Benchmark(__package__, "gating", __doc__, measure, _add_options)


if __name__ == "__main__":
    BENCHMARK.main()
