"""Latency of each stage of an answer, and of a gated answer beside an ungated one.

python -m benchmarks.stages [--ray] [--clients N] [--quick] [--json FILE]

Everything is served here: in one process, or with `--ray` on Ray Serve behind the edge. The same
prompts go to the front door and, in turn, to the generation service itself with the model
untouched; answers of equal length are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import count
from benchmarks.organism_served import artefacts, settings_for
from benchmarks.report import Benchmark, Found
from benchmarks.serving.tables import markdown
from recal.demo.stage import stage
from recal.languages import HIGH
from recal.organism.corpus import corpus_prompts
from recal.prompts import Prompt, select, spread
from services.client import RecalClient
from services.composition import notice_of
from services.domain import Action, Intervention, Sampling, Usage
from services.embedded.runtime import EmbeddedRuntime
from services.rpc.stubs import GenerationStub, open_channel
from services.settings import Settings

STAGES = ("language_id", "gate", "first_token", "generation", "total")
SAMPLING = Sampling(max_tokens=16)
N_WARM_UP = 20
N_PER_CLASS, N_PER_CLASS_QUICK = 10, 2


@dataclass
class Times:
    """What was measured, in seconds."""

    stages: dict[str, list[float]] = field(default_factory=lambda: {s: [] for s in STAGES})
    """As the server says it in the last frame."""
    check: list[float] = field(default_factory=list)
    """`Recal.Check`, at the client."""
    gated: list[float] = field(default_factory=list)
    """`Recal.Generate`, at the client; one entry for each of `untouched`."""
    untouched: list[float] = field(default_factory=list)
    """The same prompt at the generation service itself, with an answer as long."""
    n_other_length: int = 0
    """Pairs left out, for their answers differ in length."""


@dataclass(frozen=True)
class Served:
    """What is asked: the front door, and the generation service behind it."""

    client: RecalClient
    generation: GenerationStub


@asynccontextmanager
async def served(settings: Settings, *, on_ray: bool) -> AsyncIterator[Served]:
    """Serve everything, and stop it at the end."""
    if on_ray:
        async with stage(settings) as running:
            yield Served(running.client, running.generation)
        return
    runtime = EmbeddedRuntime(settings)
    await runtime.start()
    try:
        async with RecalClient(runtime.address) as client, open_channel(runtime.address) as channel:
            yield Served(client, GenerationStub(channel))
    finally:
        await runtime.stop()


async def ask_gated(here: Served, prompt: Prompt) -> tuple[float, Usage]:
    """Time and usage of one answer of the front door."""
    start = time.perf_counter()
    usage = None
    async for frame in here.client.generate(prompt.text, sampling=SAMPLING):
        if isinstance(frame, Usage):
            usage = frame
    if usage is None:
        raise RuntimeError("an answer ended without its usage")
    return time.perf_counter() - start, usage


async def ask_untouched(here: Served, prompt: Prompt) -> tuple[float, int]:
    """Time and number of tokens of one answer of the untouched model."""
    start = time.perf_counter()
    chunks = here.generation.generate(prompt.text, Intervention(Action.NONE), SAMPLING)
    n_tokens = sum([chunk.n_tokens async for chunk in chunks])
    return time.perf_counter() - start, n_tokens


async def ask_check(here: Served, prompt: Prompt) -> float:
    """Time of one verdict of the front door."""
    start = time.perf_counter()
    await here.client.check(prompt.text)
    return time.perf_counter() - start


async def one(here: Served, prompt: Prompt, times: Times, *, gated_first: bool) -> None:
    """Ask everything about one prompt; who is first changes, so that nobody gains by it."""
    if gated_first:
        gated, usage = await ask_gated(here, prompt)
        untouched, n_tokens = await ask_untouched(here, prompt)
    else:
        untouched, n_tokens = await ask_untouched(here, prompt)
        gated, usage = await ask_gated(here, prompt)
    times.check.append(await ask_check(here, prompt))
    for name in STAGES:
        times.stages[name].append(usage.timings_s[name])
    if n_tokens == usage.n_generated_tokens:
        times.gated.append(gated)
        times.untouched.append(untouched)
    else:
        times.n_other_length += 1


async def ask_all(here: Served, prompts: Sequence[Prompt], clients: int) -> Times:
    """Ask about all prompts, `clients` at a time, after a warm-up."""
    for prompt in prompts[:N_WARM_UP]:
        await one(here, prompt, Times(), gated_first=True)
    times = Times()
    slots = asyncio.Semaphore(clients)

    async def next_one(index: int, prompt: Prompt) -> None:
        async with slots:
            await one(here, prompt, times, gated_first=index % 2 == 0)

    async with asyncio.TaskGroup() as group:
        for index, prompt in enumerate(prompts):
            group.create_task(next_one(index, prompt))
    return times


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Quantiles in milliseconds."""
    p50, p90, p99 = (1000 * float(q) for q in np.quantile(seconds, [0.5, 0.9, 0.99]))
    return {"p50_ms": round(p50, 2), "p90_ms": round(p90, 2), "p99_ms": round(p99, 2)}


def summaries(times: Times) -> dict[str, dict[str, dict[str, float]]]:
    """By where it is timed and what it is."""
    return {
        "stages": {name: summary(times.stages[name]) for name in STAGES},
        "at_the_client": {
            "Recal.Check": summary(times.check),
            "Recal.Generate": summary(times.gated),
            "Generation.Generate, untouched": summary(times.untouched),
        },
    }


def tables_of(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """As Markdown, one for each place where it is timed."""
    heads = {"stages": "stage, at the server", "at_the_client": "call, at the client"}
    return "\n\n".join(
        markdown(
            [heads[where], "p50 ms", "p90 ms", "p99 ms"],
            [[name, *(str(each) for each in row.values())] for name, row in rows.items()],
        )
        for where, rows in found.items()
    )


async def run(settings: Settings, *, on_ray: bool, clients: int, per_class: int) -> Times:
    """Serve and ask."""
    prompts = spread(select(corpus_prompts(HIGH), split="test"), per_class)
    order = np.random.default_rng(0).permutation(len(prompts))
    shuffled = [prompts[i] for i in order]
    async with served(settings, on_ray=on_ray) as here:
        return await ask_all(here, shuffled, clients)


def measure(options: argparse.Namespace) -> Found:
    """Fit, serve and measure."""
    per_class = N_PER_CLASS_QUICK if options.quick else N_PER_CLASS
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for(Path(folder))
        print("fitting a readout of the organism", flush=True)
        identity = artefacts(settings, Path(folder))
        print("serving and measuring", flush=True)
        times = asyncio.run(
            run(settings, on_ray=options.ray, clients=options.clients, per_class=per_class)
        )
    found = summaries(times)
    ratio = float(np.median(np.array(times.gated) / np.array(times.untouched)))
    runtime = "Ray Serve and edge" if options.ray else "one process"
    results: dict[str, Any] = {
        "model": notice_of(settings),
        "runtime": runtime,
        "clients": options.clients,
        "max_tokens": SAMPLING.max_tokens,
        **found,
        "gated_by_untouched": {
            "median_ratio": round(ratio, 3),
            "pairs": len(times.gated),
            "left_out_for_other_length": times.n_other_length,
        },
    }
    in_words = (
        f"{notice_of(settings)}; {runtime}, {options.clients} client(s). A gated answer takes "
        f"{ratio:.3f} times an untouched one of the same length (median of {len(times.gated)} "
        f"pairs; {times.n_other_length} left out)."
    )
    tables = f"{tables_of(found)}\n\n{in_words}"
    return Found(results, tables, weights={identity.name: identity.weights_digest})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where and by how many it is asked."""
    parser.add_argument("--ray", action="store_true", help="on Ray Serve, behind the edge")
    parser.add_argument("--clients", type=count, default=1, help="calls at a time (default: 1)")


BENCHMARK = Benchmark(__package__, "stages", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
