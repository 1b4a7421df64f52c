"""How costs grow: with clients, with the length of prompts, with calibrated languages.

python -m benchmarks.serving.growth [--quick] [--models NAMES] [--plot FILE] [--json FILE] ...

Each quantity is doubled (languages: taken times ten) while the others stay, and what a step
multiplies the cost by stands beside it: 2 (or 10) is linear, 1 costs nothing. Clients ask the fused
engine for answers of 16 tokens; a prompt's cost is the time to its first token, with nobody beside
it; languages each have a readout of their own, and the readout of a batch of 16 prompts is timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import geometric_mean

import torch

from benchmarks.arguments import writable
from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import random_bundle, thresholds_between, with_own_readouts
from benchmarks.serving.load import closed, draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.ours import Fused
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.spread import Spread, in_turns, spread_of
from benchmarks.serving.tables import markdown
from services.backbone.load import Backbone
from services.readout.scores import score_all

CLIENTS, CLIENTS_QUICK = (1, 2, 4, 8, 16, 32), (1, 2)
PROMPTS, PROMPTS_QUICK = (32, 64, 128, 256, 512), (16, 32)
LANGUAGES, LANGUAGES_QUICK = (1, 10, 100, 1_000, 10_000), (1, 10)
N_OUTPUT, N_PROMPT, BATCH = 16, 64, 16
_REQUESTS_A_CLIENT = 4
_READOUTS = 20
"""Timed together: one takes less than a millisecond."""
QUICK = ("organism",)


@dataclass(frozen=True)
class Curve:
    """One cost, at growing values of one quantity."""

    quantity: str
    cost: str
    points: Mapping[int, Spread]

    @property
    def steps(self) -> dict[int, float]:
        """What the step to each value but the first multiplies the cost by."""
        values = list(self.points)
        return {
            after: self.points[after].median / self.points[before].median
            for before, after in pairwise(values)
        }

    def table(self, model: str) -> str:
        """As Markdown."""
        rows = [
            [f"{value:,}", str(spread), f"{self.steps[value]:.2f}" if value in self.steps else "–"]
            for value, spread in self.points.items()
        ]
        return markdown([f"{model}, {self.quantity}", self.cost, "× the line above"], rows)


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    tables, results, weights = [], {}, {}
    for name in models.names_in(options, quick=QUICK):
        print(f"{name}: clients, prompts, languages", flush=True)
        backbone = models.load(name, options)
        weights[name] = backbone.identity.weights_digest
        curves = [
            *_clients(backbone, options),
            _prompts(backbone, options),
            _languages(backbone, options),
        ]
        tables += [curve.table(name) for curve in curves]
        results[name] = {
            f"{curve.cost} by {curve.quantity}": {
                f"{value}": {**asdict(spread), "step": curve.steps.get(value)}
                for value, spread in curve.points.items()
            }
            for curve in curves
        }
        if options.plot is not None:
            draw_curves(curves, _named(options.plot, name, options), title=name)
    return Found({"models": results}, "\n\n".join(tables), (), weights, options.seed)


def _clients(backbone: Backbone, options: argparse.Namespace) -> list[Curve]:
    """Seconds for a token of all answers, and time to a first token, by clients."""
    clients = CLIENTS_QUICK if options.quick else CLIENTS
    jobs = draw(
        backbone,
        max(clients) * _REQUESTS_A_CLIENT,
        seed=options.seed,
        prompt_tokens=(N_PROMPT, N_PROMPT),
        output_tokens=(N_OUTPUT, N_OUTPUT),
    )
    thresholds = thresholds_between(backbone, [job.prompt for job in jobs[:64]])
    peer = Fused(
        Setting(
            backbone,
            lambda n_blocks: models.load(backbone.identity.name, options, n_blocks=n_blocks),
            random_bundle(backbone, thresholds),
            max_rows=max(clients),
        )
    )
    loads = {n: closed(jobs[: n * _REQUESTS_A_CLIENT], n) for n in clients}
    peer.run(loads[clients[0]])  # warm-up
    timed = in_turns(
        {f"{n}": partial(peer.run, load) for n, load in loads.items()},
        repeats=repeats_of(options),
    )
    figures = {n: [each.figures() for each in timed[f"{n}"]] for n in clients}
    tokens = {n: spread_of([1e3 / each["tokens_per_s"] for each in figures[n]]) for n in clients}
    first = {n: spread_of([1e3 * each["ttft_p50"] for each in figures[n]]) for n in clients}
    return [Curve("clients", "ms for a useful token", tokens), Curve("clients", "TTFT ms", first)]


def _prompts(backbone: Backbone, options: argparse.Namespace) -> Curve:
    """Time to the first token of one client, by the length of its prompts."""
    lengths = PROMPTS_QUICK if options.quick else PROMPTS
    room = backbone.max_prompt_tokens - 40
    points = {}
    for length in [each for each in lengths if each <= room]:
        jobs = draw(
            backbone,
            _REQUESTS_A_CLIENT,
            seed=options.seed,
            prompt_tokens=(length, length),
            output_tokens=(2, 2),
        )
        thresholds = thresholds_between(backbone, [job.prompt for job in jobs])
        bundle = random_bundle(backbone, thresholds)
        peer = Fused(Setting(backbone, lambda n_blocks: backbone, bundle, max_rows=1))
        load = closed(jobs, 1)
        peer.run(load)  # warm-up
        points[length] = spread_of(
            [1e3 * peer.run(load).figures()["ttft_p50"] for _ in range(repeats_of(options))]
        )
    return Curve("tokens of a prompt", "TTFT ms", points)


def _languages(backbone: Backbone, options: argparse.Namespace) -> Curve:
    """The readout of a batch, by languages with a readout of their own."""
    counts = LANGUAGES_QUICK if options.quick else LANGUAGES
    generator = torch.Generator().manual_seed(options.seed)
    read = torch.randn(BATCH, 1, backbone.identity.d_model, generator=generator)
    bundles = {n: with_own_readouts(backbone, n) for n in counts}
    runs = {f"{n}": partial(_ms, partial(score_all, each, read)) for n, each in bundles.items()}
    timed = in_turns(runs, repeats=1 + repeats_of(options))
    points = {n: spread_of(timed[f"{n}"][1:]) for n in counts}  # the first was warm-up
    return Curve("languages", "ms of a batch's readout", points)


@torch.inference_mode()
def _ms(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(_READOUTS):
        run()
    return (time.perf_counter() - started) / _READOUTS * 1e3


def draw_curves(curves: Sequence[Curve], path: Path, *, title: str) -> None:
    """Every curve beside the line that it would be if each step cost what it multiplies."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    figure = Figure(figsize=(4.2 * len(curves), 3.6), layout="constrained")
    figure.suptitle(title)
    for axis, curve in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves, strict=True):
        values = list(curve.points)
        medians = [curve.points[value].median for value in values]
        low = [medians[i] - curve.points[value].low for i, value in enumerate(values)]
        high = [curve.points[value].high - medians[i] for i, value in enumerate(values)]
        axis.errorbar(values, medians, yerr=[low, high], marker="o", capsize=3, label="measured")
        # through the geometric middle, so that both ends show where it bends
        slope = geometric_mean(medians) / geometric_mean(values)
        line = [slope * value for value in values]
        axis.plot(values, line, linestyle=":", color="grey", label="linear")
        axis.set(xscale="log", yscale="log", xlabel=curve.quantity, ylabel=curve.cost)
        axis.set_xticks(values, [f"{value:,}" for value in values])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
        spreads = curve.points.values()
        axis.set_ylim(min(s.low for s in spreads) / 1.5, max(s.high for s in spreads) * 1.5)
        axis.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _named(path: Path, model: str, options: argparse.Namespace) -> Path:
    """One file for each model, where there are several."""
    several = len(models.names_in(options, quick=QUICK)) > 1
    return path.with_stem(f"{path.stem}-{model}") if several else path


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--plot", type=writable, metavar="FILE", help="a picture of all curves")


BENCHMARK = Benchmark(__package__, "growth", __doc__, measure, _add_options)


if __name__ == "__main__":
    BENCHMARK.main()
