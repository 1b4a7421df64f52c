"""Engines that answer the same requests side by side in one thread, each on a clock of its own.

A pass of each comes after a pass of the others, and each clock runs in its own passes only. So what
else the machine does meanwhile meets all of them alike. The event loop's own work, making laws and
handing out text, is on no clock here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol

from benchmarks.serving.claims import ratio_between
from benchmarks.serving.load import Load, all_at_once
from benchmarks.serving.peers.own_clock import OwnTurns, Running
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.tables import markdown
from benchmarks.serving.timings import Timings, by_request

FIGURES = ("tokens_per_s", "ttft_p50", "ttft_p99", "tpot_p50", "tpot_p99")
PAIRED = ("ttft", "tpot")
_N_WARM_UP = 4


class Engine(Protocol):
    """What answers a load beside others; `benchmarks.serving.peers` has several."""

    async def timed(self, load: Load) -> Timings:
        """The times by its own clock."""


Made = Mapping[str, Callable[[Running], Engine]]
"""By name, from where it runs and what it is timed by."""


def has_a_clock(options: argparse.Namespace) -> bool:
    """Whether processor time of one thread is all that an engine costs."""
    return bool(options.device == "cpu" and options.threads == 1)


def left_out(benchmark: str) -> str:
    """What to say where it is not: what a GPU or other threads do would look too good."""
    return (
        f"{benchmark}: left out, for its clock is the processor time of one thread: "
        "ask with `--device cpu --threads 1`"
    )


def in_turns(made: Made, load: Load, *, repeats: int, what: str) -> dict[str, list[Timings]]:
    """Times of each repeat, by engine; the first in turn changes, so that nobody gains by it.

    Args:
        made: new engines for each repeat.
        load: whose clients wait for answers, or all at once: no clock here runs between requests.
        repeats: of the load, after a short one that nobody times.
        what: is being measured; a line on stderr says so after every repeat.
    """
    names = list(made)
    found: dict[str, list[Timings]] = {each: [] for each in names}
    with ThreadPoolExecutor(1, thread_name_prefix="model") as thread:
        asyncio.run(side_by_side(made, all_at_once(load.jobs[:_N_WARM_UP]), names, thread))
        for repeat in range(repeats):
            gc.collect()
            first = repeat % len(names)
            order = names[first:] + names[:first]
            for each, timed in asyncio.run(side_by_side(made, load, order, thread)).items():
                found[each].append(timed)
            print(f"{what}, in turns: {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
    return found


async def side_by_side(
    made: Made, load: Load, order: Sequence[str], thread: Executor
) -> dict[str, Timings]:
    """Times of engines that answer a load at the same time, each by its own clock.

    Args:
        made: the engines.
        load: as for `in_turns`.
        order: of their first turns.
        thread: the one that runs the model.
    """
    engines = {}
    for name in order:
        turns = OwnTurns(thread)
        engines[name] = made[name](Running(turns, turns.now))
    found = await asyncio.gather(*(engine.timed(load) for engine in engines.values()))
    return dict(zip(engines, found, strict=True))


def paired_with(
    base: str, timed: Mapping[str, Sequence[Timings]], names: Sequence[str] = PAIRED
) -> dict[str, dict[str, Spread]]:
    """`by_request` beside one engine, over repeats; nothing of what times no request."""
    found = {}
    for each, mine in timed.items():
        if each != base and mine[0].answered:
            ratios = [by_request(*pair) for pair in zip(mine, timed[base], strict=True)]
            there = [name for name in names if name in ratios[0]]
            found[each] = {name: spread_of([ratio[name] for ratio in ratios]) for name in there}
    return found


def plain(paired: Mapping[str, Mapping[str, Spread]]) -> dict[str, dict[str, Any]]:
    """The same as plain data."""
    return {name: {f: asdict(each) for f, each in own.items()} for name, own in paired.items()}


def table(
    title: str,
    timed: Mapping[str, Sequence[Timings]],
    *,
    base: str,
    figures: Sequence[str] = FIGURES,
    by_itself: Sequence[str] = PAIRED,
) -> str:
    """Every engine beside one of them, as Markdown.

    Args:
        title: of the load.
        timed: the engines.
        base: beside which of them.
        figures: of each.
        by_itself: what of each request is compared with itself.
    """
    repeats = {name: [each.figures() for each in mine] for name, mine in timed.items()}
    paired = paired_with(base, timed, by_itself)
    own = [f"{spread_of([each[f] for each in repeats[base]]).median:.3g}" for f in figures]
    rows = [[base, *own, *("–" for _ in by_itself)]]
    for name in [name for name in repeats if name != base]:
        ratios = [
            str(ratio_between(repeats, name, base, f)) if f in repeats[name][0] else "–"
            for f in figures
        ]
        by = paired.get(name, {})
        rows.append([f"{name} × it", *ratios, *(str(by.get(f, "–")) for f in by_itself)])
    head = [f"{title}, processor time", *figures, *(f"{f} by request" for f in by_itself)]
    return markdown(head, rows)
