"""What is done before a language is served: collecting activations, and recalibrating from prompts.

python -m benchmarks.serving.preparing [--quick] [--models NAMES] [--json FILE] ...

Collecting: prompts of the mixed load's lengths, every block in three readings, into memory, beside
the same extractor in arrival order (as many padded tokens a batch) and one prompt at a time.
Recalibrating: four examples a class of Swahili from the corpus of the shipped organism, from text
to a calibration, with the default estimator; what of it is passes of the model is shown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import layer_of, random_readout
from benchmarks.serving.load import draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.collectors import ARRIVAL, COLLECTORS, ONE_BY_ONE, OURS
from benchmarks.serving.spread import Spread, in_turns, ratio_of, spread_of
from benchmarks.serving.tables import markdown, ratio_table
from recal.collect import collect
from recal.demo.results import Bar
from recal.fit import Candidate, FitPlan, fit
from recal.languages import HIGH
from recal.organism.corpus import corpus_prompts
from recal.prompts import Prompt, select, spread
from recal.recalibrate import recalibrate
from services.backbone.load import Backbone
from services.readout.bundle import Readout
from services.readout.place import Place

AT_LEAST = {ONE_BY_ONE: 3.0, ARRIVAL: 1.3}
"""Bars on prompts per second, ours by theirs."""
MOST_S = 2.0
"""Bar on recalibrating, in seconds."""
N_PROMPTS = {"organism": 2_000, "30M": 256, "300M": 32}
N_QUICK = 24
K, LANGUAGE = 4, "sw"
_N_FIT = 32
_PROMPT_TOKENS = (8, 160)
"""Of a user's own text: what a corpus for recalibration holds, and fits every model here."""
QUICK = ("organism",)

Seconds = Mapping[str, list[float]]


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for; recalibrating only with the organism."""
    tables, bars, results, weights = [], [], {}, {}
    for name in models.names_in(options, quick=QUICK):
        backbone = models.load(name, options)
        weights[name] = backbone.identity.weights_digest
        found: dict[str, Any] = {}
        rates = _collecting(name, backbone, options)
        compared = {each: ratio_of(rates[OURS], rates[each]) for each in rates}
        tables.append(_collecting_table(name, rates, compared))
        bars += [_collecting_bar(name, each, compared[each]) for each in AT_LEAST]
        found["collect"] = {
            each: {**asdict(spread_of(rates[each])), "ours_by_it": asdict(compared[each])}
            for each in rates
        }
        if models.MODELS[name].shape is None:
            seconds = _recalibrating(backbone, options)
            tables.append(_recalibrating_table(name, seconds))
            whole = spread_of(seconds["whole"])
            claim = f"{name}: seconds to recalibrate `{LANGUAGE}` from {K} examples a class ≤ "
            bars.append(Bar(f"{claim}{MOST_S:g}", str(whole), whole.median <= MOST_S))
            found["recalibrate_s"] = {k: asdict(spread_of(v)) for k, v in seconds.items()}
        results[name] = found
    return Found({"models": results}, "\n\n".join(tables), tuple(bars), weights, options.seed)


def _collecting(name: str, backbone: Backbone, options: argparse.Namespace) -> Seconds:
    """Prompts per second of each repeat, by collector."""
    n = options.requests or (N_QUICK if options.quick else N_PROMPTS[name])
    jobs = draw(backbone, n, seed=options.seed, prompt_tokens=_PROMPT_TOKENS)
    prompts = [
        Prompt(id=f"{row}", language="en", harmful=False, text=job.prompt, split="train")
        for row, job in enumerate(jobs)
    ]
    print(f"{name}: {n} prompts to collect", flush=True)
    for collector in COLLECTORS.values():
        collector(backbone, prompts[:N_QUICK])  # warm-up
    runs = {
        each: partial(_rate, partial(collector, backbone, prompts), n)
        for each, collector in COLLECTORS.items()
    }
    return in_turns(runs, repeats=repeats_of(options), what=f"{name}, collecting")


def _recalibrating(backbone: Backbone, options: argparse.Namespace) -> Seconds:
    """Seconds of each repeat: passes over the examples, the estimate, and both."""
    readout = _readout(backbone)
    pool = select(corpus_prompts((LANGUAGE,)), split="calibration", languages=(LANGUAGE,))
    examples = spread(pool, K)
    found: dict[str, list[float]] = {"passes of the model": [], "estimate": [], "whole": []}
    for _ in range(1 + repeats_of(options)):
        started = time.perf_counter()
        activations = collect(backbone, examples, layers=readout.layers)
        passed = time.perf_counter()
        recalibrate(readout, activations, LANGUAGE)
        ended = time.perf_counter()
        for seconds, value in zip(
            found.values(), (passed - started, ended - passed, ended - started), strict=True
        ):
            seconds.append(value)
    return {part: seconds[1:] for part, seconds in found.items()}  # the first was warm-up


def _readout(backbone: Backbone) -> Readout:
    """A fitted readout of one place; how it would steer is not asked here."""
    place = Place(layer_of(backbone), "last")
    plan = FitPlan(source_languages=HIGH, development_languages=())
    prompts = spread(select(corpus_prompts(HIGH), split="train"), _N_FIT)
    made = fit(
        collect(backbone, prompts, layers=[place.layer]),
        backbone.identity,
        chosen=[Candidate(place, len(HIGH))],
        steering=random_readout(backbone).steering,
        plan=plan,
        provenance={},
    )
    return replace(made, digest="fitted", version="fitted@1")


def _rate(run: Callable[[], object], n: int) -> float:
    started = time.perf_counter()
    run()
    return n / (time.perf_counter() - started)


def _collecting_bar(model: str, collector: str, ratio: Spread) -> Bar:
    wanted = AT_LEAST[collector]
    claim = f"{model}: prompts/s of {OURS} by {collector} ≥ {wanted:g}"
    return Bar(claim, str(ratio), ratio.median >= wanted)


def _collecting_table(model: str, rates: Seconds, compared: Mapping[str, Spread]) -> str:
    rows: list[Any] = [(each, spread_of(rates[each]), compared[each]) for each in rates]
    return ratio_table([f"{model}, all residuals", "prompts/s", f"{OURS} × it"], rows)


def _recalibrating_table(model: str, seconds: Seconds) -> str:
    rows = [
        [part, str(spread_of([each * 1e3 for each in value]))] for part, value in seconds.items()
    ]
    return markdown([f"{model}, recalibrating from {K} examples a class", "ms"], rows)


BENCHMARK = Benchmark(__package__, "preparing", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
