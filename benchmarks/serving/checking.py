"""Verdicts on many prompts: `BatchCheck` beside the whole model's hidden states and nnsight's.

python -m benchmarks.serving.checking [--quick] [--models NAMES] [--json FILE] ...

The prompts of the mixed load, all there at the beginning. Ours gives verdicts, the others only the
score that a verdict is made of.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.load import draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.checkers import (
    NNSIGHT_MISSING,
    BatchCheck,
    Checker,
    Traced,
    WholeModel,
    nnsight_is_there,
)
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.spread import Spread, in_turns, ratio_of, spread_of
from benchmarks.serving.tables import ratio_table
from recal.demo.results import Bar

OURS, WHOLE = "BatchCheck", "whole model, output_hidden_states"
NNSIGHT, NNSIGHT_STOPPED = "nnsight", "nnsight, stopped behind the block"
AT_LEAST = {WHOLE: 1.5, NNSIGHT: 2.0}
"""Bars on prompts per second, ours by theirs. nnsight runs the whole model, unless it is told to
stop, which is beside the bar and shown all the same."""
N_REQUESTS = {"organism": 256, "30M": 128, "300M": 48}
N_QUICK, _N_WARM_UP = 16, 16
QUICK = ("organism",)

Rates = Mapping[str, Sequence[float]]
"""Prompts per second of each repeat, by checker."""


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    if not nnsight_is_there():
        print(NNSIGHT_MISSING, flush=True)
    tables, bars, results, weights = [], [], {}, {}
    for name in models.names_in(options, quick=QUICK):
        rates, weights[name] = _model(name, options)
        compared = {each: ratio_of(rates[OURS], rates[each]) for each in rates}
        tables.append(_table(name, rates, compared))
        bars += [_bar(name, each, compared[each]) for each in AT_LEAST if each in compared]
        results[name] = {
            each: {**asdict(spread_of(rates[each])), "ours_by_it": asdict(compared[each])}
            for each in rates
        }
    tables += [] if nnsight_is_there() else [NNSIGHT_MISSING]
    return Found({"models": results}, "\n\n".join(tables), tuple(bars), weights, options.seed)


def _model(name: str, options: argparse.Namespace) -> tuple[Rates, str]:
    backbone = models.load(name, options)
    n = options.requests or (N_QUICK if options.quick else N_REQUESTS[name])
    prompts = [job.prompt for job in draw(backbone, n, seed=options.seed)]
    setting = Setting(
        backbone,
        lambda n_blocks: models.load(name, options, n_blocks=n_blocks),
        random_bundle(backbone, thresholds_between(backbone, prompts)),
        options.rows,
    )
    checkers = checkers_of(setting)
    print(f"{name}: {n} prompts", flush=True)
    for checker in checkers.values():
        checker.scores(prompts[:_N_WARM_UP])
    runs = {each: partial(_rate, checker, prompts) for each, checker in checkers.items()}
    timed = in_turns(runs, repeats=repeats_of(options), what=f"{name}, gate alone")
    return timed, backbone.identity.weights_digest


def checkers_of(setting: Setting) -> dict[str, Checker]:
    """All that can run here."""
    made: dict[str, Callable[[Setting], Checker]] = {OURS: BatchCheck, WHOLE: WholeModel}
    if nnsight_is_there():
        made |= {NNSIGHT: Traced, NNSIGHT_STOPPED: partial(Traced, stops=True)}
    return {name: make(setting) for name, make in made.items()}


def _rate(checker: Checker, prompts: Sequence[str]) -> float:
    started = time.perf_counter()
    checker.scores(prompts)
    return len(prompts) / (time.perf_counter() - started)


def _bar(model: str, checker: str, ratio: Spread) -> Bar:
    wanted = AT_LEAST[checker]
    claim = f"{model}: prompts/s of {OURS} by {checker} ≥ {wanted:g}"
    return Bar(claim, str(ratio), ratio.median >= wanted)


def _table(model: str, rates: Rates, compared: Mapping[str, Spread]) -> str:
    rows: list[Any] = [(each, spread_of(rates[each]), compared[each]) for each in rates]
    return ratio_table([f"{model}, gate alone", "prompts/s", f"{OURS} × it"], rows)


BENCHMARK = Benchmark(__package__, "checking", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
