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
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from benchmarks.serving.claims import Repeats, beside, ratio_between
from benchmarks.serving.load import Load, all_at_once
from benchmarks.serving.peers.own_clock import OwnTurns, Running
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.tables import markdown
from benchmarks.serving.timings import Timings, by_request

KINDS = ("ttft", "tpot")
"""Of times, that requests have."""
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


@dataclass(frozen=True)
class Beside:
    """Engines that answered a load side by side, each beside one of them."""

    title: str
    n_requests: int
    timed: Mapping[str, Sequence[Timings]]
    """Of each repeat, by engine."""
    base: str
    """Beside which of them."""
    kinds: Sequence[str] = KINDS
    """Of times that mean something here."""

    @property
    def repeats(self) -> Repeats:
        """Figures of each repeat, by engine."""
        told = ("tokens_per_s", *self.kinds)
        return {
            name: [{k: v for k, v in each.figures().items() if k.startswith(told)} for each in mine]
            for name, mine in self.timed.items()
        }

    @property
    def by_request(self) -> dict[str, dict[str, Spread]]:
        """Times of requests by the base's of the same one; nothing of what times no request."""
        found = {}
        for name, mine in self.timed.items():
            if name != self.base and mine[0].answered:
                pairs = zip(mine, self.timed[self.base], strict=True)
                ratios = [by_request(*pair) for pair in pairs]
                there = [kind for kind in self.kinds if kind in ratios[0]]
                found[name] = {kind: spread_of([each[kind] for each in ratios]) for kind in there}
        return found

    @property
    def plain(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "requests": self.n_requests,
            "peers": beside(self.base, self.repeats),
            "by_request": {
                name: {kind: asdict(each) for kind, each in own.items()}
                for name, own in self.by_request.items()
            },
        }

    @property
    def table(self) -> str:
        """As Markdown."""
        repeats, paired = self.repeats, self.by_request
        figures = ["tokens_per_s", *(f"{kind}_{p}" for kind in self.kinds for p in ("p50", "p99"))]
        own = [f"{spread_of([each[f] for each in repeats[self.base]]).median:.3g}" for f in figures]
        rows = [[self.base, *own, *("–" for _ in self.kinds)]]
        for name in [name for name in repeats if name != self.base]:
            ratios = [
                str(ratio_between(repeats, name, self.base, f)) if f in repeats[name][0] else "–"
                for f in figures
            ]
            by = paired.get(name, {})
            rows.append([f"{name} × it", *ratios, *(str(by.get(kind, "–")) for kind in self.kinds)])
        title = f"{self.title} ({self.n_requests} requests), processor time"
        return markdown([title, *figures, *(f"{kind} by request" for kind in self.kinds)], rows)


def answered(
    made: Made, load: Load, *, base: str, what: str, repeats: int, kinds: Sequence[str] = KINDS
) -> Beside:
    """Let engines answer a load side by side; its table goes to stderr when it is known.

    Args:
        made: new engines for each repeat.
        load: whose clients wait for answers, or all at once: no clock here runs between requests.
        base: the engine that the others are set beside.
        what: is being measured; a line on stderr says so after every repeat.
        repeats: of the load, after a short one that nobody times.
        kinds: of times that mean something here.
    """
    timed = _in_turns(made, load, repeats=repeats, what=what)
    found = Beside(what, len(load.jobs), timed, base, kinds)
    print(found.table, file=sys.stderr, flush=True)
    return found


async def side_by_side(
    made: Made, load: Load, order: Sequence[str], thread: Executor
) -> dict[str, Timings]:
    """Times of engines that answer a load at the same time, each by its own clock.

    Args:
        made: the engines.
        load: as for `answered`.
        order: of their first turns.
        thread: the one that runs the model.
    """
    engines = {}
    for name in order:
        turns = OwnTurns(thread)
        engines[name] = made[name](Running(turns, turns.now))
    found = await asyncio.gather(*(engine.timed(load) for engine in engines.values()))
    return dict(zip(engines, found, strict=True))


def _in_turns(made: Made, load: Load, *, repeats: int, what: str) -> dict[str, list[Timings]]:
    """Times of each repeat; the first in turn changes, so that nobody gains by it."""
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
