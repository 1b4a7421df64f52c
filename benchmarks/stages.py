"""Latency of each stage of an answer, and of a gated answer beside an ungated one.

python -m benchmarks.stages [--ray] [--clients N] [--quick] [--json FILE]

Everything is served here: in one process, or with `--ray` on Ray Serve behind the edge. The same
prompts go to the front door and, in turn, to the generation service itself with the model
untouched; answers of equal length are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.arguments import count, writable
from recal.demo.stage import free_port, stage
from recal.generate import Generator
from recal.inputs import whole_backbone
from recal.judge import OrganismJudge
from recal.languages import HIGH
from recal.organism.corpus import corpus_prompts
from recal.prompts import Prompt, select, spread
from recal.readouts import ReadoutPlan, make_readout
from recal.recalibrate import calibrate_source
from recal.search import SearchPlan
from services.client import RecalClient
from services.composition import notice_of
from services.domain import Action, Intervention, Sampling, Usage
from services.embedded.runtime import EmbeddedRuntime
from services.readout.artefact import save_calibration
from services.readout.bundle import Scope, SteerForm
from services.rpc.stubs import GenerationStub, open_channel
from services.settings import EdgeSettings, RegistrySettings, ServeSettings, Settings

STAGES = ("language_id", "gate", "first_token", "generation", "total")
SAMPLING = Sampling(max_tokens=16)
N_WARM_UP = 20


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


def artefacts(settings: Settings, directory: Path) -> None:
    """A readout of the organism and its source languages' calibrations; one steering, untuned."""
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    search = SearchPlan(
        multiples=(1.0,),
        forms=(SteerForm.ADD,),
        scopes=(Scope.LAST,),
        layers=(3,),
        max_degenerate=1.0,
    )
    made = make_readout(
        backbone,
        corpus_prompts(),
        directory / "readout",
        plan=ReadoutPlan(search=search, n_fit=48, n_search=1),
        generate=Generator(backbone),
        judge=OrganismJudge(),
    )
    for language in HIGH:
        calibration = calibrate_source(made.readout, made.activations, language)
        save_calibration(calibration, directory / "calibrations" / language)


def settings_for(directory: Path) -> Settings:
    """Everything on free ports, artefacts from a directory."""
    return Settings(
        registry=RegistrySettings(source="directory", directory=directory),
        edge=EdgeSettings(port=free_port(), metrics_port=None, internal_services=True),
        serve=ServeSettings(grpc_port=free_port(), http_port=free_port(), drain_s=1.0),
        state_dir=directory / "state",
    )


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


async def measure(here: Served, prompts: Sequence[Prompt], clients: int) -> Times:
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


def report_of(
    times: Times, settings: Settings, *, on_ray: bool, clients: int, n_prompts: int
) -> dict[str, Any]:
    """Everything that this benchmark reports."""
    ratios = np.array(times.gated) / np.array(times.untouched)
    return {
        "model": notice_of(settings),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {settings.threads} thread(s) a process",
        "runtime": "Ray Serve and edge" if on_ray else "one process",
        "clients": clients,
        "prompts": n_prompts,
        "max_tokens": SAMPLING.max_tokens,
        "stages": {name: summary(times.stages[name]) for name in STAGES},
        "at_the_client": {
            "Recal.Check": summary(times.check),
            "Recal.Generate": summary(times.gated),
            "Generation.Generate, untouched": summary(times.untouched),
        },
        "gated_over_untouched": {
            "median_ratio": round(float(np.median(ratios)), 3),
            "pairs": len(ratios),
            "left_out_for_other_length": times.n_other_length,
        },
    }


def print_report(report: dict[str, Any]) -> None:
    """The report as plain tables."""
    for name in ("model", "machine", "runtime", "clients", "prompts", "max_tokens"):
        print(f"{name:<12}{report[name]}")
    for title in ("stages", "at_the_client"):
        print(f"\n{title.replace('_', ' '):<34}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}")
        for name, row in report[title].items():
            print(f"  {name:<32}" + "".join(f"{value:>10}" for value in row.values()))
    ratio = report["gated_over_untouched"]
    print(
        f"\na gated answer takes {ratio['median_ratio']} times an untouched one of the same length "
        f"(median of {ratio['pairs']} pairs; {ratio['left_out_for_other_length']} left out)"
    )


async def run(settings: Settings, *, on_ray: bool, clients: int, per_class: int) -> dict[str, Any]:
    """Serve and measure."""
    prompts = spread(select(corpus_prompts(HIGH), split="test"), per_class)
    order = np.random.default_rng(0).permutation(len(prompts))
    shuffled = [prompts[i] for i in order]
    async with served(settings, on_ray=on_ray) as here:
        times = await measure(here, shuffled, clients)
    return report_of(times, settings, on_ray=on_ray, clients=clients, n_prompts=len(prompts))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and, if asked, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true", help="on Ray Serve, behind the edge")
    parser.add_argument("--clients", type=count, default=1, help="calls at a time (default: 1)")
    parser.add_argument("--quick", action="store_true", help="few prompts; for a first look")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the report here too")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for(Path(folder))
        print("fitting a readout of the organism", flush=True)
        artefacts(settings, Path(folder))
        print("serving and measuring", flush=True)
        report = asyncio.run(
            run(
                settings,
                on_ray=given.ray,
                clients=given.clients,
                per_class=2 if given.quick else 10,
            )
        )
    print_report(report)
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
