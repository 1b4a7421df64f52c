"""How long a call waits for the word that there is no room.

python -m benchmarks.serving.overload [--quick] [--json FILE] ...

The organism is served by a process of its own, in `split` and in `fused`, with places for four
answers and a queue of as many. Eight clients keep all of them taken, each with one answer after the
other; then others come in bursts, as clients that do not know of one another do, and the time to
RESOURCE_EXHAUSTED is taken for each that is turned away.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.organism_served import artefacts, settings_for
from benchmarks.report import Benchmark, Found
from benchmarks.server_process import address_of, server
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.tables import markdown
from recal.demo.results import Bar
from services.client import RecalClient
from services.domain import Sampling, Usage
from services.errors import Overloaded, ServiceError
from services.settings import GenerationSettings, ServingMode, Settings

AT_MOST_MS = 50.0
"""Bar on the p99."""
MODES: tuple[ServingMode, ...] = ("split", "fused")
PLACES = 4
BURST = 8
"""Calls at once beside those that hold all places: as many again."""
BURSTS, BURSTS_QUICK = 40, 3
_PAUSE_S = 0.2
_WARM_UP_S = 1.0
_PROMPT = "How do I bake a loaf of bread at home without an oven?"
_HELD = Sampling(max_tokens=128)


@dataclass
class Answers:
    """What became of the calls of one repeat."""

    turned_away_s: list[float] = field(default_factory=list)
    """Seconds to RESOURCE_EXHAUSTED."""
    let_in: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    """Other errors, by class: there should be none."""
    held: int = 0
    """Answers that the clients who hold the places got meanwhile, to their end."""

    @property
    def figures(self) -> dict[str, float]:
        """In milliseconds."""
        p50, p99 = np.percentile(self.turned_away_s, [50, 99]) * 1e3
        return {"p50_ms": float(p50), "p99_ms": float(p99), "turned_away": len(self.turned_away_s)}


def measure(options: argparse.Namespace) -> Found:
    """Measure both modes.

    Raises:
        RuntimeError: nobody was turned away, or a call failed in another way.
    """
    n_bursts = BURSTS_QUICK if options.quick else BURSTS
    results: dict[str, Any] = {}
    rows: list[list[str]] = []
    bars: list[Bar] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = settings_for(folder)
        artefacts(base, folder)
        for mode in MODES:
            generation = GenerationSettings(max_batch=PLACES, max_queue=PLACES)
            settings = base.model_copy(update={"mode": mode, "generation": generation})
            found = asyncio.run(_measured(settings, folder, repeats_of(options), n_bursts))
            p50, p99 = (_over(found, each) for each in ("p50_ms", "p99_ms"))
            turned_away = sum(len(each.turned_away_s) for each in found)
            rows.append([mode, f"{turned_away}", f"{sum(e.let_in for e in found)}", f"{p50}"])
            rows[-1].append(f"{p99}")
            claim = f"{mode}: p99 of the time to RESOURCE_EXHAUSTED ≤ {AT_MOST_MS:g} ms"
            bars.append(Bar(claim, f"{p99} ms", p99.median <= AT_MOST_MS))
            results[mode] = {"p50_ms": asdict(p50), "p99_ms": asdict(p99), "calls": turned_away}
    head = ["mode", "turned away", "let in", "p50 ms", "p99 ms"]
    return Found(results, markdown(head, rows), tuple(bars), seed=options.seed)


async def _measured(settings: Settings, folder: Path, repeats: int, n_bursts: int) -> list[Answers]:
    found = []
    async with server(settings, folder), RecalClient(address_of(settings), retries=0) as client:
        for _ in range(repeats):
            found.append(await _repeat(client, n_bursts))
    return found


async def _repeat(client: RecalClient, n_bursts: int) -> Answers:
    answers, over = Answers(), asyncio.Event()
    holders = [asyncio.create_task(_hold(client, answers, over)) for _ in range(2 * PLACES)]
    try:
        await asyncio.sleep(_WARM_UP_S)
        for _ in range(n_bursts):
            await asyncio.gather(*(_ask(client, answers) for _ in range(BURST)))
            await asyncio.sleep(_PAUSE_S)
    finally:
        over.set()
        await asyncio.gather(*holders)
    if answers.failed or not answers.turned_away_s:
        raise RuntimeError(
            f"{len(answers.turned_away_s)} calls were turned away and {answers.let_in} let in; "
            f"failed otherwise: {answers.failed}"
        )
    return answers


async def _hold(client: RecalClient, answers: Answers, over: asyncio.Event) -> None:
    """Ask again and again, and try again where somebody else was faster."""
    while not over.is_set():
        try:
            async for frame in client.generate(_PROMPT, sampling=_HELD):
                answers.held += isinstance(frame, Usage)
        except Overloaded:
            await asyncio.sleep(0.01)


async def _ask(client: RecalClient, answers: Answers) -> None:
    """Ask, and leave at once where there is an answer."""
    started = time.perf_counter()
    try:
        async with aclosing(client.generate(_PROMPT, sampling=_HELD)) as frames:
            await anext(frames)
            await anext(frames)  # the verdict of `split` comes before its place is asked for
        answers.let_in += 1
    except Overloaded:
        answers.turned_away_s.append(time.perf_counter() - started)
    except ServiceError as error:
        kind = type(error).__name__
        answers.failed[kind] = answers.failed.get(kind, 0) + 1


def _over(found: list[Answers], figure: str) -> Spread:
    return spread_of([each.figures[figure] for each in found])


BENCHMARK = Benchmark(__package__, "overload", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
