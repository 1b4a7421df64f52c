"""What a call costs on this machine, what such costs foretell, and what fleets they come to.

python -m benchmarks.capacity [--quick] [--json FILE]

The organism is served by a process of its own. Calls of the services one by one give the cost of
each stage, in CPU seconds of that process (not in time, so that neighbours on the machine do not
count); from these the cost of a verdict and of an answer through the front door are foretold, and
held against what they cost in truth. The fleets of `docs/capacity.md` come from the measured costs
of what runs on CPUs, and from arithmetic for the GPUs (`benchmarks/capacity_model.py`): no GPU is
used.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

from benchmarks.capacity_model import (
    H200,
    QWEN_7B,
    Assumptions,
    Costs,
    Fleet,
    first_to_saturate,
    fleet,
    gate_seconds,
    generation_seconds,
)
from benchmarks.organism_served import artefacts, settings_for
from benchmarks.report import Benchmark, Found
from benchmarks.server_process import address_of, server
from recal.demo.results import Bar
from recal.languages import HIGH
from recal.organism.corpus import corpus_prompts
from recal.prompts import select, spread
from services.client import RecalClient
from services.domain import Action, GateRequest, Intervention, Sampling
from services.readout.artefact import load_calibration, save_calibration
from services.rpc.stubs import GateStub, GenerationStub, LanguageIdStub, open_channel
from services.settings import Settings

CLIENTS = 16
"""Calls at a time: the most that one batch holds by default."""
_ROUND = 32
"""Texts of one turn."""
SHORT, LONG = 4, 16
"""Tokens of the answers from which the cost of a token is taken."""
RATES = (10, 1_000, 100_000)
LANGUAGES = (23, 2_000)
WITHIN = 1.5
"""Foretold and measured costs may differ by this factor."""

Call = Callable[[str], Awaitable[object]]


@dataclass(frozen=True)
class Measured:
    """CPU seconds of the server, of one call."""

    rpc: float
    """Of one that has nothing to do: the language of no text."""
    identify: float
    gate_check: float
    generate_short: float
    generate_long: float
    check: float
    """`Recal.Check`."""
    generate: float
    """`Recal.Generate`, with answers of at most `LONG` tokens."""

    @property
    def check_foretold(self) -> float:
        """Language ID and gate, with one call's own cost and not two."""
        return self.identify + self.gate_check - self.rpc

    @property
    def generate_foretold(self) -> float:
        """That, and generation."""
        return self.check_foretold + self.generate_long - self.rpc

    @property
    def costs(self) -> Costs:
        """Of what runs on CPUs in production, too."""
        return Costs(rpc=self.rpc, language_id=self.identify - self.rpc)


async def cost(process: psutil.Process, call: Call, texts: Sequence[str]) -> float:
    """CPU seconds that the server spends on calls with these texts, `CLIENTS` at a time."""
    slots = asyncio.Semaphore(CLIENTS)

    async def next_one(text: str) -> None:
        async with slots:
            await call(text)

    before = process.cpu_times()
    async with asyncio.TaskGroup() as group:
        for text in texts:
            group.create_task(next_one(text))
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system


async def costs(
    process: psutil.Process, calls: Mapping[str, tuple[Call, int]], texts: Sequence[str]
) -> dict[str, float]:
    """CPU seconds of one call of each kind, as often for each text as its number says.

    The kinds take turns, so that a neighbour on the machine, who takes caches and not only time,
    weighs on all of them alike.
    """
    spent = dict.fromkeys(calls, 0.0)
    rounds = [texts[i : i + _ROUND] for i in range(0, len(texts), _ROUND)]
    for call, _ in calls.values():  # warm-up
        await cost(process, call, rounds[0])
    for some in rounds:
        for name, (call, times) in calls.items():
            spent[name] += await cost(process, call, list(some) * times)
    return {name: spent[name] / len(texts) / times for name, (_, times) in calls.items()}


def _generated(generation: GenerationStub, n_tokens: int) -> Call:
    async def call(text: str) -> object:
        untouched, sampling = Intervention(Action.NONE), Sampling(max_tokens=n_tokens)
        return [chunk async for chunk in generation.generate(text, untouched, sampling)]

    return call


def _answered(client: RecalClient) -> Call:
    async def call(text: str) -> object:
        return [frame async for frame in client.generate(text, sampling=Sampling(max_tokens=LONG))]

    return call


async def measure(settings: Settings, folder: Path, *, n_calls: int) -> Measured:
    """Serve, and ask each service by itself and the front door."""
    prompts = spread(select(corpus_prompts(HIGH), split="test"), 4)
    texts = list(islice(cycle(prompt.text for prompt in prompts), n_calls))
    address = address_of(settings)
    async with (
        server(settings, folder) as process,
        RecalClient(address) as client,
        open_channel(address) as channel,
    ):
        language_id, gate = LanguageIdStub(channel), GateStub(channel)
        generation = GenerationStub(channel)
        guesses = {text: await language_id.identify(text) for text in set(texts)}
        calls: dict[str, tuple[Call, int]] = {
            "rpc": (lambda _: language_id.identify(""), 4),
            "identify": (language_id.identify, 4),
            "gate_check": (lambda text: gate.check(GateRequest(text, guesses[text])), 1),
            "generate_short": (_generated(generation, SHORT), 1),
            "generate_long": (_generated(generation, LONG), 1),
            "check": (client.check, 1),
            "generate": (_answered(client), 1),
        }
        return Measured(**await costs(process, calls, texts))


def seconds_of_a_calibration(folder: Path, n_loads: int) -> float:
    """CPU seconds to load and verify one calibration, as at a swap; a new readout loads all."""
    [first, *_] = sorted((folder / "calibrations").iterdir())
    calibration = load_calibration(first)
    copies = [folder / "copies" / str(i) for i in range(n_loads)]
    for copy in copies:
        save_calibration(replace(calibration, created=calibration.created), copy)
    started = time.process_time()
    for copy in copies:
        load_calibration(copy)
    return (time.process_time() - started) / n_loads


def stage_table(found: Measured) -> str:
    """Costs in milliseconds, as Markdown."""
    token = (found.generate_long - found.generate_short) / (LONG - SHORT)
    rows = (
        ("a unary call with nothing to do (`Identify`, no text)", found.rpc),
        ("language ID", found.identify - found.rpc),
        ("gate", found.gate_check - found.rpc),
        (f"generation, {LONG} tokens", found.generate_long - found.rpc),
        ("… of it a token", token),
    )
    lines = [f"| {name} | {1000 * seconds:.2f} |" for name, seconds in rows]
    return "\n".join(["| stage | CPU ms |", "|---|---|", *lines])


def check_table(found: Measured) -> str:
    """What was foretold beside what was measured, as Markdown."""
    rows = (
        ("`Recal.Check`", found.check_foretold, found.check),
        (f"`Recal.Generate`, {LONG} tokens", found.generate_foretold, found.generate),
    )
    lines = [
        f"| {name} | {1000 * told:.2f} | {1000 * true:.2f} | {told / true:.2f} | {1 / true:.0f} |"
        for name, told, true in rows
    ]
    head = "| call | foretold, CPU ms | measured | ratio | calls a second of one core |"
    return "\n".join([head, "|---|---|---|---|---|", *lines])


def fleet_table(fleets: Sequence[Fleet], given: Assumptions) -> str:
    """Fleets as Markdown."""
    head = (
        "| requests/s | languages | edges | front doors | gate GPUs | "
        "generation GPUs | Ray clusters | polls/s | time series | saturates first |"
    )
    lines = [
        f"| {each.rate:,.0f} | {each.languages:,} | {each.edges:,} | {each.front_doors:,} | "
        f"{each.gates:,} | {each.generations:,} | {each.clusters:,} | "
        f"{each.registry_polls:,.1f} | {each.series:,.0f} | {first_to_saturate(each, given)} |"
        for each in fleets
    ]
    return "\n".join([head, "|---" * 10 + "|", *lines])


def sensitivity(costs: Costs) -> str:
    """What one assumption or setting changes, at 1,000 requests a second."""
    base = Assumptions()
    rows = {
        "as assumed": base,
        "batches of 128 answers (`generation.max_batch`)": replace(base, batch=128),
        "prompts of 1,000 tokens": replace(base, prompt_tokens=1000),
        "answers of 50 tokens": replace(base, answer_tokens=50),
        "half the share of operations and bandwidth": replace(
            base, prefill_share=base.prefill_share / 2, decode_share=base.decode_share / 2
        ),
    }
    lines = []
    for name, given in rows.items():
        found = fleet(1000, 23, costs, given=given)
        lines.append(f"| {name} | {found.gates} | {found.generations} |")
    head = "| at 1,000 requests/s | gate GPUs | generation GPUs |"
    return "\n".join([head, "|---|---|---|", *lines])


def bars(found: Measured) -> tuple[Bar, ...]:
    """Whether the model foretells what it is held against."""
    ratios = {
        "Recal.Check": found.check_foretold / found.check,
        "Recal.Generate": found.generate_foretold / found.generate,
    }
    return tuple(
        Bar(
            f"the foretold cost of `{name}` is within a factor of {WITHIN}",
            f"{ratio:.2f} of the measured",
            1 / WITHIN <= ratio <= WITHIN,
        )
        for name, ratio in ratios.items()
    )


def run(options: argparse.Namespace) -> Found:
    """Measure and compute."""
    n_calls = 2 * _ROUND if options.quick else 12 * _ROUND
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_for(folder)
        artefacts(settings, folder)
        found = asyncio.run(measure(settings, folder, n_calls=n_calls))
        loading = seconds_of_a_calibration(folder, 50)
    given = Assumptions()
    fleets = [fleet(rate, n, found.costs, given=given) for rate in RATES for n in LANGUAGES]
    results: dict[str, Any] = {
        "measured": asdict(found),
        "foretold": {"check": found.check_foretold, "generate": found.generate_foretold},
        "seconds_of_a_calibration": loading,
        "assumed": {
            **asdict(given),
            "gpu": asdict(H200),
            "model": asdict(QWEN_7B),
            "gate_seconds": gate_seconds(H200, QWEN_7B, given),
            "generation_seconds": generation_seconds(H200, QWEN_7B, given),
        },
        "fleets": [{**asdict(each), "gpus": each.gpus} for each in fleets],
    }
    swap = "\n".join(
        f"{n:,} languages: {n * loading:.1f} CPU s to load and verify all calibrations"
        for n in LANGUAGES
    )
    parts = (stage_table(found), check_table(found), swap, fleet_table(fleets, given))
    tables = "\n\n".join((*parts, sensitivity(found.costs)))
    return Found(results=results, tables=tables, bars=bars(found))


BENCHMARK = Benchmark(
    package="benchmarks",
    name="capacity",
    about=__doc__ or "",
    measure=run,
    add_options=lambda parser: None,
)

if __name__ == "__main__":
    BENCHMARK.main()
